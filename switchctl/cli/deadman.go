package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"airlock/switchctl"
)

// DeadMan is the switch's own way to shut the port after a time, whatever became of us
// (S4). Its commands and patterns know, besides {port}: {plain}, the port's name with -
// for all but letters and digits; {slot}, a number of Slots; and when it fires: {seconds},
// {minutes} or {hh}:{mm} from now, or, where there is a Clock, {time}, hh:mm of the
// switch's own day. Times are rounded up.
//
// Arming is an act of its own, so that it holds whichever way the port is opened then. A
// platform that can only take back the opening itself (a confirmed commit) has none.
type DeadMan struct {
	Needs []Check `yaml:"needs"` // what must hold before anything is armed
	Clock *Clock  `yaml:"clock"`
	Least int     `yaml:"least"` // minutes that it counts at the least
	Most  int     `yaml:"most"`  // minutes that it can count to; 0: any number
	Slots Slots   `yaml:"slots"`

	Arm    []string `yaml:"arm"`
	Armed  *Check   `yaml:"armed"` // holds while it is armed; none: the switch's word is taken
	Disarm []string `yaml:"disarm"`
}

// Check is a look at what a command prints.
type Check struct {
	Command string  `yaml:"command"`
	Section Pattern `yaml:"section"` // the line that begins the part which counts; none: all of it
	Has     Pattern `yaml:"has"`     // what must be there; may span lines
	// Only makes of Has what every line like Only must be; that there is none is right.
	Only Pattern `yaml:"only"`
	Else string  `yaml:"else"` // what a person has to do where it does not hold
}

// Clock is how the switch tells its time of day: groups hour, minute and second. The
// first pattern that matches counts.
type Clock struct {
	Command string    `yaml:"command"`
	Match   []Pattern `yaml:"match"`
}

// Slots are numbers of which the switch wants one for each port; the port's ifIndex
// chooses.
type Slots struct {
	First int `yaml:"first"`
	Count int `yaml:"count"`
}

func (d *DeadMan) check() error {
	known := []string{"port", "plain", "seconds", "minutes", "hh", "mm"}
	if d.Slots.Count > 0 {
		known = append(known, "slot")
	}
	if d.Clock != nil {
		known = append(known[:2:2], append(known[6:], "time")...)
	}
	var wrong []error
	for _, template := range slices.Concat(d.Arm, d.Disarm) {
		if !knows(template, known...) {
			wrong = append(wrong, fmt.Errorf("dead-man: %q: has a word in braces without its slots or clock, or one that clocks make meaningless", template))
		}
	}
	if len(d.Arm) == 0 || len(d.Disarm) == 0 {
		wrong = append(wrong, errors.New("dead-man: needs arm and disarm"))
	}
	if c := d.Clock; c != nil && (c.Command == "" || !hasGroup(c.Match, "hour") || !hasGroup(c.Match, "minute") || !hasGroup(c.Match, "second")) {
		wrong = append(wrong, errors.New("dead-man: clock: needs a command, and a match with groups hour, minute and second"))
	}
	if d.Armed != nil && d.Armed.Command == "" {
		wrong = append(wrong, errors.New("dead-man: armed: needs a command"))
	}
	for _, n := range d.Needs {
		if n.Command == "" || !n.Has.given() || n.Else == "" {
			wrong = append(wrong, errors.New("dead-man: needs: each needs command, has and else"))
		}
	}
	return errors.Join(wrong...)
}

// arming is added to a time of day, because the clock was read before the rest of what
// arming takes. It is as long as a slow console takes for it.
const arming = 30 * time.Second

const day = 24 * time.Hour

