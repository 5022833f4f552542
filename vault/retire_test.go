package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airlock/blob"
	"airlock/vault"
	"airlock/vault/vaulttest"

	"pgregory.net/rapid"
)

// plain is a world whose vault nobody keeps but the sender.
type plain struct {
	*world
	far   *mapStore
	now   time.Time
	rules vault.Retention
	seed  int
}

func newPlain(t testing.TB, keep vault.Keep) *plain {
	p := &plain{world: newWorld(t), far: newMapStore(), now: time.Date(2026, 1, 1, 17, 30, 0, 0, time.UTC)}
	p.rules = vault.Retention{Keep: keep, Zone: time.UTC, Brake: 3, Budget: time.Hour, Trust: p.trust}
	return p
}

// night is one window with retention, after the repository changed: some blobs are
// new, some of the older ones are gone. cut is called at each removal.
func (p *plain) night(t testing.TB, cut func(string) error) (rt *vault.Retirement, report vault.RetentionReport, err error) {
	t.Helper()
	p.nights++
	p.now = p.now.AddDate(0, 0, 1)
	for i := range 3 {
		p.seed++
		p.write(fmt.Sprintf("p%031d", 10*p.nights+i), vaulttest.Random(p.seed, 50+p.seed%7))
	}
	p.write(fmt.Sprintf("xn0_%028d", p.nights), vaulttest.Random(p.seed, 20))
	p.write("kopia.repository", []byte("format"))
	p.write("kopia.maintenance", fmt.Appendf(nil, "night %d", p.nights))
	for name := range p.sums { // maintenance at the primary
		if old := fmt.Sprintf("p%031d", 10*(p.nights-2)+1); name == old || name == fmt.Sprintf("xn0_%028d", p.nights-1) {
			delete(p.sums, name)
			delete(p.blobs, name)
		}
	}
	return p.hold(t, cut)
}

