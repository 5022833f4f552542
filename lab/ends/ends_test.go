//go:build linux

package ends

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"airlock/lab"
)

// everyVariable, when set, has every end tried in every phase.
const everyVariable = "AIRLOCK_EXHAUSTIVE"

// phase is how far a window has come, by the last that was seen of it from outside.
type phase int

const (
	planning  phase = iota // what the vault lacks is being worked out
	opening                // the door is about to be opened
	open                   // the port is up
	sending                // the first blobs go through it
	sealed                 // the generation is in the vault
	shutting               // the port is down, which is being proven
	reopening              // the departments' port is up again
	phases
)

func (p phase) String() string {
	return [...]string{"planning", "opening", "open", "sending", "sealed", "down", "reopened"}[p]
}

// end is a way in which a process ends, or in which its output does.
type end struct {
	name  string
	does  func(*run)
	goes  bool          // the process is gone at once, and somebody else shuts
	stays bool          // it carries on, and shuts as ever
	guard bool          // beside a guard
	code  []int         // what it may exit with; nil: whatever is not 0
	shuts time.Duration // within which the port is down
}

// ends are all the ways.
func ends() []end {
	var all []end
	for _, s := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGALRM, syscall.SIGUSR1, syscall.SIGXCPU, syscall.SIGPWR,
	} {
		all = append(all, end{name: signalName(s), does: signalled(s), shuts: 5 * time.Second})
	}
	return append(all,
		end{name: "two signals", does: func(r *run) { r.signal(syscall.SIGINT); r.signal(syscall.SIGINT); r.signal(syscall.SIGTERM) }, shuts: 5 * time.Second},
		end{name: "terminal lost", does: (*run).hangUp, shuts: 5 * time.Second},
		end{name: "SIGKILL", does: signalled(syscall.SIGKILL), goes: true, shuts: 5 * time.Second},
		end{name: "SIGKILL with a guard", does: signalled(syscall.SIGKILL), goes: true, guard: true, shuts: 6 * time.Second},
		end{name: "SIGSTOP, then SIGKILL", does: (*run).stopped, goes: true, shuts: 10 * time.Second},
		end{name: "panic", does: signalled(syscall.SIGABRT), goes: true, shuts: 5 * time.Second},
		end{name: "SIGPIPE", does: signalled(syscall.SIGPIPE), stays: true, code: []int{0}},
		end{name: "output closed", does: (*run).unread, stays: true, code: []int{1}},
		end{name: "output full", does: (*run).fill, stays: true, code: []int{0}},
	)
}

// S14: however the process ends, and whenever, the port does not stay up.
func TestEveryEnd(t *testing.T) {
	type trial struct {
		end   end
		phase phase
	}
	var plain, guarded []trial
	chosen, quick := ends(), os.Getenv(everyVariable) == ""
	if quick {
		chosen = someOf(chosen)
	}
	first := phase(rand.IntN(int(phases)))
	for i, e := range chosen {
		for p := range phases {
			if quick && p != (first+phase(i))%phases {
				continue
			}
			if e.guard {
				guarded = append(guarded, trial{e, p})
			} else {
				plain = append(plain, trial{e, p})
			}
		}
	}
	lanes := 3
	if quick {
		lanes = 2
	}
	var mu sync.Mutex
	var figures []figure
	t.Run("lanes", func(t *testing.T) {
		lane := func(name string, trials []trial, guard bool) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := newHospital(t, guard)
				for _, one := range trials {
					f := h.try(one.end, one.phase)
					mu.Lock()
					figures = append(figures, f)
					mu.Unlock()
				}
				h.carryOn()
			})
		}
		for i := range lanes {
			var mine []trial
			for n := i; n < len(plain); n += lanes {
				mine = append(mine, plain[n])
			}
			lane(fmt.Sprint("lane ", i+1), mine, false)
		}
		lane("guard", guarded, true)
	})
	for _, line := range table(figures) {
		t.Log(line)
	}
}

// someOf draws one of those ways that are alike, so that a machine with two processors has
// them tried in a minute.
func someOf(all []end) (some []end) {
	alike := map[string][]end{}
	for _, e := range all {
		kind := e.name
		switch {
		case e.stays:
			kind = "its output"
		case !e.goes:
			kind = "caught"
		case e.name == "SIGKILL" || e.name == "panic":
			kind = "gone"
		}
		alike[kind] = append(alike[kind], e)
	}
	for _, kind := range slices.Sorted(maps.Keys(alike)) {
		i := rand.IntN(len(alike[kind]))
		some = append(some, alike[kind][i])
		if kind == "caught" { // there are ten
			some = append(some, alike[kind][(i+len(alike[kind])/2)%len(alike[kind])])
		}
	}
	return some
}

// figure is what was seen of one trial.
type figure struct {
	end   string
	phase phase
	up    bool          // when it was ended
	after time.Duration // until the port was down
	by    string        // who shut it
}

