package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/sshconn"

	"golang.org/x/crypto/ssh"
)

// A refused login is recorded with the name, the key's fingerprint and the address.
func TestRefusedLoginIsNamed(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	stranger := newKey(t)
	conf := sshconn.Config{Address: w.conn.Address, User: "airlock", Key: stranger.private, KnownHosts: w.conn.KnownHosts}
	if _, err := sshconn.Dial(t.Context(), conf); err == nil {
		t.Fatal("a stranger is in")
	}
	for late := time.Now().Add(time.Minute); w.entries(ledger.KindRefusal) == 0; time.Sleep(time.Millisecond) { // the host learns of it a little later
		if time.Now().After(late) {
			t.Fatal("no refusal is recorded")
		}
	}
	for e, err := range w.host.ledger.Entries(t.Context(), ledger.Filter{Kind: ledger.KindRefusal}) {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(e.Reason, "user airlock with key "+ssh.FingerprintSHA256(stranger.public)) || !strings.Contains(e.Actor, "127.0.0.1") {
			t.Errorf("%s by %s", e.Reason, e.Actor)
		}
	}
}

// What a person must look at is in the status, and what cannot wait is grave.
func TestStatus(t *testing.T) {
	w := newWorld(t)
	w.windows(2)
	w.serve(usual())
	st, err := w.host.Status(t.Context())
	for until := time.Now().Add(10 * time.Second); err == nil && !st.Served && time.Now().Before(until); {
		st, err = w.host.Status(t.Context()) // serve has only just begun
	}
	if err != nil || !st.Served || st.Generations != 2 || st.Newest != 2 || st.Grave || len(st.Wrong) > 0 {
		t.Errorf("%+v, %v", st, err)
	}
	w.spoil("kopia.repository.f")
	if _, err := w.host.Verify(t.Context(), VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := w.entries(ledger.KindVerify); n != 1 {
		t.Errorf("%d verifications", n)
	}
	if st, err = w.host.Status(t.Context()); err != nil || !st.Grave || st.Damaged != 1 || st.Verified.IsZero() || len(st.Alarms) != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// A host that is nearly full cannot wait, one whose clients have filled all but the reserve
// can; and what somebody puts in the place of generations is told.
func TestStatusOfAttacks(t *testing.T) {
	for what, c := range map[string]struct {
		Status
		wrong, grave bool
	}{
		"half":         {Status{Quota: 1000, Reserve: 100, Room: 500}, false, false},
		"the reserve":  {Status{Quota: 1000, Reserve: 100, Room: 100}, true, false},
		"a little":     {Status{Quota: 1000, Reserve: 100, Room: 49}, true, false},
		"next to none": {Status{Quota: 1000, Reserve: 100, Room: 9}, true, true},
		"none":         {Status{Room: 0}, true, true},
	} {
		s := c.Status
		s.Served, s.Generations = true, 1
		if s.judge(Config{Now: time.Now}); s.Grave != c.grave || len(s.Wrong) > 0 != c.wrong {
			t.Errorf("%s: grave %v, %q", what, s.Grave, s.Wrong)
		}
	}
	w := newWorld(t)
	w.serve(usual())
	r := w.raw()
	r.ask(fxpMkdir, w.conf.Folder+"/generations", uint32(0))
	for _, name := range []string{"00000002.json", "00000003.json", "00000003.sig"} {
		if code, text := r.put(w.conf.Folder+"/generations/"+name, []byte("junk")); code != 0 {
			t.Fatal(text)
		}
	}
	for after, want := range map[time.Duration]int{0: 0, 2 * time.Hour: 3} {
		w.pass(after)
		st, err := w.host.Status(t.Context())
		w.pass(-after)
		if err != nil || st.Unsigned != want {
			t.Errorf("after %s: %d files are unsigned, not %d; %v", after, st.Unsigned, want, err)
		}
	}
}

// Each thing that serve would stumble over is found, with what to do, and nothing is made.
func TestExamine(t *testing.T) {
	dir := t.TempDir()
	folder, state := filepath.Join(dir, "vault"), filepath.Join(dir, "state")
	for _, f := range Examine(folder, state) {
		if f.Fix == "" {
			t.Errorf("%+v", f)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("made: %v, %v", files, err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	found := Examine(folder, state)
	if found[0].Fix != "" || !strings.Contains(found[1].Fix, "chmod 700") {
		t.Errorf("%+v", found)
	}
}
