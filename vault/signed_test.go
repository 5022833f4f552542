package vault_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/blob"
	"airlock/ledger/proof/notetest"
	"airlock/vault"

	"golang.org/x/mod/sumdb/note"
)

// metered counts what is read of a store.
type metered struct {
	vault.Store
	mu   sync.Mutex
	read int64
}

func (m *metered) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	r, err := m.Store.Open(ctx, name, off, n)
	if err != nil {
		return nil, err
	}
	return &meteredFile{r, m}, nil
}

type meteredFile struct {
	io.ReadCloser
	m *metered
}

func (f *meteredFile) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.read += int64(n)
	return n, err
}

// sparse makes a file of a size that takes no room.
func (w *world) sparse(name string, size int64) {
	w.t.Helper()
	f, err := os.Create(w.file(name))
	must(w.t, err)
	must(w.t, errors.Join(f.Truncate(size), f.Close()))
}

// forged is a well-formed manifest that nobody has signed, of a ledger that nobody knows.
func (w *world) forged(number int64) []byte {
	w.t.Helper()
	g := &vault.Generation{Number: number, Site: "lab", Vault: "secondary", Window: "forged", Time: time.Unix(1, 0).UTC(), Ledger: "other\n1\nxxxx\n"}
	file, err := g.Encode()
	must(w.t, err)
	return file
}

// S10, S17: what lies in the place of generations and is not signed by the site, in whatever
// number and size, keeps no window from being done, is not read, and reaches neither the
// memory nor what the caller is shown.
func TestJunkIsPassedOver(t *testing.T) {
	const mega = 1 << 20
	for what, plant := range map[string]func(*world){
		"one-byte files": func(w *world) {
			for n := range int64(40) {
				w.overwrite(vault.GenerationPath(3+n), "x")
			}
		},
		"a forged manifest": func(w *world) { w.overwrite(vault.GenerationPath(3), string(w.forged(3))) },
		"a forged manifest with another's signature": func(w *world) {
			w.overwrite(vault.GenerationPath(3), string(w.forged(3)))
			other, _ := notetest.Keys(w.t, "lab")
			signature, err := vault.SignGeneration(3, sha256.Sum256(w.forged(3)), other)
			must(w.t, err)
			w.overwrite(vault.SignaturePath(3), string(signature))
		},
		"large files, with signatures of another generation": func(w *world) {
			signature := w.lies(vault.SignaturePath(2))
			for n := range int64(300) {
				w.sparse(vault.GenerationPath(3+n), 200*mega)
				w.overwrite(vault.SignaturePath(3+n), string(signature))
			}
		},
		"large signatures": func(w *world) {
			for n := range int64(300) {
				w.overwrite(vault.GenerationPath(3+n), "x")
				w.sparse(vault.SignaturePath(3+n), 200*mega)
			}
		},
		"a signature of ours, and other bytes": func(w *world) {
			signature, err := vault.SignGeneration(3, sha256.Sum256([]byte("what the cut kept away")), w.signer)
			must(w.t, err)
			w.overwrite(vault.SignaturePath(3), string(signature))
			w.sparse(vault.GenerationPath(3), 250*mega)
		},
		"numbers near the end": func(w *world) {
			for _, n := range []int64{1 << 40, 1 << 62, 1<<63 - 2, 1<<63 - 1} {
				w.overwrite(vault.GenerationPath(n), string(w.lies(vault.GenerationPath(2))))
				w.overwrite(vault.SignaturePath(n), "x")
			}
		},
		"links and folders": func(w *world) {
			must(w.t, os.Symlink("/dev/zero", w.file(vault.GenerationPath(3))))
			must(w.t, os.Symlink(w.file(vault.SignaturePath(2)), w.file(vault.SignaturePath(3))))
			must(w.t, os.Symlink(w.dir, w.file(vault.GenerationPath(4))))
			must(w.t, os.Mkdir(w.file(vault.GenerationPath(5)), 0o700))
		},
		"many names": func(w *world) {
			for n := range int64(2_000) {
				w.overwrite(vault.GenerationPath(3+n), "")
				must(w.t, os.Link(w.file(vault.GenerationPath(3+n)), w.file(vault.SignaturePath(3+n))))
			}
		},
	} {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, memory lost %v", what, lost), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				for range 2 {
					w.night()
					w.window()
				}
				second := maps.Clone(w.blobs)
				plant(w)
				if lost {
					remove(t, w.state)
					w.reopen()
				}
				far := &metered{Store: w.store}
				w.store = far
				for night := range 2 {
					w.night()
					in := w.input()
					in.Met = func(g *vault.Generation) error {
						if g.Window == "forged" || g.Number < int64(2+night) {
							return fmt.Errorf("shown generation %d of window %s", g.Number, g.Window)
						}
						return nil
					}
					plan, err := vault.NewPlan(in)
					must(t, err)
					report, err := plan.Send(t.Context(), w.store, w, nil)
					must(t, err)
					if last := w.memory.Last(); last == nil || last.Number != report.Generation || last.Window != in.Window {
						t.Errorf("remembered: %+v", last)
					}
					if night > 0 && len(report.Conflicts) > 0 {
						t.Errorf("told again: %q", report.Conflicts)
					}
					w.intact(report.Generation, w.blobs)
				}
				if far.read > 2*mega {
					t.Errorf("%d bytes of the vault were read", far.read)
				}
				w.intact(2, second)
			})
		}
	}
}

