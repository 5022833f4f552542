package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"

	"golang.org/x/mod/sumdb/note"
)

// archivist is a ledger of some nights, and who may archive them.
type archivist struct {
	path    string
	signer  note.Signer
	public  string
	keys    []note.Verifier
	entries []Entry
	outside proof.Head
}

func newArchivist(t testing.TB, n int) *archivist {
	t.Helper()
	a := &archivist{path: filepath.Join(t.TempDir(), "ledger.db")}
	key := notetest.New(t, "kitano")
	a.signer, a.public = key.Signer, key.Public
	keys, err := proof.ReadKeys(a.public)
	if err != nil {
		t.Fatal(err)
	}
	a.keys = keys
	l := a.open(t)
	for i, e := range nights(n) {
		l.Note(e)
		if i%50 == 49 {
			if _, err := l.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a.outside, err = l.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.entries = list(t, &l.Reader, Filter{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *archivist) open(t testing.TB) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), a.path, Options{Signer: a.signer})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// archive archives what is older than entry seq, in a run of its own.
func (a *archivist) archive(t testing.TB, ctx context.Context, seq int64) (Archive, error) {
	t.Helper()
	l := a.open(t)
	made, err := l.Archive(ctx, a.entries[seq-1].Time, Entry{Actor: "user root", Reason: "the disk is small"}, proof.Header{Site: "kitano"}, a.public)
	if closed := l.Close(); closed != nil {
		t.Fatal(closed)
	}
	return made, err
}

func (a *archivist) verify(t testing.TB) proof.Report {
	t.Helper()
	r, err := OpenReader(t.Context(), a.path)
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.Verify(t.Context(), a.keys, []proof.Head{a.outside}, nil)
	if err := errors.Join(err, r.Check(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	return report
}

// all lists what the ledger and its archives hold.
func (a *archivist) all(t testing.TB, f Filter) []Entry {
	t.Helper()
	r, err := OpenReader(t.Context(), a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h, err := r.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var found []Entry
	for e, err := range h.Entries(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, e)
	}
	return found
}

// S11: what was archived is verified, listed and exported as before; without the files,
// all that is left is, and the tree over all.
func TestArchive(t *testing.T) {
	a := newArchivist(t, 200)
	n := int64(len(a.entries))
	for turn, seq := range []int64{40, 41, 120} {
		made, err := a.archive(t, t.Context(), seq)
		if err != nil || made.Last != seq-1 {
			t.Fatalf("archived %+v, %v", made, err)
		}
		report := a.verify(t)
		if !report.Sound() || report.Entries != n+int64(turn)+1 || report.Outside != n || report.Unread != 0 || report.Windows != report.Openings || report.Windows < 5 {
			t.Errorf("verified %+v", report)
		}
	}
	if _, err := a.archive(t, t.Context(), 120); !errors.Is(err, ErrNothingOld) {
		t.Errorf("archived again: %v", err)
	}
	if got := a.all(t, Filter{}); int64(len(got)) != n+3 || asJSON(t, got[:n]) != asJSON(t, a.entries) || got[n].Kind != KindArchive || got[n].Actor != "user root" {
		t.Errorf("%d entries are listed, want %d", len(got), n+3)
	}
	f := Filter{Since: a.entries[30].Time, Until: a.entries[150].Time, Kind: KindDoor}
	want := slices.DeleteFunc(slices.Clone(a.entries), func(e Entry) bool { return !f.chosen(e) })
	if got := a.all(t, f); asJSON(t, got) != asJSON(t, want) {
		t.Errorf("doors from entry 31 to 150: %d are listed, want %d", len(got), len(want))
	}
	r, err := OpenReader(t.Context(), a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var file bytes.Buffer
	if err := r.ExportTo(t.Context(), &file, proof.Header{}, a.public); err != nil {
		t.Fatal(err)
	}
	_, report, err := proof.VerifyExport(t.Context(), &file, proof.Options{Keys: a.keys, Outside: []proof.Head{a.outside}})
	if err != nil || !report.Sound() || report.Entries != n+3 || report.Outside != n {
		t.Errorf("the export comes to %+v, %v", report, err)
	}
	if err := os.RemoveAll(ArchiveDir(a.path)); err != nil {
		t.Fatal(err)
	}
	report = a.verify(t)
	if !report.Sound() || report.Unread != 119 || report.Entries != n+3 || report.Outside != n {
		t.Errorf("without the archives: %+v", report)
	}
	if absent := slices.DeleteFunc(report.Findings, func(f proof.Finding) bool { return f.Rule != "archive" }); len(absent) != 3 || !strings.Contains(absent[0].Text, "which is not there") {
		t.Errorf("of the absent archives it says %v", absent)
	}
	file.Reset()
	if err := r.ExportTo(t.Context(), &file, proof.Header{}); err == nil || !strings.Contains(err.Error(), "put it back") {
		t.Errorf("exported without archives: %v", err)
	}
	if _, _, err := proof.VerifyExport(t.Context(), &file, proof.Options{}); !errors.Is(err, proof.ErrExport) {
		t.Errorf("what was written of it is read as an export: %v", err)
	}
}

// A part of the ledger, by times, is an export that a head vouches for, whether its
// entries are archived or not.
func TestPart(t *testing.T) {
	a := newArchivist(t, 200)
	for _, seq := range []int64{0, 90} {
		if seq > 0 {
			if _, err := a.archive(t, t.Context(), seq); err != nil {
				t.Fatal(err)
			}
		}
		r, err := OpenReader(t.Context(), a.path)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range [][2]int64{{1, 30}, {20, 40}, {60, 61}, {70, 120}, {95, 180}, {150, 200}} {
			f := Filter{Since: a.entries[c[0]-1].Time, Until: a.entries[c[1]-1].Time}
			after, last, err := r.Part(t.Context(), f)
			if err != nil || after != c[0]-1 || last < c[1]-1 {
				t.Errorf("entries %d up to %d are the part behind %d up to %d, %v", c[0], c[1]-1, after, last, err)
			}
			h, err := r.Behind(t.Context(), proof.Header{}, after)
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			x, err := proof.NewWriter(&file, h)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(r.ExportUpTo(t.Context(), x, last), x.Close()); err != nil {
				t.Fatal(err)
			}
			_, report, err := proof.VerifyExport(t.Context(), bytes.NewReader(file.Bytes()), proof.Options{Keys: a.keys})
			if err != nil || !report.Sound() || report.After != after || report.Entries != last-after || report.Signed != last {
				t.Errorf("the part from %d comes to %+v, %v", c[0], report, err)
			}
			_, foreign := notetest.Keys(t, "kitano")
			if _, report, err := proof.VerifyExport(t.Context(), &file, proof.Options{Keys: []note.Verifier{foreign}}); err == nil && report.Sound() {
				t.Error("a part is sound by another key")
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// S11: a part whose beginning was changed has a tree that no head fits.
func TestForgedPart(t *testing.T) {
	a := newArchivist(t, 100)
	r, err := OpenReader(t.Context(), a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for forgery := range 4 {
		h, err := r.Behind(t.Context(), proof.Header{}, 45)
		if err != nil {
			t.Fatal(err)
		}
		entries := slices.Clone(a.entries[45:])
		switch forgery {
		case 1: // another tree before it
			h.Edge[1][7] ^= 1
		case 2: // one entry left out, the others under its number
			entries = entries[1:]
			for i := range entries {
				entries[i].Seq--
			}
		case 3: // it says that more came before
			h, err = r.Behind(t.Context(), proof.Header{}, 46)
			if err != nil {
				t.Fatal(err)
			}
		}
		var file bytes.Buffer
		x, err := proof.NewWriter(&file, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := x.Entry(&e); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(x.Head(a.outside), x.Close()); err != nil {
			t.Fatal(err)
		}
		_, report, err := proof.VerifyExport(t.Context(), &file, proof.Options{Keys: a.keys})
		if sound := err == nil && report.Sound(); sound != (forgery == 0) {
			t.Errorf("forgery %d: sound %v: %v, %v", forgery, sound, report.Findings, err)
		}
	}
}

// An archive is an export, of a part: it verifies by itself, and is held to heads.
func TestArchiveAlone(t *testing.T) {
	a := newArchivist(t, 200)
	for _, seq := range []int64{40, 120} {
		made, err := a.archive(t, t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(filepath.Join(ArchiveDir(a.path), made.File))
		if err != nil {
			t.Fatal(err)
		}
		_, report, err := proof.VerifyExport(t.Context(), bytes.NewReader(file), proof.Options{Keys: a.keys})
		if err != nil || !report.Sound() || report.After != made.First-1 || report.Entries != made.Last-made.First+1 || report.Root != made.Root || report.Signed != made.Last {
			t.Errorf("archive %+v comes to %+v, %v", made, report, err)
		}
	}
}

// S11: a changed archive is found: each bit of the file, and another in its place.
func TestTamperedArchive(t *testing.T) {
	a := newArchivist(t, 60)
	made, err := a.archive(t, t.Context(), 40)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(ArchiveDir(a.path), made.File)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if report := a.verify(t); report.Sound() {
			t.Errorf("%s: not found", what)
		} else if report.Outside != int64(len(a.entries)) && report.Unread > 0 {
			t.Errorf("%s: what is left is not held to the head: %+v", what, report)
		}
	}
	for at := 0; at < len(whole); at++ {
		if exhaustive() || at%97 == 0 {
			changed := slices.Clone(whole)
			changed[at] ^= 1 << (at % 8)
			try(fmt.Sprintf("bit %d of byte %d", at%8, at), changed)
		}
	}
	try("cut", whole[:len(whole)/2])
	try("empty", nil)
	try("more behind it", append(slices.Clone(whole), 'x'))
	var other bytes.Buffer
	x, err := proof.NewWriter(&other, proof.Header{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range a.entries[:made.Last] {
		e.Reason += "."
		if err := x.Entry(&e); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	try("another", other.Bytes())
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if report := a.verify(t); !report.Sound() {
		t.Errorf("put back, it is not sound: %v", report.Findings)
	}
}

// S11: entries that were removed without an archive, and a forged list of archives, are
// found.
func TestRemovedIsNotArchived(t *testing.T) {
	for name, statement := range map[string]string{
		"removed":            "DROP TRIGGER entry_is_kept; DELETE FROM entry WHERE seq <= 20; " + triggerText("entry_is_kept"),
		"more than archived": "DROP TRIGGER entry_is_kept; DELETE FROM entry WHERE seq <= 45; " + triggerText("entry_is_kept"),
		"all hashes as well": "DROP TRIGGER entry_is_kept; DELETE FROM entry WHERE seq <= 45; DROP TRIGGER tree_is_kept; DELETE FROM tree WHERE seq <= 45; " + triggerText("entry_is_kept") + triggerText("tree_is_kept"),
	} {
		t.Run(name, func(t *testing.T) {
			a := newArchivist(t, 60)
			if name != "removed" {
				if _, err := a.archive(t, t.Context(), 40); err != nil {
					t.Fatal(err)
				}
			}
			rawExec(t, a.path, statement)
			wantRefused(t, a.path)
		})
	}
	a := newArchivist(t, 60)
	if _, err := a.archive(t, t.Context(), 40); err != nil {
		t.Fatal(err)
	}
	rawExec(t, a.path, `DROP TRIGGER entry_is_kept; DELETE FROM entry WHERE seq <= 45; DROP TRIGGER entry_stays;
		UPDATE entry SET detail = replace(detail, '"last":39', '"last":45') WHERE kind = 'archive'; `+triggerText("entry_is_kept")+triggerText("entry_stays"))
	if r, err := OpenReader(t.Context(), a.path); err == nil {
		report, err := r.Verify(t.Context(), a.keys, []proof.Head{a.outside}, nil)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if report.Sound() {
			t.Error("a forged list of archives is taken")
		}
	} else if !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

// What fails, or is stopped, on the way leaves every entry where it was.
func TestArchiveFails(t *testing.T) {
	a := newArchivist(t, 60)
	before := asJSON(t, a.all(t, Filter{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.archive(t, ctx, 40); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := os.WriteFile(ArchiveDir(a.path), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.archive(t, t.Context(), 40); err == nil {
		t.Error("archived into what is no folder")
	}
	l := a.open(t)
	defer l.Close()
	other := notetest.New(t, "kitano").Public
	if err := os.Remove(ArchiveDir(a.path)); err != nil {
		t.Fatal(err)
	}
	by := Entry{Actor: "user root"}
	if _, err := l.Archive(t.Context(), time.Now(), by, proof.Header{}, other); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("archived under a key that cannot verify it: %v", err)
	}
	if _, err := l.Archive(t.Context(), time.Now(), Entry{}, proof.Header{}, a.public); err == nil || !strings.Contains(err.Error(), "still in the ledger") {
		t.Errorf("archived by nobody: %v", err)
	}
	if got := asJSON(t, a.all(t, Filter{})); got != before {
		t.Error("entries are missing")
	}
	if report := a.verify(t); !report.Sound() {
		t.Errorf("it is not sound: %v", report.Findings)
	}
}
