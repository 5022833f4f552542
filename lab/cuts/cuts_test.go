//go:build linux

package cuts

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/lab/embedded"
	"airlock/ledger"
	"airlock/orchestrator"
	"airlock/vault"
)

// everyVariable, when set, has the test cut a window everywhere instead of at some places.
const everyVariable = "AIRLOCK_EXHAUSTIVE"

// milestone is the last that a window has demonstrably reached.
type milestone int

const (
	begun     milestone = iota
	intent              // the window is in the ledger
	opening             // and that its door is to be opened
	opened              // the port is up
	sending             // something arrives in the vault
	sealed              // the generation's manifest is there
	receipted           // the vault's host has vouched for it
	shutting            // the port was told to go down
	shut                // the ledger says that it is proven shut
	recorded            // and what became of the window
	milestones
)

func (m milestone) String() string {
	return [...]string{"begun", "intent", "opening", "open", "sending", "sealed", "receipt", "shutting", "shut", "record"}[m]
}

// course follows a window from boundary to boundary, by what can be seen from outside.
type course struct {
	w       *world
	ports   int // that had changed before it
	evening int // entries of the ledger before it
	crossed int
	at      boundary
	synced  bool // the call before made something in the ledger durable
	reached milestone
}

func (w *world) course() *course {
	return &course{w: w, ports: len(w.hospital.Ports()), evening: len(w.entries())}
}

// meets is told of the next boundary.
func (c *course) meets(b boundary) {
	c.crossed++
	if c.synced {
		c.reached = max(c.reached, told(c.w.entries()[c.evening:]))
	}
	if strings.HasSuffix(b.what, "/generation.json.new") { // the vault has taken it, and it is remembered
		c.reached = max(c.reached, sealed)
	}
	c.reached = max(c.reached, c.seen())
	c.at, c.synced = b, strings.HasSuffix(b.call, "sync") && strings.Contains(b.what, "ledger.db")
}

// seen is what the switch and the vault know of it.
func (c *course) seen() milestone {
	up := false
	for _, t := range c.w.hospital.Ports()[c.ports:] {
		if t.Port == embedded.VaultPort {
			if up = t.Up; !up {
				return shutting
			}
		}
	}
	switch {
	case c.w.lies(vault.ReceiptPath(c.w.earlier + 1)):
		return receipted
	case c.w.lies(vault.GenerationPath(c.w.earlier + 1)):
		return sealed
	case up && (c.reached >= sending || c.w.lies("incoming") || c.w.files() > c.w.before):
		return sending
	case up:
		return opened
	}
	return begun
}

// told is what a ledger says of the window: its entries after those of the evening.
func told(entries []ledger.Entry) (m milestone) {
	for _, e := range entries {
		switch {
		case e.Kind == ledger.KindWindow && e.To == "copying":
			m = max(m, intent)
		case e.Kind == ledger.KindWindow:
			m = max(m, recorded)
		case e.Door != embedded.VaultDoor || e.Window == "":
		case e.To == "opening":
			m = max(m, opening)
		case e.To == "open":
			m = max(m, opened)
		case e.To == "shutting":
			m = max(m, shutting)
		case e.To == "shut":
			m = max(m, shut)
		}
	}
	return m
}

// cut holds the evening's window, kills it at the boundary that is chosen, and wants all that
// a cut must leave. It gives the course so far, and false if the window ended before.
func (w *world) cut(chosen func(*course) bool, restores bool) (*course, bool) {
	w.t.Helper()
	w.evening()
	c, killed := w.course(), false
	err := watch(w.window(), w.dir, func(b boundary) bool {
		c.meets(b)
		killed = chosen(c)
		return !killed
	})
	if !killed {
		w.must(err)
		return c, false
	}
	if err == nil {
		w.t.Fatalf("the window was not killed at boundary %d, %s", c.crossed, c.at)
	}
	failed := w.t.Failed()
	left, moved := w.entries(), len(w.hospital.Ports())
	w.opensLoggedOnly(c.ports, left)
	w.wholeGenerations()
	record := w.nextWindow()
	w.foundShut(c.ports, moved, left)
	newest := w.wholeGenerations()
	if newest.Number != record.Generation || newest.Window != record.ID {
		w.t.Errorf("the newest generation is %d of window %s, not %d of %s", newest.Number, newest.Window, record.Generation, record.ID)
	}
	w.nothingMissing(left, newest)
	if restores {
		w.restores(1 + int64(c.crossed)%w.earlier)
		w.restores(newest.Number)
		w.run("-c", w.path("vault.yaml"), "vault", "verify")
	}
	if w.t.Failed() && !failed {
		w.t.Errorf("that was after a kill at boundary %d, %s, of a window that had reached %q", c.crossed, c.at, c.reached)
		w.tell(c, len(left))
	}
	return c, true
}

// tell shows what the ledger and the switch say since the evening.
func (w *world) tell(c *course, left int) {
	for i, e := range w.entries()[c.evening:] {
		if c.evening+i == left {
			w.t.Log("… killed, and started again …")
		}
		w.t.Logf("%d %s %s %s: %s -> %s (%s)", e.Seq, e.Time.Format(time.StampMicro), e.Kind, e.Door, e.From, e.To, e.Reason)
	}
	for _, t := range w.hospital.Ports()[c.ports:] {
		w.t.Logf("port %s up=%t at %s", t.Port, t.Up, t.At.Format(time.StampMicro))
	}
}

// window is the command for the window that is to be cut.
func (w *world) window() *exec.Cmd {
	w.guard()
	return w.command("-c", w.hospital.PolicyFile, "window", "--reason", "to be cut")
}

