package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"

	"golang.org/x/mod/sumdb/note"
)

// signedLedger makes a ledger of n entries with a head, and gives the head's note.
func signedLedger(t *testing.T, private string, n int) (l *ledger.Ledger, head string) {
	t.Helper()
	key, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	l, err = ledger.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{Signer: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for range n {
		if _, err := l.Append(t.Context(), ledger.Entry{Time: time.Now(), Kind: ledger.KindStart, Actor: "test", Reason: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l, h.Note
}

func fileOf(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// S11: a ledger that was made anew with the site's own key is found by a head that was
// kept elsewhere; and one by another key, or with a time-stamp that is none, is found
// without.
func TestVerifyFinds(t *testing.T) {
	keys := notetest.New(t, "kitano")
	private, public, foreign := keys.Private, keys.Public, notetest.New(t, "kitano").Public
	_, kept := signedLedger(t, private, 9)
	longer, own := signedLedger(t, private, 12)
	stamped, head := signedLedger(t, private, 3)
	if err := stamped.KeepStamp(t.Context(), ledger.Stamp{Head: headOf(t, stamped), At: time.Now(), Token: []byte("no token")}); err != nil {
		t.Fatal(err)
	}
	authorities := filepath.Join("..", "..", "ledger", "stamp", "testdata", "ca.pem")
	for name, c := range map[string]struct {
		l     *ledger.Ledger
		with  auditing
		sound bool
	}{
		"as it was written":     {longer, auditing{key: public, outside: []string{fileOf(t, own)}}, true},
		"a head as JSON":        {longer, auditing{key: fileOf(t, public+"\n"), outside: []string{fileOf(t, `{"size":12,"note":`+quoted(own)+`}`)}}, true},
		"made anew":             {longer, auditing{key: public, outside: []string{fileOf(t, kept)}}, false},
		"another's key":         {longer, auditing{key: foreign}, false},
		"a time-stamp, no ca":   {stamped, auditing{key: public, outside: []string{fileOf(t, head)}}, true},
		"a time-stamp, with ca": {stamped, auditing{key: public, ca: authorities}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			a := &app{out: &out, errs: &errs}
			if err := c.with.read(); err != nil {
				t.Fatal(err)
			}
			live, err := a.verifyReader(t.Context(), &c.l.Reader, c.with)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "ledger.airlock")
			export(t, &c.l.Reader, file, public)
			away, err := a.verifyExport(t.Context(), c.with, file)
			if err != nil {
				t.Fatal(err)
			}
			for where, found := range map[string]audited{"live": live, "export": away} {
				if found.sound() != c.sound {
					t.Errorf("%s: sound %v, want %v: %v %v", where, found.sound(), c.sound, found.Findings, found.Stamps.Wrong)
				}
				out.Reset()
				a.printAudited(found)
				if said := strings.Contains(out.String(), "sound: "); said != c.sound || strings.Contains(out.String(), "GRAVE") == c.sound {
					t.Errorf("%s: it is said:\n%s", where, out.String())
				}
			}
		})
	}
}

// headOf is the newest head.
func headOf(t *testing.T, l *ledger.Ledger) proof.Head {
	t.Helper()
	h, ok, err := l.LastHead(t.Context())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return h
}

func quoted(text string) string { return strconv.Quote(text) }

func count(t *testing.T, r *ledger.Reader) int64 {
	t.Helper()
	n, err := r.Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func export(t *testing.T, r *ledger.Reader, file, public string) {
	t.Helper()
	err := writeWhole(file, func(w io.Writer) error {
		x, err := proof.NewWriter(w, proof.Header{Site: "kitano", Made: time.Now()}, public)
		if err != nil {
			return err
		}
		return errors.Join(exportWhole(t.Context(), x, r, count(t, r)), x.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
}