func (f figure) String() string {
	switch {
	case f.by == "":
		return "never up"
	case !f.up:
		return "down, " + f.by
	}
	return fmt.Sprintf("%d ms, %s", f.after.Milliseconds(), f.by)
}

// table are the figures as docs/safety.md has them.
func table(figures []figure) []string {
	rows := map[string][]string{}
	var names []string
	for _, f := range figures {
		if rows[f.end] == nil {
			rows[f.end] = slices.Repeat([]string{""}, int(phases))
			names = append(names, f.end)
		}
		rows[f.end][f.phase] = f.String()
	}
	lines := []string{"| ended by | " + strings.Join(strings.Fields(strings.Trim(fmt.Sprint(slices.Collect(func(yield func(phase) bool) {
		for p := range phases {
			if !yield(p) {
				return
			}
		}
	})), "[]")), " | ") + " |"}
	for _, e := range ends() {
		if slices.Contains(names, e.name) {
			lines = append(lines, "| "+e.name+" | "+strings.Join(rows[e.name], " | ")+" |")
		}
	}
	return lines
}

// try ends a window in a phase, and wants its port down in time, by whoever has to.
func (h *hospital) try(e end, p phase) figure {
	h.t.Helper()
	h.gather()
	failed, seen := h.t.Failed(), len(h.ports.Transitions())
	r := h.window(e.name == "terminal lost")
	r.reach(p)
	at := time.Now()
	f := figure{end: e.name, phase: p, up: h.isUp(lab.VaultPort)}
	e.does(r)
	r.over(e, p)
	h.until("the port is down", func() bool { return !h.isUp(lab.VaultPort) })
	for _, t := range h.ports.Transitions()[seen:] {
		if t.Port == lab.VaultPort && !t.Up && t.By.After(at) {
			f.after = t.By.Sub(at)
		}
	}
	f.by = h.whoShut(seen, at)
	for limit := time.Now().Add(10 * time.Second); e.goes && f.up && f.by == "itself" && time.Now().Before(limit); {
		f.by = h.whoShut(seen, at) // its ledger waits for no door, and no door for it
	}
	if f.up && !e.stays && f.after > e.shuts {
		h.t.Errorf("S14: the port was up for %s more", f.after)
	}
	// From the seal on, the command to shut may have been on its way.
	if f.up && e.goes && f.by == "itself" && p < sealed || f.up && !e.goes && f.by != "itself" {
		h.t.Errorf("S14: the port was shut by %s", f.by)
	}
	if h.neverBoth(seen); h.t.Failed() && !failed {
		h.t.Errorf("that was %s in phase %s: %s\n%s", e.name, p, f, r.said())
	}
	return f
}

// whoShut is who shut the port that was up since: the executor, which says so in its
// ledger, or the guard or the watcher, which do in theirs.
func (h *hospital) whoShut(seen int, at time.Time) string {
	if !slices.ContainsFunc(h.ports.Transitions()[seen:], func(t lab.Transition) bool { return t.Port == lab.VaultPort && t.Up }) {
		return ""
	}
	if _, err := os.Stat(h.guardLedger()); err == nil {
		for _, e := range h.entries("--ledger", h.guardLedger()) {
			if e.Kind == "door" && e.To == "shutting" && e.Time.After(at) {
				if h.guarded {
					return "guard"
				}
				return "watcher"
			}
		}
	}
	return "itself"
}

// neverBoth wants the two ports never up at once (S6).
func (h *hospital) neverBoth(seen int) {
	h.t.Helper()
	up := map[string]bool{}
	for i, t := range h.ports.Transitions() {
		if up[t.Port] = t.Up; i >= seen && up[lab.VaultPort] && up[lab.DepartmentsPort] {
			h.t.Errorf("S6: both ports were up at %s", t.By)
		}
	}
}

// carryOn wants the next window done, and the ports where they rest (S5, S10).
func (h *hospital) carryOn() {
	h.t.Helper()
	var record struct{ Result string }
	out, ended := h.command("window", "secondary", "--reason", "carry on", "--json").Output()
	if err := json.Unmarshal(out, &record); err != nil || record.Result != "done" {
		h.t.Errorf("the next window: %v, %v, %s", ended, err, out)
	}
	h.until("the departments' port is up", func() bool { return h.isUp(lab.DepartmentsPort) })
	if h.isUp(lab.VaultPort) {
		h.t.Error("the vault's port is up")
	}
	h.t.Cleanup(func() {
		if h.t.Failed() {
			h.t.Logf("the ledger:\n%s%s", h.airlock("audit", "list"), h.airlock("audit", "list", "--kind", "window", "--json"))
		}
	})
	h.airlock("audit", "verify")
}

// over waits for the process, and holds it to its exit code.
func (r *run) over(e end, p phase) {
	r.t.Helper()
	code := r.wait()
	switch {
	case e.goes: // it had no say
	case e.code != nil && !slices.Contains(e.code, code), e.code == nil && code == 0 && p < sealed: // from there on it may be done
		r.t.Errorf("exit code %d after %s", code, e.name)
	}
}
