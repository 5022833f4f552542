package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/collectors"
	"airlock/ledger"
	"airlock/mount"
	"airlock/policies"
	"airlock/repository"
)

// S17: what a gathering has to bring.
func TestImplausible(t *testing.T) {
	usual := policies.Expect{Shrink: 50}
	for _, c := range []struct {
		expect    policies.Expect
		now, last string // files/bytes; "" for none
		why       string
	}{
		{usual, "302/8000000", "302/8000000", ""},
		{usual, "0/0", "60/1200000", "not one file in the source, and there were 60"},
		{usual, "0/0", "1/1", "not one file"},
		{usual, "0/0", "", "not one file"}, // never anything: no backup either
		{usual, "0/0", "0/0", ""},          // as a person has accepted
		{usual, "3/0", "3/5000", "all of its files are empty"},
		{usual, "1/0", "302/8000000", "empty"},
		{usual, "2/100", "302/8000000", "2 files, and the last good one had 302"},
		{usual, "151/4000000", "302/8000000", ""},
		{usual, "150/4000000", "302/8000000", "150 files"},
		{usual, "302/3999999", "302/8000000", "had 8.0 MB"},
		{usual, "2/2000", "3/3000", ""},
		{usual, "1/1000", "3/3000", ""}, // two of three small files: nothing to call a person for
		{usual, "1/1000000", "1/524000000", "had 524.0 MB"},
		{usual, "5/100", "9/180", ""},
		{usual, "1/10", "9/180", "1 files"},
		{usual, "900/8000000", "302/8000000", ""},
		{policies.Expect{Shrink: 90}, "40/1000000", "302/8000000", ""},
		{policies.Expect{Shrink: 90}, "30/1000000", "302/8000000", "30 files"},
		{policies.Expect{Shrink: 100}, "0/0", "302/8000000", ""},
		{policies.Expect{Shrink: 100, MinFiles: 10}, "9/1", "", "expect.min_files is 10"},
		{policies.Expect{Shrink: 50, MinBytes: 5e6}, "9/4999999", "", "expect.min_bytes is 5.0 MB"},
	} {
		extent := func(text string) *repository.Extent {
			e := &repository.Extent{}
			if text == "" {
				return nil
			}
			if _, err := fmt.Sscanf(text, "%d/%d", &e.Files, &e.Bytes); err != nil {
				t.Fatal(err)
			}
			return e
		}
		why := implausible(c.expect, *extent(c.now), extent(c.last))
		if (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s after %q with %+v: %q, want %q", c.now, c.last, c.expect, why, c.why)
		}
	}
}

// S17: an emptied source pushes nothing out, is no success, and is over by itself when
// the source is back; a person can say that it is right.
func TestHeldGathering(t *testing.T) {
	h := newHospital(t)
	h.policy.Systems["accounting"].Keep = policies.Keep{Last: 1}
	gather := func(s *Site, result string) Gathered {
		t.Helper()
		all, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent)
		if len(all) != 1 || all[0].Result != result || (err == nil) != (result == resultDone) || result == resultHeld && !errors.Is(err, ErrInPart) {
			t.Fatalf("gathered %+v: %v; want it %s", all, err, result)
		}
		return all[0]
	}
	h.within(func(s *Site) {
		good := gather(s, resultDone)
		h.move("accounting", "away")
		for range 3 {
			gather(s, resultHeld)
		}
		h.stands(s, good.Snapshot, 4)
		if err := s.journal.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		st, err := s.Status(t.Context())
		one := st.Systems["accounting"]
		if err != nil || one.Held == nil || !one.LastSuccess.Equal(good.Start) || one.Snapshots != 1 {
			t.Errorf("the status is %+v: %v", one, err)
		}
		h.move("away", "accounting")
		if g := gather(s, resultDone); g.Unchanged == 0 {
			t.Error("what is back was read anew")
		}
		if err := s.journal.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st, err := s.Status(t.Context()); err != nil || st.Systems["accounting"].Held != nil {
			t.Errorf("still held: %+v, %v", st.Systems["accounting"], err)
		}
		if _, err := s.Accept(t.Context(), "accounting", byTest); !errors.Is(err, repository.ErrNothingHeld) {
			t.Errorf("accepted what is not held: %v", err)
		}
		h.move("accounting", "away")
		gather(s, resultHeld)
		if _, err := s.Accept(t.Context(), "accounting", Caller{Actor: "user test"}); err == nil {
			t.Error("accepted without a reason")
		}
		if a, err := s.Accept(t.Context(), "accounting", byTest); err != nil || a.Snapshot == "" || a.Snapshot == a.Before {
			t.Errorf("accepted %+v: %v", a, err)
		}
		gather(s, resultDone)
	})
	var told []string
	for _, e := range h.entries(ledger.Filter{Kind: ledger.KindGather, System: "accounting"}) {
		told = append(told, e.To)
	}
	if got := fmt.Sprint(told); got != "[done held held held done held done done]" {
		t.Errorf("the ledger tells %s", got)
	}
}

// move renames a folder, and leaves an empty one in its place.
func (h *hospital) move(from, to string) {
	h.Helper()
	from, to = filepath.Join(h.dir, from), filepath.Join(h.dir, to)
	if err := errors.Join(os.RemoveAll(to), os.Rename(from, to), os.Mkdir(from, 0o700)); err != nil {
		h.Fatal(err)
	}
}

// stands holds that the newest snapshot to be restored is id, of so many in all.
func (h *hospital) stands(s *Site, id string, count int) {
	h.Helper()
	all, err := s.Snapshots(h.Context(), "accounting")
	if err != nil || len(all) != count {
		h.Fatalf("there are %+v, %v; want %d", all, err, count)
	}
	if chosen, err := choose(all, Restore{System: "accounting"}); err != nil || chosen.ID != id {
		h.Errorf("a restore takes %+v, %v; want %s", chosen, err, id)
	}
}

// elsewhere is a source that lies on another mount.
type elsewhere struct {
	collectors.Source
	place mount.Mount
}

func (e elsewhere) Place() (mount.Mount, error) { return e.place, nil }

// S16: a source whose mount is gone is refused until a person says that it is right.
func TestSourceThatIsNotMounted(t *testing.T) {
	h := newHospital(t)
	lies := mount.Mount{Point: "/srv/accounting", Type: "ext4", Root: "/"}
	open := h.parts.Source
	h.parts.Source = func(ctx context.Context, s policies.Source) (collectors.Source, error) {
		src, err := open(ctx, s)
		return elsewhere{src, lies}, err
	}
	gather := func(s *Site) string {
		_, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent)
		return fmt.Sprint(err)
	}
	h.within(func(s *Site) {
		if err := gather(s); err != "<nil>" {
			t.Fatal(err)
		}
		lies = mount.Mount{Point: "/"}
		for range 2 { // a refusal is not remembered
			if err := gather(s); !strings.Contains(err, "is it mounted?") {
				t.Errorf("the mount is gone: %s", err)
			}
		}
		if a, err := s.Accept(t.Context(), "accounting", byTest); err != nil || a.Snapshot != "" {
			t.Errorf("accepted %+v: %v", a, err)
		}
		if err := gather(s); err != "<nil>" {
			t.Error(err)
		}
		lies = mount.Mount{Point: "/srv/accounting", Type: "ext4", Root: "/"}
		if err := gather(s); !strings.Contains(err, "mounted at /srv/accounting now") {
			t.Errorf("another mount: %s", err)
		}
	})
}