// opensLoggedOnly wants each real opening of the vault's port in the ledger before it
// happened (S1).
func (w *world) opensLoggedOnly(since int, entries []ledger.Entry) {
	w.t.Helper()
	for _, t := range w.hospital.Ports()[since:] {
		if t.Port != embedded.VaultPort || !t.Up {
			continue
		}
		if !slices.ContainsFunc(entries, func(e ledger.Entry) bool {
			return e.Door == embedded.VaultDoor && e.To == "opening" && !e.Time.After(t.At) && t.At.Sub(e.Time) < time.Minute
		}) {
			w.t.Errorf("S1: the port went up at %s, and the ledger says nothing of it", t.At)
		}
	}
}

// nextWindow wants the next window to be done, with a receipt.
func (w *world) nextWindow() orchestrator.WindowRecord {
	w.t.Helper()
	var r orchestrator.WindowRecord
	w.must(json.Unmarshal(w.airlock("window", "--reason", "the next", "--json"), &r))
	if r.Result != "done" || r.Receipt == nil || !r.Receipt.Whole() || r.Receipt.Generation != r.Generation || len(r.Lacks) > 0 {
		w.t.Errorf("S10: the next window: %+v", r)
	}
	return r
}

// foundShut wants the port that the cut left up to have been shut by the next start, and
// before it did anything else (S5); both ports never up together (S6); and both as they
// rest afterwards.
func (w *world) foundShut(since, moved int, left []ledger.Entry) {
	w.t.Helper()
	now := w.entries()[len(left):]
	next := slices.IndexFunc(now, func(e ledger.Entry) bool { return e.Kind == ledger.KindWindow && e.To == "copying" })
	if next < 0 {
		w.t.Fatalf("S1: the next window is not in the ledger")
	}
	up := map[string]bool{embedded.DepartmentsPort: true}
	leftUp := false
	for i, t := range w.hospital.Ports()[since:] {
		if i == moved-since {
			leftUp = up[embedded.VaultPort]
		}
		if leftUp && t.Port == embedded.VaultPort {
			if t.Up || t.At.After(now[next].Time) {
				w.t.Errorf("S5: the port was left up, and its next change is up=%t at %s; the next window began at %s", t.Up, t.At, now[next].Time)
			}
			leftUp = false
			w.shutIsLogged(now[:next])
		}
		if up[t.Port] = t.Up; up[embedded.VaultPort] && up[embedded.DepartmentsPort] {
			w.t.Errorf("S6: both ports were up at %s", t.At)
		}
	}
	if leftUp || up[embedded.VaultPort] || !up[embedded.DepartmentsPort] {
		w.t.Errorf("S5: in the end the ports are up: %v", up)
	}
}

// shutIsLogged wants an entry of the door that a start found, and shut.
func (w *world) shutIsLogged(start []ledger.Entry) {
	w.t.Helper()
	if !slices.ContainsFunc(start, func(e ledger.Entry) bool { return e.Door == embedded.VaultDoor && e.To == "shut" }) {
		w.t.Errorf("S5: the port was found up and shut, and the ledger does not say so: %+v", start)
	}
}

// nothingMissing wants every entry that there was at the kill to be there still, and the
// whole ledger to verify by the head that the vault holds (S11).
func (w *world) nothingMissing(left []ledger.Entry, newest *vault.Generation) {
	w.t.Helper()
	for i, e := range w.entries()[:len(left)] {
		if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", left[i]) {
			w.t.Errorf("S11: entry %d was %+v, and is %+v", i+1, left[i], e)
		}
	}
	head := w.path("head")
	w.must(os.WriteFile(head, []byte(newest.Ledger), 0o600))
	w.airlock("audit", "verify", "--head", head)
}

// S1, S5, S6, S10, S11: the orchestrator is killed before it crosses a boundary of a
// window: each of them in turn, or the first after every milestone. The next start finds
// the door and shuts it, the ledger is whole, every earlier generation is, and the next
// window is done.
func TestOrchestratorIsKilled(t *testing.T) {
	if !watchable() {
		t.Skip("this kernel cannot have a process watched by another: that takes Linux 6.0")
	}
	if exhaustive() {
		everywhere(t)
		return
	}
	w := newWorld(t, 1)
	for m := begun; m < milestones; m++ {
		w.after(m)
	}
}

func exhaustive() bool { return os.Getenv(everyVariable) != "" }

// after cuts a window that has reached a milestone and not the next. Where both come
// between two boundaries it tries again.
func (w *world) after(m milestone) {
	const tries = 4
	for range tries {
		c, killed := w.cut(func(c *course) bool { return c.reached >= m && c.crossed >= 50 }, m == sealed)
		if w.t.Logf("%q: killed at boundary %d, %s, when it had reached %q", m, c.crossed, c.at, c.reached); killed && c.reached == m {
			return
		}
	}
	w.t.Errorf("no window was cut that had reached %q and no more", m)
}

// everywhere cuts a window at each of its boundaries, in several hospitals at once.
func everywhere(t *testing.T) {
	worlds := 2 * runtime.NumCPU() // they mostly wait
	var mu sync.Mutex
	var cuts [milestones]int
	t.Run("boundaries", func(t *testing.T) {
		for first := range worlds {
			t.Run(fmt.Sprintf("%d of %d", first+1, worlds), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 2)
				for nth := first + 1; !t.Failed(); nth += worlds {
					c, killed := w.cut(func(c *course) bool { return c.crossed == nth }, nth%20 < 2)
					if !killed {
						break
					}
					mu.Lock()
					cuts[c.reached]++
					mu.Unlock()
				}
			})
		}
	})
	for m, n := range cuts {
		t.Logf("%d cuts of windows that had reached %q", n, milestone(m))
		if n == 0 {
			t.Errorf("no window was cut that had reached %q", milestone(m))
		}
	}
}