// Arm has the switch shut the port by itself.
func (p *port) Arm(ctx context.Context, after time.Duration) error {
	d := p.session.platform.DeadMan
	switch {
	case d == nil:
		return p.noDeadMan()
	case after <= 0:
		return fmt.Errorf("port %s: a dead man's switch cannot fire after %s", p.asked, after)
	}
	err := p.do(ctx, func(c *console) error {
		e, err := p.now(c)
		if err != nil {
			return err
		}
		w, err := p.deadManWords(e)
		if err != nil {
			return err
		}
		for _, need := range d.Needs {
			if err := c.needs(need, w); err != nil {
				return err
			}
		}
		if err := p.arm(c, w, after); err != nil {
			return err
		}
		p.session.armed[p.typed] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("arm the dead man's switch of port %s: %w", p.asked, err)
	}
	return nil
}

// arm takes back what is armed, once the new time is known to be possible, arms, and looks whether it is armed now.
func (p *port) arm(c *console, w words, after time.Duration) error {
	d := c.platform.DeadMan
	now, err := c.clock(d.Clock)
	if err != nil {
		return err
	}
	if err := d.timing(w, after, now); err != nil {
		return err
	}
	if held, err := c.armed(w); err != nil {
		return err
	} else if held {
		if err := c.order(w.fillAll(d.Disarm)); err != nil {
			return err
		}
	}
	if err := c.order(w.fillAll(d.Arm)); err != nil {
		return c.takeBack(err, w)
	}
	if held, err := c.armed(w); err != nil || held || d.Armed == nil {
		return err
	}
	return &stillUsable{fmt.Errorf("the switch took every command, but %q does not show that it is armed", w.fill(d.Armed.Command))}
}

// takeBack removes what was half armed when the switch refused, and returns err. What
// cannot be taken back was never made.
func (c *console) takeBack(err error, w words) error {
	if !errors.Is(err, switchctl.ErrRefused) {
		return err
	}
	undo := c.order(w.fillAll(c.platform.DeadMan.Disarm))
	if undo == nil || errors.Is(undo, switchctl.ErrRefused) {
		return err
	}
	return errors.Join(err, undo)
}

// Disarm takes it back and leaves the port as it is. Where neither this session armed
// it nor the switch shows it, a switch that refuses has nothing to take back.
func (p *port) Disarm(ctx context.Context) error {
	if p.session.platform.DeadMan == nil {
		return p.noDeadMan()
	}
	err := p.do(ctx, func(c *console) error {
		e, err := p.now(c)
		if err != nil {
			return err
		}
		w, err := p.deadManWords(e)
		if err != nil {
			return err
		}
		if err := p.disarm(c, w); err != nil {
			return err
		}
		delete(p.session.armed, p.typed)
		return nil
	})
	if err != nil {
		return fmt.Errorf("disarm the dead man's switch of port %s: %w", p.asked, err)
	}
	return nil
}

func (p *port) noDeadMan() error {
	return fmt.Errorf("port %s: platform %s has no dead man's switch: %w", p.asked, p.session.platform.Platform, errors.ErrUnsupported)
}

func (p *port) disarm(c *console, w words) error {
	d := c.platform.DeadMan
	if held, err := c.armed(w); err != nil || d.Armed != nil && !held {
		return err
	}
	err := c.order(w.fillAll(d.Disarm))
	if d.Armed == nil && !p.session.armed[p.typed] && errors.Is(err, switchctl.ErrRefused) {
		return nil
	}
	return err
}

// armed tells whether the switch shows that the port's is armed; false where the
// platform has no way to see it.
func (c *console) armed(w words) (bool, error) {
	if c.platform.DeadMan.Armed == nil {
		return false, nil
	}
	return c.holds(*c.platform.DeadMan.Armed, w)
}

var notPlain = regexp.MustCompile(`[^A-Za-z0-9]+`)

// deadManWords is the words of the port but for those of time.
func (p *port) deadManWords(e entry) (words, error) {
	w, err := p.session.platform.naming(p.typed)
	if err != nil {
		return nil, &stillUsable{err}
	}
	w["plain"] = notPlain.ReplaceAllString(p.typed, "-")
	slots := p.session.platform.DeadMan.Slots
	if slots.Count == 0 {
		return w, nil
	}
	if e.row.Index == 0 {
		return nil, &stillUsable{fmt.Errorf("the switch tells no ifIndex for it, which the platform's slots need: %w", errors.ErrUnsupported)}
	}
	w["slot"] = strconv.Itoa(slots.First + e.row.Index%slots.Count)
	return w, nil
}

// timing adds the words of time to w. now is the switch's time of day, where that is
// what counts.
func (d *DeadMan) timing(w words, after time.Duration, now *time.Duration) error {
	after = max(after, time.Duration(d.Least)*time.Minute)
	most := time.Duration(d.Most) * time.Minute
	if now != nil {
		after += arming
		most = cmp.Or(most, day-2*time.Minute)
	}
	minutes := roundUp(after, time.Minute)
	if most > 0 && time.Duration(minutes)*time.Minute > most {
		return &stillUsable{fmt.Errorf("it can count to %s and not to %s; shorten max_open: %w", most, after, errors.ErrUnsupported)}
	}
	if now != nil {
		fires := roundUp(*now+after, time.Minute) % roundUp(day, time.Minute)
		w["time"] = fmt.Sprintf("%02d:%02d", fires/60, fires%60)
		return nil
	}
	w["seconds"] = strconv.FormatInt(roundUp(after, time.Second), 10)
	w["minutes"] = strconv.FormatInt(minutes, 10)
	w["hh"], w["mm"] = fmt.Sprintf("%02d", minutes/60), fmt.Sprintf("%02d", minutes%60)
	return nil
}

func roundUp(d, unit time.Duration) int64 { return int64((d + unit - 1) / unit) }

// clock reads the switch's time of day, where the platform counts by it.
func (c *console) clock(clock *Clock) (*time.Duration, error) {
	if clock == nil {
		return nil, nil
	}
	output, err := c.ask(clock.Command)
	if err != nil {
		return nil, err
	}
	f := Table{Match: clock.Match}.fields(output)
	var parts [3]int
	for i, name := range []string{"hour", "minute", "second"} {
		if parts[i], err = strconv.Atoi(f[name]); err != nil {
			return nil, &stillUsable{fmt.Errorf("%q told no time of day that platform %s can read", clock.Command, c.platform.Platform)}
		}
	}
	now := time.Duration(parts[0])*time.Hour + time.Duration(parts[1])*time.Minute + time.Duration(parts[2])*time.Second
	return &now, nil
}

// needs is an error that says what a person has to do, unless the need is met.
func (c *console) needs(need Check, w words) error {
	held, err := c.holds(need, w)
	if err != nil && !errors.Is(err, switchctl.ErrRefused) || held {
		return err
	}
	return &stillUsable{fmt.Errorf("%s: %w", w.fill(need.Else), errors.Join(errors.ErrUnsupported, err))}
}

func (c *console) holds(check Check, w words) (bool, error) {
	output, err := c.ask(w.fill(check.Command))
	if err != nil {
		return false, err
	}
	held, err := check.holds(output, w)
	if err != nil {
		return false, &stillUsable{err}
	}
	return held, nil
}

func (k Check) holds(output string, w words) (bool, error) {
	has, err := k.Has.with(w)
	if err != nil {
		return false, err
	}
	lines, err := sections(output, k.Section, w)
	switch {
	case err != nil:
		return false, err
	case k.Only.given():
		return !slices.ContainsFunc(lines, func(l string) bool { return k.Only.is(l) && !has.is(l) }), nil
	case !k.Has.given():
		return len(lines) > 0, nil
	}
	return has.is(strings.Join(lines, "\n")), nil
}
