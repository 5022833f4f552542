package cliswitch

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// Timer is the switch's own way to shut a port, as the screens show it.
type Timer struct {
	Name string
	Port *Port
	At   time.Time
	wait time.Duration // from when it is armed, where At is not given
}

// time follows the directives about timers. The switch is locked.
func (l *login) time(name, argument string) {
	switch name {
	case "@timer":
		l.timer = &Timer{Name: cmp.Or(argument, l.word)}
	case "@shuts":
		l.timer.Port = l.port
	case "@at":
		l.timer.At = l.scene.next(l.word)
	case "@in":
		l.timer.wait = times(l.word, argument)
	case "@arm":
		if l.timer.At.IsZero() {
			l.timer.At = l.scene.clock.Add(l.timer.wait)
		}
		l.Switch.timers = append(l.without(l.timer.Name), l.timer)
	case "@disarm":
		l.Switch.timers = l.without(cmp.Or(argument, l.word))
	}
}

func (l *login) without(name string) []*Timer {
	return slices.DeleteFunc(l.Switch.timers, func(t *Timer) bool { return t.Name == name })
}

// next is when it will be hh:mm the next time.
func (s *scene) next(hhmm string) time.Time {
	at, err := time.Parse("15:04", hhmm)
	if err != nil {
		return time.Time{}
	}
	y, m, d := s.clock.Date()
	at = time.Date(y, m, d, at.Hour(), at.Minute(), 0, 0, time.UTC)
	if !at.After(s.clock) {
		at = at.AddDate(0, 0, 1)
	}
	return at
}

// times is n units, n as a number or hh:mm.
func times(n, unit string) time.Duration {
	if hhmm, err := time.Parse("15:04", n); err == nil {
		return time.Duration(hhmm.Hour())*time.Hour + time.Duration(hhmm.Minute())*time.Minute
	}
	each, err := time.ParseDuration(unit)
	if err != nil {
		return 0
	}
	count, err := strconv.Atoi(n)
	if err != nil {
		return 0
	}
	return time.Duration(count) * each
}
