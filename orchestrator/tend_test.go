package orchestrator

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/orchestrator/custody"
	"airlock/policies"
	"airlock/vault"
)

// night changes a file, gathers, and holds a window, in one run.
func (h *hospital) night(by Caller) (record WindowRecord, alarms []Alarm, err error) {
	h.Helper()
	h.nights++
	h.dayPasses()
	h.write("accounting/会計.dump", strings.Repeat(fmt.Sprintf("ledger of night %d ", h.nights), 500))
	h.within(func(s *Site) {
		if _, err := s.Gather(h.Context(), []string{"accounting"}, byTest, silent); err != nil {
			h.Fatal(err)
		}
		record, err = s.Window(h.Context(), "secondary", by, silent)
		st, failed := s.Status(h.Context())
		if failed != nil {
			h.Error(failed)
		}
		alarms = st.Alarms
	})
	return record, alarms, err
}

// dayPasses has the generations that the register knows be of a day earlier.
func (h *hospital) dayPasses() {
	h.Helper()
	file := filepath.Join(string(h.policy.State), "vaults/secondary/register")
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		h.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	head = regexp.MustCompile(`"time":"[^"]*"`).ReplaceAllStringFunc(head, func(field string) string {
		at, err := time.Parse(`"time":"`+time.RFC3339Nano+`"`, field)
		if err != nil {
			h.Fatal(err)
		}
		return `"time":"` + at.AddDate(0, 0, -1).Format(time.RFC3339Nano) + `"`
	})
	if err := os.WriteFile(file, []byte(head+"\n"+rest), 0o600); err != nil {
		h.Fatal(err)
	}
}

// standing are the generations in the vault's folder.
func (h *hospital) standing() (numbers []int64) {
	h.Helper()
	files, err := filepath.Glob(filepath.Join(h.dir, "vault/generations/*.json"))
	if err != nil {
		h.Fatal(err)
	}
	for _, file := range files {
		numbers = append(numbers, vault.GenerationOf("generations/"+filepath.Base(file)))
	}
	return numbers
}

func told(alarms []Alarm, text string) bool {
	return slices.ContainsFunc(alarms, func(a Alarm) bool { return strings.Contains(a.String(), text) })
}

// A plain vault is read back in every window, and loses what no rule keeps, after a
// brake, and a clock, have let it.
func TestPlainVault(t *testing.T) {
	h := newHospital(t)
	h.keys()
	v := h.policy.Vaults["secondary"]
	v.Keep = policies.Keep{Last: 5}
	v.Retention.MinAge = 0
	for i := range 3 {
		r, alarms, err := h.night(byTest)
		if err != nil || len(alarms) > 0 || r.Result != resultDone {
			t.Fatalf("night %d: %v, %v", i+1, err, alarms)
		}
		if b := r.ReadBack; b == nil || b.Blobs != r.Blobs+r.Held || b.Read == 0 || b.Bytes == 0 || len(b.Amiss()) > 0 {
			t.Errorf("night %d: read back %+v of %d blobs", i+1, b, r.Blobs+r.Held)
		}
		if k := r.Retention; k == nil || len(k.Dropped) > 0 || k.Held != "" || k.Kept != i+1 {
			t.Errorf("night %d: retention %+v", i+1, k)
		}
	}

	v.Keep, v.Retention.MinCount, v.Retention.Brake = policies.Keep{Last: 1}, 1, 2
	r, alarms, err := h.night(byTest)
	if err != nil || r.Retention.Held == "" || !told(alarms, "3 generations would go (1, 2, 3)") || told(alarms, "--brake 3") {
		t.Fatalf("beyond the brake: %+v, %v, %v", r.Retention, alarms, err)
	}
	clock := filepath.Join(string(h.policy.State), "vaults/secondary/clock.json")
	w, err := vault.ReadWitness(clock)
	if err != nil || w.Wall.IsZero() {
		t.Fatalf("%+v, %v", w, err)
	}
	ahead := fmt.Sprintf(`{"wall":%q,"clock":{"boot":"another"}}`, w.Wall.Add(time.Hour).Format(time.RFC3339))
	if err := os.WriteFile(clock, []byte(ahead), 0o600); err != nil {
		t.Fatal(err)
	}
	by := byTest
	by.Brake = 10
	if r, alarms, err = h.night(by); err != nil || !told(alarms, "the clock went back") || len(r.Retention.Dropped) > 0 {
		t.Fatalf("with a clock in doubt: %+v, %v, %v", r.Retention, alarms, err)
	}
	by.ClockRight = true
	if r, alarms, err = h.night(by); err != nil || len(alarms) > 0 || !slices.Equal(r.Retention.Dropped, []int64{1, 2, 3, 4, 5}) {
		t.Fatalf("as a person has it: %+v, %v, %v", r.Retention, alarms, err)
	}
	if got := h.standing(); !slices.Equal(got, []int64{6}) {
		t.Errorf("generations %d stand", got)
	}
	if !strings.Contains(r.String(), "5 generations dropped") || !strings.Contains(r.String(), "sizes compared") {
		t.Error(r)
	}
	h.restores("secondary")
}