// S17: a generation that bears the site's signature, and that no window of the site made, is
// told of and not followed; one of a window that was cut is.
func TestStrangeGeneration(t *testing.T) {
	for what, c := range map[string]struct {
		window string
		number int64
		told   bool
		next   int64
	}{
		"of no window":     {"strange", 3, true, 4},
		"far ahead":        {"strange", 2_000_000, false, 3}, // its number alone says that it is none
		"a window that is": {"w1", 3, true, 4},
		"of a cut window":  {"cut", 3, false, 4},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.past = &vault.Past{Made: map[blob.Sum]bool{}, Begun: map[string]int64{"cut": 0}}
			for range 2 {
				w.night()
				report := w.window()
				w.past.Made[report.Hash], w.past.Begun[fmt.Sprintf("w%d", w.nights)] = true, report.Generation
			}
			g := &vault.Generation{Number: c.number, Site: "lab", Vault: "secondary", Window: c.window, Time: time.Unix(1, 0).UTC()}
			file, err := g.Encode()
			must(t, err)
			signature, err := vault.SignGeneration(c.number, sha256.Sum256(file), w.signer)
			must(t, err)
			w.overwrite(vault.GenerationPath(c.number), string(file))
			w.overwrite(vault.SignaturePath(c.number), string(signature))
			before := w.memory.Last()
			w.night()
			report := w.window()
			if told := len(report.Strange) > 0; told != c.told || told && !strings.Contains(report.Strange[0], "somebody else has the site's key") {
				t.Errorf("told: %q", report.Strange)
			}
			follows, err := before.Hash()
			must(t, err)
			if what == "of a cut window" {
				follows = sha256.Sum256(file)
			}
			if last := w.memory.Last(); last.Number != c.next || last.Previous != follows {
				t.Errorf("generation %d follows %s, not %s", last.Number, last.Previous, follows)
			}
		})
	}
}

// S10: somebody takes the place of a generation while the door is open: the next one is
// taken.
func TestPlaceTakenUnderHand(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	w.night()
	w.store = &racing{Store: w.store, take: func(name string) {
		if name == vault.SignaturePath(2) || name == vault.GenerationPath(3) {
			w.overwrite(name, "junk")
		}
	}}
	report := w.window()
	if report.Generation != 4 || len(report.Conflicts) != 2 {
		t.Errorf("%+v", report)
	}
	if _, err := vault.LoadSigned(t.Context(), w.store, 4, w.trust...); err != nil {
		t.Error(err)
	}
	w.intact(4, w.blobs)
}

// racing calls take before each file is put.
type racing struct {
	vault.Store
	take func(name string)
}

func (r *racing) Put(ctx context.Context, name string, size int64, body io.Reader) error {
	r.take(name)
	return r.Store.Put(ctx, name, size, body)
}

// A vault whose generations somebody else has signed is not sent to, and the message says
// what it may be.
func TestOthersVault(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	remove(t, w.state)
	w.reopen()
	w.signer, _ = notetest.Keys(t, "lab")
	_, verifier := notetest.Keys(t, "lab")
	w.trust = []note.Verifier{verifier}
	if _, err := w.plan().Send(t.Context(), w.store, w, nil); err == nil || !strings.Contains(err.Error(), "by no key of this site") {
		t.Errorf("sent to another's vault: %v", err)
	}
}

// Newest reads no manifest that the site has not signed.
func TestNewestPassesOver(t *testing.T) {
	w := newWorld(t)
	w.night()
	w.window()
	for n := range int64(100) {
		w.sparse(vault.GenerationPath(2+n), 200<<20)
	}
	far := &metered{Store: w.store}
	g, passed, err := vault.Newest(t.Context(), far, w.trust...)
	if err != nil || g.Number != 1 || len(passed) != 1 || far.read > 1<<20 {
		t.Errorf("%v, %q, %v; %d bytes read", g, passed, err, far.read)
	}
}

// lies gives what lies in the vault's folder.
func (w *world) lies(name string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(w.file(name))
	must(w.t, err)
	return data
}
