//go:build linux

package lab

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Sampler watches ports of the switch from outside: it asks the kernel, in the
// switch's namespace, whether each was told to be up, and believes nobody else. A port
// is followed under the name by which it was found, whatever it is called later.
type Sampler struct {
	fd   int // a socket of the switch's namespace
	stop func()
	done chan struct{}

	mu   sync.Mutex
	seen []Transition
}

// Transition is a change of a port's administrative state. It happened after After,
// when the port was last seen as it was before, and not later than By. The first of
// each port is how it was found, with a zero After.
type Transition struct {
	Port      string
	Up        bool
	After, By time.Time
}

// sampling is the time between two looks, as far as the machine lets it.
const sampling = time.Millisecond

// Sampler starts to watch ports, which have been looked at once when it returns. A
// port that is not there shows no transition until it is.
func (h *Hospital) Sampler(ports ...string) (*Sampler, error) {
	fd, err := socketIn(h.Namespace(Switch))
	if err != nil {
		return nil, fmt.Errorf("lab: watch the switch: %w", err)
	}
	quit := make(chan struct{})
	s := &Sampler{fd: fd, done: make(chan struct{}), stop: sync.OnceFunc(func() { close(quit) })}
	h.mu.Lock()
	h.samplers = append(h.samplers, s)
	h.mu.Unlock()
	last := make([]sighting, len(ports))
	for i, p := range ports {
		last[i].port = p
	}
	s.look(last)
	go func() {
		defer close(s.done)
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				s.look(last)
			}
		}
	}()
	return s, nil
}

// sighting is a port as it was last seen.
type sighting struct {
	port  string
	index uint32    // 0: not found yet
	at    time.Time // zero: never
	up    bool
}

func (s *Sampler) look(ports []sighting) {
	for i := range ports {
		p := &ports[i]
		before := time.Now()
		up, err := adminUp(s.fd, p)
		if err != nil {
			continue // gone for now: not there yet, on its way to another name, or being torn down
		}
		if p.at.IsZero() || up != p.up {
			s.mu.Lock()
			s.seen = append(s.seen, Transition{p.port, up, p.at, time.Now()})
			s.mu.Unlock()
		}
		p.at, p.up = before, up
	}
}

// adminUp reads IFF_UP, which is what an administrator asked for, as netdevice(7) has it.
func adminUp(fd int, p *sighting) (bool, error) {
	request, err := unix.NewIfreq(p.port)
	if err != nil {
		return false, err
	}
	if p.index == 0 {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
			return false, err
		}
		p.index = request.Uint32()
	}
	request.SetUint32(p.index)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFNAME, request); err != nil {
		return false, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return false, err
	}
	return request.Uint16()&unix.IFF_UP != 0, nil
}

// Transitions lists what was seen so far, in the order of time.
func (s *Sampler) Transitions() []Transition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Transition(nil), s.seen...)
}

// Stop ends the watch and lists what was seen. It may be called again.
func (s *Sampler) Stop() []Transition {
	s.stop()
	<-s.done
	s.mu.Lock()
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
	s.mu.Unlock()
	return s.Transitions()
}