// restores restores a system from somewhere, and wants the newest night's file.
func (h *hospital) restores(from string) {
	h.Helper()
	to := filepath.Join(h.dir, "restored", fmt.Sprint(h.nights))
	h.within(func(s *Site) {
		if _, err := s.Restore(h.Context(), Restore{System: "accounting", To: to, From: from}, byTest, silent); err != nil {
			h.Error(err)
		}
	})
	want, err := os.ReadFile(filepath.Join(h.dir, "accounting/会計.dump"))
	got, err2 := os.ReadFile(filepath.Join(to, "会計.dump"))
	if errors.Join(err, err2) != nil || string(got) != string(want) {
		h.Errorf("restored from %s: %d bytes, want %d; %v", from, len(got), len(want), errors.Join(err, err2))
	}
}

// A sample that is not as it was sent is damage: an alarm, the blob is sent again, the
// window is done in part, and drops nothing.
func TestPlainVaultDamaged(t *testing.T) {
	h := newHospital(t)
	h.keys()
	v := h.policy.Vaults["secondary"]
	v.Retention.MinAge = 0
	v.ReadBack.Bytes = 1 << 30 // all
	if _, _, err := h.night(byTest); err != nil {
		t.Fatal(err)
	}
	v.Keep, v.Retention.MinCount = policies.Keep{Last: 1}, 1
	packs, err := filepath.Glob(filepath.Join(h.dir, "vault/p/*/*.f"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	text, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := errors.Join(os.Chmod(packs[0], 0o600), os.WriteFile(packs[0], text, 0o600)); err != nil {
		t.Fatal(err)
	}
	r, alarms, err := h.night(byTest)
	if !errors.Is(err, ErrInPart) || r.Result != resultInPart || len(r.ReadBack.Damaged) != 1 || r.Resent != 1 || r.Generation != 3 || !told(alarms, "1 blobs of the vault were not as they had been sent") {
		t.Fatalf("%+v\n%v\n%v", r, alarms, err)
	}
	if r.Retention != nil {
		t.Errorf("a window with damage dropped something: %+v", r.Retention)
	}
	h.restores("secondary")
	if r, alarms, err = h.night(byTest); err != nil || len(alarms) > 0 || len(r.ReadBack.Amiss()) > 0 || !slices.Equal(r.Retention.Dropped, []int64{1, 2, 3}) || r.Retention.Blobs == 0 {
		t.Fatalf("the night after: %+v, %+v, %v, %v", r.ReadBack, r.Retention, alarms, err)
	}
	if _, err := os.Stat(packs[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the damaged pack, which no generation lists any more: %v", err)
	}
	h.restores("secondary")
}

// S17: somebody with the site's key puts a generation into a plain vault: it is an alarm, it
// is not gone on from, and nothing is dropped while it stands.
func TestStrangeGeneration(t *testing.T) {
	h := newHospital(t)
	h.keys()
	v := h.policy.Vaults["secondary"]
	v.Retention.MinAge, v.Retention.MinCount, v.Keep = 0, 1, policies.Keep{Last: 2}
	for range 2 {
		if _, alarms, err := h.night(byTest); err != nil || len(alarms) > 0 {
			t.Fatal(alarms, err)
		}
	}
	signer, err := custody.Signer(h.policy.State)
	if err != nil {
		t.Fatal(err)
	}
	g := &vault.Generation{Number: 3, Site: h.policy.Site, Vault: "secondary", Window: "strange", Time: time.Now().UTC().Truncate(time.Millisecond)}
	file, err := g.Encode()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := vault.SignGeneration(3, sha256.Sum256(file), signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{vault.GenerationPath(3): file, vault.SignaturePath(3): signature} {
		if err := os.WriteFile(filepath.Join(h.dir, "vault", name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for night := range 3 {
		r, alarms, _ := h.night(byTest)
		if r.Generation != int64(4+night) || !told(alarms, "somebody else uses the site's key") || !told(alarms, "generation 3 in the vault") {
			t.Errorf("night %d: %+v, %v", night, r, alarms)
		}
		if r.Retention != nil && (r.Retention.Held == "" || len(r.Retention.Dropped) > 0) {
			t.Errorf("night %d: %+v", night, r.Retention)
		}
	}
	if got := h.standing(); len(got) != 6 {
		t.Errorf("generations %d stand", got)
	}
	h.restores("secondary")
}
