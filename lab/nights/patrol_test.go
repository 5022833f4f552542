//go:build linux

package nights

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"airlock/lab"
	"airlock/lab/labtest"
)

// finding is the evidence in an entry of patrol.
type finding struct {
	Differs    []string
	ShutSeen   time.Time `json:"shut_seen"`
	OpenAtMost float64   `json:"open_at_most_seconds"`
	Trap       *struct{ Authentic bool }
}

// findings are the entries of patrol about something.
func (h *hospital) findings(to string) []finding {
	h.t.Helper()
	var all []finding
	for _, e := range h.ledger("--kind", "patrol", "--door", "vault-door") {
		var f finding
		if err := json.Unmarshal(e.Detail, &f); err != nil {
			h.t.Fatalf("%v: %s", err, e.Detail)
		}
		if e.To == to {
			all = append(all, f)
		}
	}
	return all
}

// tries is how often each way of being found is measured.
const tries = 5

// patrols is a hospital whose serve patrols, by these lines of the policy file, and has a
// reading to compare with.
func patrols(t *testing.T, o lab.Options, lines string) *hospital {
	t.Helper()
	status := "status: {listen: \"127.0.0.1:9470\"}\n"
	h := up(t, o, status, status+lines)
	h.background("is where it belongs", "serve")
	h.atRest()
	return h
}

// atRest waits until patrol has noted what later readings are compared with.
func (h *hospital) atRest() {
	h.t.Helper()
	h.until("patrol has a reading to compare with", func() bool {
		<-time.After(time.Second) // each look at the ledger is a process
		return len(h.findings("at rest")) > 0
	})
}

// open has somebody open the vault's port by hand, and gives the time until it is shut.
func (h *hospital) open(told func()) time.Duration {
	h.t.Helper()
	began := time.Now()
	if err := h.SetPort(h.t.Context(), lab.VaultPort, true); err != nil {
		h.t.Fatal(err)
	}
	h.until("the sampler saw it", func() bool { return h.isUp(lab.VaultPort) })
	told()
	h.until("the port is shut again", func() bool { return !h.isUp(lab.VaultPort) })
	return time.Since(began)
}

// proven waits until the vault's door is proven shut.
func (h *hospital) proven() {
	h.t.Helper()
	h.until("the door is proven shut", func() bool {
		<-time.After(time.Second)
		all := h.ledger("--kind", "door", "--door", "vault-door")
		return all[len(all)-1].To == "shut"
	})
}

// report logs what was measured.
func (h *hospital) report(how string, took []time.Duration) {
	slices.Sort(took)
	h.t.Logf("hand-opened → shut, %s: median %s, worst %s of %d", how, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), len(took))
}

// A port that somebody opens at the switch is found by the next look, shut, and stands in
// the ledger with the longest time that it was open. One that is shut again by then has
// left traces.
func TestPatrol(t *testing.T) {
	const every = 5 * time.Second
	h := patrols(t, lab.Options{}, "patrol: {every: 5s}\n")
	if err := h.SetPort(t.Context(), lab.VaultPort, true); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Second) // for so long it stands open; nothing says when that is enough
	if err := h.SetPort(t.Context(), lab.VaultPort, false); err != nil {
		t.Fatal(err)
	}
	h.until("the traces were found", func() bool {
		<-time.After(time.Second)
		return len(h.findings("opened")) > 0
	})
	for _, f := range h.findings("opened") {
		t.Logf("traces: %+v", f)
		if f.OpenAtMost < 1 || f.OpenAtMost > (every+2*lab.AgentMemory).Seconds() {
			t.Errorf("open for %.1f s at most", f.OpenAtMost)
		}
	}
	h.proven()
	var took []time.Duration
	for range tries {
		took = append(took, h.open(func() {}))
		h.proven()
	}
	h.report("by poll every 5s", took)
	if worst := took[len(took)-1]; worst > every+lab.AgentMemory+2*time.Second {
		t.Errorf("the slowest took %s", worst)
	}
	var longest float64
	shut := h.findings("shut")
	for _, f := range shut {
		longest = max(longest, f.OpenAtMost)
	}
	// One that came between two questions to the switch and the vault is found twice.
	if len(shut) < tries || len(shut) > 2*tries {
		t.Errorf("%d entries of %d openings", len(shut), tries)
	}
	if longest < took[len(took)-1].Seconds() {
		t.Errorf("the ledger says that it stood open for %.1f s at most, the sampler says %s", longest, took[len(took)-1])
	}
	// S10, S12: it was proven shut, so windows go on.
	h.do(0, "gather", "ophthalmology")
	h.says(h.do(0, "window", "secondary", "--reason", "after all that"), "done")
}

// A switch that tells of the opened port has it shut at once, however seldom doors are
// looked at.
func TestPatrolByTrap(t *testing.T) {
	labtest.Want(t, "snmptrap")
	h := patrols(t, lab.Options{Traps: true}, "patrol: {every: 1h}\ntraps: {listen: \"10.78.0.2:162\"}\n")
	// The first is the agent's own trap, while doors are looked at once an hour; the others
	// come so soon after it that they may be found by a look that it led to.
	byAgent := []time.Duration{h.open(func() {})}
	h.proven()
	var bySwitch []time.Duration
	for range tries {
		bySwitch = append(bySwitch, h.open(h.tellLinkUp))
		h.proven()
	}
	h.report("by the trap of net-snmp, which looks at its ports now and then", byAgent)
	h.report("by the trap of a switch that tells at once", bySwitch)
	if worst := bySwitch[len(bySwitch)-1]; worst > 5*time.Second {
		t.Errorf("the slowest took %s", worst)
	}
	if found := len(h.findings("opened")); found < 1+tries {
		t.Errorf("%d entries of %d openings", found, 1+tries)
	}
}

// tellLinkUp sends the trap of a switch that notices at once.
func (h *hospital) tellLinkUp() {
	h.t.Helper()
	index, err := h.Command(h.t.Context(), lab.Switch, "cat", "/sys/class/net/"+lab.VaultPort+"/ifindex").Output()
	if err != nil {
		h.t.Fatal(err)
	}
	c := h.Command(h.t.Context(), lab.Switch, "snmptrap", "-v3", "-u", lab.SNMPUser, "-l", "authPriv", "-a", "SHA-256", "-A", lab.SNMPAuth,
		"-x", "AES", "-X", lab.SNMPPrivacy, "-e", "0x80001f8804"+fmt.Sprintf("%x", "switch"), "-Ln", "10.78.0.2:162", "",
		".1.3.6.1.6.3.1.1.5.4", ".1.3.6.1.2.1.2.2.1.1", "i", string(index[:len(index)-1]))
	c.Env = append(c.Environ(), "MIBS=", "SNMPCONFPATH=/nonexistent", "SNMP_PERSISTENT_DIR="+h.t.TempDir())
	if out, err := c.CombinedOutput(); err != nil {
		h.t.Fatalf("snmptrap: %v: %s", err, out)
	}
}
