package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"airlock/orchestrator"
	"airlock/orchestrator/doors"
	"airlock/policies"
	"airlock/switchctl"
)

// reachDoor looks a door's port up by each of its ways, and asks what its switch makes of
// it after a power cut (S8); and of an inner door, whether airlock reaches the switch
// through it, for then it would lock itself out.
func reachDoor(ctx context.Context, name string, p policies.Policy, watch orchestrator.Watch) []finding {
	d := p.Doors[name]
	what := "door " + name
	var all []finding
	var saved savedPort
	for i, by := range []string{d.Switch, d.Fallback} {
		if by == "" {
			continue
		}
		l, one := switchctl.Lookup(d.Port), what
		if i > 0 {
			l, one = switchctl.Lookup(d.FallbackPort), what+" by "+by
		}
		inner := i == 0 && isInner(p, name)
		all = append(all, usePort(ctx, p, by, l, one, func(sw switchctl.Switch, port switchctl.Port, r switchctl.Reading) []finding {
			saved.ask(ctx, port)
			if !inner {
				return nil
			}
			return []finding{carriesUs(ctx, what, by, sw, port, r, watch)}
		})...)
	}
	return append(all, saved.finding(what, !isInner(p, name)))
}

func isInner(p policies.Policy, door string) bool {
	for _, v := range p.Vaults {
		if v.InnerDoor == door {
			return true
		}
	}
	return false
}

// usePort finds a port, says so, and adds what f finds out about it.
func usePort(ctx context.Context, p policies.Policy, by string, l switchctl.Lookup, what string, f func(switchctl.Switch, switchctl.Port, switchctl.Reading) []finding) []finding {
	var more []finding
	var read switchctl.Reading
	err := withPort(ctx, *p.Switches[by], l, func(sw switchctl.Switch, port switchctl.Port) (err error) {
		if read, err = port.Read(ctx); err == nil {
			more = f(sw, port, read)
		}
		return err
	})
	return append([]finding{result(what, fmt.Sprintf("is port %s of switch %s, %s", portName(read.Row), by, adminWord(read.Row.Admin)), err)}, more...)
}

// withPort looks one port up, as a door would.
func withPort(ctx context.Context, s policies.Switch, l switchctl.Lookup, f func(switchctl.Switch, switchctl.Port) error) error {
	sw, err := readSwitch(ctx, s)
	if err != nil {
		return err
	}
	port, err := sw.Find(ctx, l)
	if err != nil {
		return errors.Join(err, sw.Close())
	}
	return errors.Join(f(sw, port), port.Close(), sw.Close())
}

// readPort looks one port up and reads it.
func readPort(ctx context.Context, s policies.Switch, l switchctl.Lookup) (r switchctl.Reading, err error) {
	err = withPort(ctx, s, l, func(_ switchctl.Switch, port switchctl.Port) (err error) {
		r, err = port.Read(ctx)
		return err
	})
	return r, err
}

func portName(r switchctl.Row) string {
	name := fmt.Sprintf("%d", r.Index)
	if r.Name != "" {
		name = fmt.Sprintf("%s (index %d)", r.Name, r.Index)
	}
	return name
}

// savedPort is what is known of a port after a power cut.
type savedPort struct {
	switchctl.Saved
	known bool
	err   error
}

// ask asks one of the door's ways, unless another knew.
func (s *savedPort) ask(ctx context.Context, port switchctl.Port) {
	keeper, ok := port.(switchctl.Keeper)
	if !ok || s.known {
		return
	}
	saved, err := keeper.Saved(ctx)
	s.Saved, s.known, s.err = saved, err == nil, err
}

// finding says what was learned. A door that rests open may come up open.
func (s savedPort) finding(what string, restsShut bool) finding {
	f := finding{What: what + " after a power cut", OK: true}
	switch {
	case s.known && s.Shut:
		f.Text = "its port comes up shut, by the switch's saved configuration"
	case s.known && restsShut:
		f.OK = false
		f.Text = "its port would come up OPEN; with the door shut, type at the switch: " + strings.Join(s.Cure, "; ")
	case s.known:
		f.Text = "its port comes up open, by the switch's saved configuration; it rests open"
	case s.err != nil:
		f.Unknown = true
		f.Text = "not known: " + s.err.Error()
	default:
		f.Unknown = true
		f.Text = "not known, for SNMP does not show what a switch has saved; look there whether the port is saved as shut, or give the door a fallback with driver: cli"
	}
	return f
}

// carriesUs finds out whether shutting the inner door would cut airlock off its switch.
func carriesUs(ctx context.Context, what, by string, sw switchctl.Switch, port switchctl.Port, now switchctl.Reading, watch orchestrator.Watch) finding {
	f := finding{What: what + " and the way to its switch", OK: true}
	if now.Row.Admin == switchctl.AdminDown {
		f.Text = "airlock does not reach switch " + by + " through it: it is shut, and the switch answers"
		return f
	}
	watch(orchestrator.Progress{Task: "check " + what, Stage: "finding out whether it carries airlock's own packets"})
	defer watch(orchestrator.Progress{Task: "check " + what, Stage: "done"})
	carrying, how, err := switchctl.CarriesUs(ctx, sw, port)
	switch {
	case err != nil:
		f.OK, f.Text = false, err.Error()
	case carrying == switchctl.Carries:
		f.OK = false
		f.Text = fmt.Sprintf("airlock reaches switch %s through this very port (%s): shutting it would lock airlock out; give airlock another way to the switch", by, how)
	case carrying == switchctl.CarryingUnknown:
		f.Unknown = true
		f.Text = fmt.Sprintf("whether airlock reaches switch %s through it is not known: %s; it must not", by, how)
	default:
		f.Text = fmt.Sprintf("airlock does not reach switch %s through it: %s", by, how)
	}
	return f
}

// comparePorts says which doors an executor would not open for their ports' sake (S6, S7).
func comparePorts(ctx context.Context, p policies.Policy) []finding {
	var all []finding
	for _, clash := range doors.Clashes(ctx, p, readSwitch) {
		all = append(all, finding{What: "door " + clash.Door, Text: clash.Text})
	}
	return all
}
