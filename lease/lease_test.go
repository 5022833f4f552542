package lease

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"airlock/state"

	"pgregory.net/rapid"
)

const ttl = 15 * time.Second

func at(since time.Duration) Instant { return Instant{"boot-1", since} }

// issued is a lease of door v, from one hour after the boot, for ten minutes at most.
func issued(t *testing.T) (Folder, Lease) {
	t.Helper()
	f := In(state.Folder(t.TempDir()))
	l, err := f.Issue("v", "w1", at(time.Hour), ttl, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return f, l
}

func TestLeaseIsReadAsItWasWritten(t *testing.T) {
	f, l := issued(t)
	got, err := f.Read("v")
	if err != nil || got.Boot != l.Boot || got.Door != "v" || got.Window != "w1" || got.PID != os.Getpid() {
		t.Errorf("read %+v, %v; written was %+v", got, err, l)
	}
	if left, err := got.Left("v", at(time.Hour+5*time.Second), ttl); left != 10*time.Second || err != nil {
		t.Errorf("5 s later it has %s left, %v", left, err)
	}
	if err := errors.Join(f.Withdraw("v"), f.Withdraw("v")); err != nil {
		t.Error(err)
	}
	if _, err := f.Read("v"); err == nil {
		t.Error("it was withdrawn, and can be read")
	}
}

// S4: whatever is doubtful about a lease ends it.
func TestInvalidLeases(t *testing.T) {
	now := at(time.Hour + time.Second)
	for name, c := range map[string]struct {
		now  Instant
		door string
		ttl  time.Duration
		edit func(*Lease)
		why  string
	}{
		"run out":             {now: at(time.Hour + ttl), why: "ran out 0s ago"},
		"of another boot":     {now: Instant{"boot-2", time.Hour + time.Second}, why: "another boot"},
		"of no boot":          {now: Instant{"", time.Hour + time.Second}, edit: func(l *Lease) { l.Boot.ID = "" }, why: "another boot"},
		"from the future":     {now: at(time.Hour - time.Second), why: "1s in the future"},
		"of another door":     {door: "w", why: `names door "v"`},
		"past its deadline":   {edit: func(l *Lease) { l.Boot.Deadline = now.Since - time.Second }, why: "deadline passed 1s ago"},
		"longer than allowed": {now: at(time.Hour + 6*time.Second), ttl: 5 * time.Second, edit: func(l *Lease) { l.Boot.Until += time.Hour }, why: "ran out 1s ago"},
		"the zero one":        {edit: func(l *Lease) { *l = Lease{Door: "v"} }, why: "another boot"},
	} {
		t.Run(name, func(t *testing.T) {
			_, l := issued(t)
			if c.now == (Instant{}) {
				c.now = now
			}
			if c.door == "" {
				c.door = "v"
			}
			if c.ttl == 0 {
				c.ttl = ttl
			}
			if c.edit != nil {
				c.edit(&l)
			}
			if left, err := l.Left(c.door, c.now, c.ttl); err == nil || left != 0 || !strings.Contains(err.Error(), c.why) {
				t.Errorf("it has %s left, %v; want an error with %q", left, err, c.why)
			}
		})
	}
}

// A file that was cut at any byte, or is something else, is no lease.
func TestTornLease(t *testing.T) {
	f, _ := issued(t)
	whole, err := os.ReadFile(f.file("v"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(f.file("v"), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := f.Read("v"); err == nil {
			t.Errorf("of %d bytes, %d are a lease: %+v", len(whole), n, l)
		}
	}
	if err := os.WriteFile(f.file("v"), append(whole, make([]byte, sizeLimit)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read("v"); err == nil {
		t.Error("a file with something behind the lease was read")
	}
}

// S4: renewals never reach beyond the deadline, and do not bring back what has run out.
func TestRenewals(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		f := Folder(dir)
		longest := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "longest"))
		now := at(time.Hour)
		l, err := f.Issue("v", "w", now, ttl, longest)
		if err != nil {
			t.Fatal(err)
		}
		deadline := now.Since + longest
		for range 10 {
			until := l.Boot.Until
			now.Since += time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause"))
			l, err = f.Renew(l, now, ttl)
			if lapsed := now.Since >= until; lapsed != errors.Is(err, ErrLapsed) {
				t.Fatalf("renewed at %s, valid until %s: %v", now.Since, until, err)
			}
			if l.Boot.Until > deadline || l.Boot.Deadline != deadline {
				t.Fatalf("valid until %s, deadline %s; it was issued with %s", l.Boot.Until, l.Boot.Deadline, deadline)
			}
			read, err := f.Read("v")
			if err != nil || read.Boot != l.Boot {
				t.Fatalf("the file says %+v, %v; the lease is %+v", read, err, l)
			}
		}
	})
}

func TestLeaseThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	f := Folder(dir + "/file")
	if err := os.WriteFile(string(f), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Issue("v", "w", at(0), ttl, time.Minute); err == nil {
		t.Error("a lease was issued where there is no folder")
	}
	if _, err := In(state.Folder(dir)).Issue("v", "w", at(0), ttl, 0); err == nil {
		t.Error("a lease was issued with no time")
	}
	if _, err := f.Read("v"); err == nil {
		t.Error("what is no folder was read")
	}
}

func TestClockRuns(t *testing.T) {
	first, err := Now()
	if err != nil {
		t.Fatal(err)
	}
	second, err := Now()
	if err != nil || first.Boot == "" || first.Boot != second.Boot || second.Since < first.Since || first.Since <= 0 {
		t.Errorf("%+v, then %+v, %v", first, second, err)
	}
}
