package orchestrator

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/lease"
	"airlock/ledger"
	"airlock/policies"
)

// edit changes the policy file, and has the next executor run by it.
func (h *hospital) edit(old, text string) {
	h.Helper()
	path := filepath.Join(h.dir, "airlock.yaml")
	yaml, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(yaml), old) {
		h.Fatal(old, err)
	}
	h.write("airlock.yaml", strings.Replace(string(yaml), old, text, 1))
}

// reread takes the policy file in, as a restart does.
func (h *hospital) reread() {
	h.Helper()
	text, file, err := policies.ReadFile(h.file.Name)
	if err != nil {
		h.Fatal(err)
	}
	p, err := policies.Parse(file.Name, text)
	if err != nil {
		h.Fatal(err)
	}
	h.policy, h.file = *p, file
}

// S11: what the executor ran by is in the ledger, and S13: no secret is.
func TestPolicyIsInTheLedger(t *testing.T) {
	h := newHospital(t)
	h.within(func(*Site) {})
	h.within(func(*Site) {})
	if all := h.entries(ledger.Filter{Kind: ledger.KindPolicy}); len(all) > 0 {
		t.Errorf("nothing was changed, and there is %+v", all)
	}
	h.edit("max_open: 45m", "max_open: 24h")
	h.reread()
	h.within(func(*Site) {})
	starts := h.entries(ledger.Filter{Kind: ledger.KindStart})
	var d startDetail
	if err := json.Unmarshal(starts[2].Detail, &d); err != nil {
		t.Fatal(err)
	}
	if d.Policy == nil || d.Policy.Digest != h.file.Digest || d.Record["doors.vault-door.port.name"] != "p3" || d.Record["vaults.secondary.window.max_open"] != "24h" {
		t.Errorf("the start says %s", starts[2].Detail)
	}
	changed := h.entries(ledger.Filter{Kind: ledger.KindPolicy})
	if len(changed) != 1 || changed[0].Reason != "vaults.secondary.window.max_open: 24h, was 45m" {
		t.Fatalf("the change is told as %+v", changed)
	}
	h.edit("site:", "# a remark\nsite:")
	h.reread()
	h.within(func(*Site) {})
	if all := h.entries(ledger.Filter{Kind: ledger.KindPolicy}); len(all) != 2 || !strings.Contains(all[1].Reason, "nothing that concerns doors") {
		t.Errorf("a remark is told as %+v", all)
	}
	for _, e := range append(starts, changed...) {
		for _, secret := range []string{passSecret, authSecret, privSecret} {
			if strings.Contains(string(e.Detail), secret) {
				t.Errorf("entry %d holds a secret", e.Seq)
			}
		}
	}
}

// S16: systems and vaults of two sites may have the same names.
func TestOrderOfAnotherSite(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		for _, verb := range []string{"gather", "window", "restore", "verify", "release"} {
			out, err := s.Do(t.Context(), Order{Verb: verb, Site: "other-hospital", Vault: "secondary", Caller: byTest}, silent)
			if !errors.Is(err, ErrOtherSite) || out.Gathered != nil || out.Window != nil || out.Verified != nil {
				t.Errorf("%s of another site: %+v, %v", verb, out, err)
			}
		}
		if moved := h.moved(); len(moved) > 0 {
			t.Errorf("the ports moved: %q", moved)
		}
		// S2: shutting does not wait for such a question.
		out, err := s.Do(t.Context(), Order{Verb: "shut", Site: "other-hospital", Caller: byTest}, silent)
		if err != nil || len(out.Shut) != 2 || out.Runs == nil || out.Runs.Site != "test-hospital" || out.Runs.File.Digest != h.file.Digest {
			t.Errorf("shut: %+v, %v", out, err)
		}
		if _, err := s.Do(t.Context(), Order{Verb: "gather", Site: "test-hospital", Names: []string{"accounting"}, Caller: byTest}, silent); err != nil {
			t.Error(err)
		}
	})
}

// A policy file that was edited since is named wherever its executor is asked.
func TestPolicyFileThatWasChanged(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		if st, err := s.Status(t.Context()); err != nil || st.Policy == nil || len(st.Policy.Differences) > 0 {
			t.Errorf("nothing differs, and the status has %+v, %v", st.Policy, err)
		}
		h.edit("systems:", "systems:\n  dialysis: {source: {url: file://"+h.dir+"/imaging}, schedule: \"@hourly\"}")
		st, err := s.Status(t.Context())
		if err != nil || st.Policy.Digest != h.file.Digest || len(st.Policy.Differences) != 1 || !strings.HasPrefix(st.Policy.Differences[0], "the policy file has changed; airlock runs with that of") {
			t.Errorf("the file was changed, and the status has %+v, %v", st.Policy, err)
		}
		_, err = s.Gather(t.Context(), []string{"dialysis"}, byTest, silent)
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "the executor runs with the policy file of") {
			t.Errorf("a system that the file has by now: %v", err)
		}
	})
}

func TestGuardWithAnotherPolicy(t *testing.T) {
	h := newHospital(t)
	for digest, differences := range map[string]int{h.file.Digest: 0, "feed": 1} {
		st := Status{Serving: true, Guard: &GuardStatus{Policy: &lease.PolicyFile{Digest: digest, Of: h.file.Of}}}
		if st.ComparePolicy(h.file); len(st.Policy.Differences) != differences {
			t.Errorf("a guard with %s: %q", digest, st.Policy.Differences)
		}
	}
}