// hold is one window with retention.
func (p *plain) hold(t testing.TB, cut func(string) error) (rt *vault.Retirement, report vault.RetentionReport, err error) {
	t.Helper()
	in := p.input()
	in.Now = p.now
	plan, err := vault.NewPlan(in)
	must(t, err)
	register, err := vault.OpenRegister(p.state)
	must(t, err)
	if last := p.memory.Last(); last != nil && !register.Knows(last.Number) {
		register.Enter(last)
	}
	rt = plan.Retire(register, p.rules)
	must(t, register.Save())
	_, err = plan.Send(t.Context(), p.far, p, nil)
	must(t, err)
	p.far.removed = cut
	report, err = rt.Run(t.Context(), p.far, plan.Sealed())
	if err == nil {
		register.Enter(plan.Sealed())
		must(t, register.Save())
	}
	return rt, report, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// whole checks that every generation that stands has all that it lists.
func (m *mapStore) whole() error {
	for name, file := range m.files {
		if vault.GenerationOf(name) == 0 {
			continue
		}
		g := m.decoded[file]
		if g == nil {
			var err error
			if g, err = vault.Decode(file.Data); err != nil {
				return err
			}
			m.decoded[file] = g
		}
		for _, e := range g.Blobs {
			if f := m.files[e.At()]; f == nil || sha256.Sum256(f.Data) != e.SHA256 {
				return fmt.Errorf("generation %d lacks %s", g.Number, e.At())
			}
		}
	}
	return nil
}

func (m *mapStore) standing() (numbers []int64) {
	for name := range m.files {
		if n := vault.GenerationOf(name); n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// strays are the files of blobs that no generation lists.
func (m *mapStore) strays() (strays []string) {
	listed := map[string]bool{}
	for name, file := range m.files {
		if vault.GenerationOf(name) > 0 {
			if g, err := vault.Decode(file.Data); err == nil {
				for _, e := range g.Blobs {
					listed[e.At()] = true
				}
			}
		}
	}
	for name := range m.files {
		if vault.IsBlobFile(name) && !listed[name] && !strings.HasPrefix(name, "kopia.") {
			strays = append(strays, name)
		}
	}
	return strays
}

func TestRetire(t *testing.T) {
	p := newPlain(t, vault.Keep{Last: 2, Monthly: 2})
	for range 40 {
		_, _, err := p.night(t, nil)
		must(t, err)
	}
	if got, want := p.far.standing(), []int64{30, 39, 40}; !slices.Equal(got, want) { // 31 January; 9 and 10 February
		t.Errorf("generations %d stand, want %d", got, want)
	}
	if err := p.far.whole(); err != nil {
		t.Error(err)
	}
	if strays := p.far.strays(); len(strays) > 0 {
		t.Errorf("no generation lists %q", strays)
	}
	if p.far.get("kopia.maintenance.f") == nil || p.far.get("kopia.repository.f") == nil {
		t.Error("kopia's own settings are gone: the folder is no repository any more")
	}
}

// S10: whatever removal is the last before a cut, and whatever of the near side's notes
// is lost, a generation that stands has all that it lists; and what was not removed then
// is removed later.
func TestRetireCut(t *testing.T) {
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm") // where a sync costs nothing
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlain(t, vault.Keep{Last: rapid.IntRange(1, 3).Draw(rt, "last"), Weekly: rapid.IntRange(0, 2).Draw(rt, "weekly")})
		var broken error
		look := func() { // at each removal, in whatever goroutine
			broken = errors.Join(broken, p.far.whole())
		}
		check := func() {
			if look(); broken != nil {
				rt.Fatalf("S10: %v", broken)
			}
		}
		for range rapid.IntRange(2, 6).Draw(rt, "nights") {
			left := rapid.IntRange(0, 12).Draw(rt, "removals before the cut")
			_, _, err := p.night(t, func(string) error {
				look()
				if left--; left < 0 {
					return errCut
				}
				return nil
			})
			if err != nil && !errors.Is(err, errCut) {
				rt.Fatal(err)
			}
			check()
			switch rapid.IntRange(0, 5).Draw(rt, "what is lost") {
			case 0:
				must(t, os.Remove(filepath.Join(p.state, "register")))
			case 1:
				must(t, os.WriteFile(filepath.Join(p.state, "register"), []byte("torn"), 0o600))
			}
		}
		p.rules.Brake = 100
		for range 3 { // one to learn, one to drop
			_, report, err := p.night(t, func(string) error { look(); return nil })
			if err != nil || report.Held != "" {
				rt.Fatalf("%+v, %v", report, err)
			}
		}
		check()
		if n := len(p.far.standing()); n > 3+2 {
			rt.Fatalf("%d generations stand", n)
		}
	})
}

func TestRetireHeld(t *testing.T) {
	fill := func(t *testing.T) *plain {
		p := newPlain(t, vault.Keep{Last: 100})
		for range 6 {
			_, _, err := p.night(t, nil)
			must(t, err)
		}
		p.rules.Keep = vault.Keep{Last: 1}
		return p
	}
	for name, test := range map[string]struct {
		set  func(*plain)
		want string
	}{
		"the brake":   {func(*plain) {}, "the brake is at 3"},
		"the clock":   {func(p *plain) { p.rules.Brake, p.rules.Trouble = 9, "the clock jumped" }, "the clock jumped"},
		"clock back":  {func(p *plain) { p.rules.Brake, p.now = 9, p.now.AddDate(0, 0, -3) }, "by the clock it is"},
		"one is gone": {func(p *plain) { p.rules.Brake = 9; delete(p.far.files, vault.GenerationPath(3)) }, "generation 3 is gone"},
		"one cannot be read": {func(p *plain) {
			p.rules.Brake = 9
			signature, err := vault.SignGeneration(77, sha256.Sum256([]byte("y")), p.signer)
			must(t, err)
			vaulttest.Put(t, p.far, vault.GenerationPath(77), []byte("x"))
			vaulttest.Put(t, p.far, vault.SignaturePath(77), signature)
		}, "generation 77 cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			p := fill(t)
			test.set(p)
			_, report, err := p.night(t, func(name string) error {
				t.Errorf("%s was removed", name)
				return nil
			})
			if err != nil || !strings.Contains(report.Held, test.want) || len(report.Dropped)+report.Blobs > 0 {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// The rest goes in the next window, which drops no more for it.
func TestRetireBudget(t *testing.T) {
	p := newPlain(t, vault.Keep{Last: 2})
	for range 3 {
		_, _, err := p.night(t, nil)
		must(t, err)
	}
	p.rules.Budget = 0
	_, report, err := p.night(t, nil)
	if err != nil || len(report.Dropped)+report.Blobs > 0 {
		t.Fatalf("without time: %+v, %v", report, err)
	}
	p.rules.Budget = time.Hour
	if _, report, err = p.night(t, nil); err != nil || len(report.Dropped) != 2 || report.Left > 0 {
		t.Fatalf("with time: %+v, %v", report, err)
	}
	if strays := p.far.strays(); len(strays) > 0 {
		t.Errorf("no generation lists %q", strays)
	}
}

// What the site has not signed is nothing to retention: it is neither learned nor dropped,
// keeps nothing, and holds nothing up, whatever number it bears.
func TestRetireUnsigned(t *testing.T) {
	p := newPlain(t, vault.Keep{Last: 2})
	for range 2 {
		_, _, err := p.night(t, nil)
		must(t, err)
	}
	unsigned := []int64{3, 77, 1 << 62, 1<<63 - 1}
	for _, n := range unsigned {
		vaulttest.Put(t, p.far, vault.GenerationPath(n), p.far.get(vault.GenerationPath(1)))
	}
	vaulttest.Put(t, p.far, vault.SignaturePath(77), p.far.get(vault.SignaturePath(1)))
	must(t, os.Remove(filepath.Join(p.state, "register")))
	for i := range 4 {
		_, report, err := p.night(t, nil)
		must(t, err)
		if report.Held != "" || i == 0 && report.Learned != 1 || i > 0 && report.Learned != 0 {
			t.Errorf("night %d: %+v", i, report)
		}
	}
	for _, n := range unsigned {
		delete(p.far.files, vault.GenerationPath(n))
	}
	if got, want := p.far.standing(), []int64{6, 7}; !slices.Equal(got, want) {
		t.Errorf("generations %d stand, want %d", got, want)
	}
	if err := p.far.whole(); err != nil {
		t.Error(err)
	}
	_, report, err := p.night(t, nil)
	if err != nil || report.Held != "" || len(report.Dropped) != 1 {
		t.Errorf("once a person has removed them: %+v, %v", report, err)
	}
}

// S17: a generation that somebody else has made with the site's key is told, and nothing is
// dropped while it stands.
func TestRetireStrange(t *testing.T) {
	p := newPlain(t, vault.Keep{Last: 2})
	p.past = &vault.Past{Made: map[blob.Sum]bool{}, Begun: map[string]int64{}}
	night := func() vault.RetentionReport {
		_, report, err := p.night(t, nil)
		must(t, err)
		p.past.Made[sha256.Sum256(p.far.get(vault.GenerationPath(p.memory.Last().Number)))] = true
		return report
	}
	for range 3 {
		night()
	}
	strange := &vault.Generation{Number: 900, Site: "lab", Vault: "secondary", Window: "strange", Time: p.now}
	p.plant(t, strange)
	for range 2 {
		report := night()
		if len(report.Strange) != 1 || !strings.Contains(report.Held, "generation 900") || len(report.Dropped)+report.Blobs > 0 {
			t.Errorf("%+v", report)
		}
	}
	delete(p.far.files, vault.GenerationPath(900))
	if report := night(); report.Held != "" || len(report.Strange) > 0 || len(report.Dropped) == 0 {
		t.Errorf("after a person removed it: %+v", report)
	}
}

// plant puts a generation that bears the site's signature, by no window of the site.
func (p *plain) plant(t *testing.T, g *vault.Generation) {
	t.Helper()
	file, err := g.Encode()
	must(t, err)
	signature, err := vault.SignGeneration(g.Number, sha256.Sum256(file), p.signer)
	must(t, err)
	vaulttest.Put(t, p.far, vault.GenerationPath(g.Number), file)
	vaulttest.Put(t, p.far, vault.SignaturePath(g.Number), signature)
}

// What landed in a window that was cut, and is in no generation, goes too.
func TestRetireOrphan(t *testing.T) {
	p := newPlain(t, vault.Keep{Last: 2})
	_, _, err := p.night(t, nil)
	must(t, err)
	p.write("p"+strings.Repeat("e", 31), []byte("orphan"))
	p.write("q"+strings.Repeat("e", 31), []byte("is not read"))
	in := p.input()
	in.Now = p.now
	plan, err := vault.NewPlan(in)
	must(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	if _, err := plan.Send(ctx, p.far, p, func(s vault.Progress) {
		if s.Blobs > 0 {
			cancel(errCut)
		}
	}); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	orphan := vault.BlobPath("p" + strings.Repeat("e", 31))
	if p.far.get(orphan) == nil {
		t.Fatal("it did not land")
	}
	for _, class := range []string{"p", "q"} {
		delete(p.sums, class+strings.Repeat("e", 31))
		delete(p.blobs, class+strings.Repeat("e", 31))
	}
	for range 2 {
		_, _, err := p.night(t, nil)
		must(t, err)
	}
	if p.far.get(orphan) != nil {
		t.Error("it is still there")
	}
}

func TestCheckBack(t *testing.T) {
	p := newPlain(t, vault.Keep{Last: 9})
	for range 3 {
		_, _, err := p.night(t, nil)
		must(t, err)
	}
	in := p.input()
	in.Now = p.now
	plan, err := vault.NewPlan(in)
	must(t, err)
	g := plan.Sealed()
	var names []string
	for _, e := range g.Blobs {
		names = append(names, e.Name)
	}
	sound, err := vault.CheckBack(t.Context(), p.far, g, names)
	if err != nil || len(sound.Amiss()) > 0 || sound.Read != len(g.Blobs) || sound.Blobs != len(g.Blobs) {
		t.Fatalf("%+v, %v", sound, err)
	}
	flip := func(name string, change func([]byte) []byte) string {
		file := p.far.files[vault.BlobPath(name)]
		file.Data = change(bytes.Clone(file.Data))
		return name
	}
	changed := flip(names[len(names)-1], func(b []byte) []byte { b[3] ^= 1; return b })
	short := flip(names[len(names)-2], func(b []byte) []byte { return b[1:] })
	delete(p.far.files, vault.BlobPath(names[len(names)-3]))
	found, err := vault.CheckBack(t.Context(), p.far, g, names)
	if err != nil || !slices.Equal(found.Damaged, []string{changed}) || !slices.Equal(found.Resized, []string{short}) || !slices.Equal(found.Missing, names[len(names)-3:len(names)-2]) {
		t.Fatalf("%+v, %v", found, err)
	}
	if found, err = vault.CheckBack(t.Context(), p.far, g, nil); err != nil || len(found.Amiss()) != 2 {
		t.Fatalf("sizes alone: %+v, %v", found, err)
	}
	found, err = vault.CheckBack(t.Context(), p.far, g, names)
	must(t, err)

	// They are sent again, beside what is there, and a further generation is whole.
	report, err := plan.Mend(t.Context(), p.far, p, found.Amiss(), nil)
	if err != nil || report.Blobs != 3 || report.Generation != g.Number+1 {
		t.Fatalf("%+v, %v", report, err)
	}
	after, err := vault.CheckBack(t.Context(), p.far, plan.Sealed(), names)
	if err != nil || len(after.Amiss()) > 0 || after.Read != len(g.Blobs) {
		t.Errorf("%+v, %v", after, err)
	}
}

// TestSample: never more than the budget is read, and of what is sent now as well as of
// what was there, however large the blobs are.
func TestSample(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		files := newMapStore()
		far := &asked{Store: files, bytes: map[string]int64{}}
		w.store = far
		for range 2 {
			w.night()
			w.write(fmt.Sprintf("p%031d", w.nights), vaulttest.Random(w.nights, rapid.IntRange(1, 400<<10).Draw(rt, "size")))
			if w.nights == 1 {
				w.window()
			}
		}
		before := maps.Clone(files.files)
		plan := w.plan()
		budget := rapid.Int64Range(0, 1<<20).Draw(rt, "budget")
		sample, err := plan.Sample(t.Context(), w, budget)
		if err != nil || len(sample.Amiss) > 0 {
			rt.Fatal(sample, err)
		}
		_, err = plan.Send(t.Context(), far, w, nil)
		if err != nil {
			rt.Fatal(err)
		}
		clear(far.bytes) // of the questions that a window begins with
		looking := sample.Begin(t.Context(), far)
		defer looking.Stop()
		back, err := looking.Finish(t.Context(), plan.Sealed())
		if err != nil || len(back.Amiss()) > 0 || back.Blobs != len(w.blobs) || back.Read != len(far.bytes) {
			rt.Fatalf("%+v, %v", back, err)
		}
		var bytes int64
		sent := 0
		for name, n := range far.bytes {
			bytes += n
			if before[name] == nil {
				sent++
			}
		}
		if bytes != back.Bytes || bytes > budget || budget > 1 && (sent == 0 || sent == len(far.bytes)) {
			rt.Fatalf("%d bytes of %d blobs, %d of them sent now, for a budget of %d: %+v", bytes, len(far.bytes), sent, budget, back)
		}
	})
}

// asked counts the bytes of each file that are asked for.
type asked struct {
	vault.Store
	mu    sync.Mutex
	bytes map[string]int64
}

func (a *asked) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	a.mu.Lock()
	a.bytes[name] += n
	a.mu.Unlock()
	return a.Store.Open(ctx, name, off, n)
}

// TestReadBackOfRanges: of blobs larger than their share ranges are read, and damage in
// them is found, before the sending and after it.
func TestReadBackOfRanges(t *testing.T) {
	const large = 3 << 20
	w := newWorld(t)
	far := newMapStore()
	w.store = far
	before, now := fmt.Sprintf("p%031d", 1), fmt.Sprintf("p%031d", 2)
	w.write(before, vaulttest.Random(1, large))
	w.window()
	w.write(now, vaulttest.Random(2, large))
	plan := w.plan()
	sample, err := plan.Sample(t.Context(), w, 1<<20)
	must(t, err)
	looking := sample.Begin(t.Context(), far)
	defer looking.Stop()
	_, err = plan.Send(t.Context(), far, w, nil)
	must(t, err)
	sound, err := looking.Finish(t.Context(), plan.Sealed())
	if err != nil || len(sound.Amiss()) > 0 || sound.Read != 2 || sound.Ranges != 8 || sound.Bytes != 512<<10 {
		t.Fatalf("%+v, %v", sound, err)
	}
	for _, name := range []string{before, now} {
		far.files[vault.BlobPath(name)].Data = make([]byte, large)
	}
	looking = sample.Begin(t.Context(), far)
	defer looking.Stop()
	found, err := looking.Finish(t.Context(), plan.Sealed())
	if err != nil || !slices.Equal(found.Damaged, []string{before, now}) {
		t.Fatalf("%+v, %v", found, err)
	}
}

// TestReadBackWithoutTheRepository: of a blob that the repository has not got, or not as it
// was, nothing is believed but the catalogue's hash of all of it.
func TestReadBackWithoutTheRepository(t *testing.T) {
	w := newWorld(t)
	const large = 1 << 20
	spoiled, gone, known := fmt.Sprintf("p%031d", 1), fmt.Sprintf("p%031d", 2), fmt.Sprintf("p%031d", 3)
	for i, name := range []string{spoiled, gone, known} {
		w.write(name, vaulttest.Random(i, large))
	}
	w.window()
	in := w.input()
	in.Amiss = map[string]string{known: "it is missing"}
	plan, err := vault.NewPlan(in)
	must(t, err)
	w.blobs[spoiled] = vaulttest.Random(9, large)
	delete(w.blobs, gone)
	delete(w.blobs, known)
	for budget, whole := range map[int64]int{768 << 10: 0, 2 << 20: 2, 1 << 30: 3} {
		sample, err := plan.Sample(t.Context(), w, budget)
		must(t, err)
		back, err := sample.Begin(t.Context(), w.store).Finish(t.Context(), plan.Sealed())
		if err != nil || len(back.Amiss()) > 0 || back.Read != whole || back.Ranges != 0 {
			t.Errorf("with a budget of %d: %+v, %v", budget, back, err)
		}
		var amiss []string
		for _, l := range sample.Amiss {
			amiss = append(amiss, l.Name)
		}
		if slices.Sort(amiss); budget < 1<<30 && !slices.Equal(amiss, []string{spoiled, gone}) {
			t.Errorf("with a budget of %d, %q are amiss", budget, amiss)
		}
	}
}

// TestReadBackOfWhatIsBroughtAnew: what was missing before the sending, and is brought by
// it, is not amiss.
func TestReadBackOfWhatIsBroughtAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.night()
		w.window()
		w.night()
		plan := w.plan()
		sample, err := plan.Sample(t.Context(), w, 1<<20)
		must(t, err)
		far := newMapStore() // an empty disk in the vault's place
		looking := sample.Begin(t.Context(), far)
		defer looking.Stop()
		synctest.Wait() // for it to find out
		report, err := plan.Send(t.Context(), far, w, nil)
		if err != nil || report.Relisted == "" {
			t.Fatalf("%+v, %v", report, err)
		}
		back, err := looking.Finish(t.Context(), plan.Sealed())
		if err != nil || len(back.Amiss()) > 0 || back.Blobs != len(w.blobs) {
			t.Errorf("%+v, %v", back, err)
		}
	})
}
