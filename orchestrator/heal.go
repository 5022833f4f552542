package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"airlock/blob"
	"airlock/ledger"
	"airlock/repository"
	"airlock/vault"
)

// Heal says how the repository is to be mended.
type Heal struct {
	From       string `json:"from"`                    // the vault
	Generation string `json:"of_generation,omitempty"` // a number, or the beginning of a hash; otherwise the newest
	// RollBack puts the repository back to what it was at that generation, and makes it anew
	// where it is gone: what was written since is set aside. Otherwise only what is damaged
	// or missing is replaced, and the rest stays as it is.
	RollBack bool `json:"roll_back,omitempty"`
	DryRun   bool `json:"dry_run,omitempty"` // say what is amiss, and change nothing
}

// Healed is what became of it.
type Healed struct {
	Heal
	Result  string         `json:"result"`
	Error   string         `json:"error,omitempty"`
	Number  int64          `json:"generation,omitempty"`
	Read    int            `json:"read"`              // blobs that were looked at
	Damaged []Damage       `json:"damaged,omitempty"` // what was missing or not as it was written
	Blobs   int            `json:"blobs"`             // that were fetched and put in place
	Bytes   int64          `json:"bytes"`
	Aside   []string       `json:"aside,omitempty"`   // copies of what was damaged or removed, in the repository's own place
	Removed int            `json:"removed,omitempty"` // blobs written after the generation
	Lacks   []blob.Fault   `json:"lacks,omitempty"`   // what neither the repository nor the vault has as it was written
	Seconds float64        `json:"seconds"`
	Windows []WindowRecord `json:"windows,omitempty"`
}

// String is the result as one line.
func (h Healed) String() string {
	if h.Result == resultFailed || h.Result == resultRefused {
		return fmt.Sprintf("heal from %s %s: %s", h.From, h.Result, h.Error)
	}
	return fmt.Sprintf("heal from %s: %s: %d blobs were amiss, %d fetched, %s", h.From, h.Result, len(h.Damaged), h.Blobs, Size(h.Bytes))
}

// Heal fetches good copies of the repository's damaged and missing blobs back from a
// vault. The whole repository is read first, with the doors shut. What is replaced is kept
// aside. It may be given again: what is in place is not fetched again. ErrInPart if
// something is nowhere to be had.
func (s *Site) Heal(ctx context.Context, h Heal, by Caller, watch Watch) (Healed, error) {
	if err := s.begin(); err != nil {
		return Healed{}, err
	}
	defer s.orders.Done()
	tell := func(p Progress) {
		p.Task = "heal"
		watch(p)
	}
	done, began := Healed{Heal: h}, time.Now()
	err := s.heal(ctx, &done, by, tell)
	done.Seconds = time.Since(began).Seconds()
	switch {
	case errors.Is(err, ErrRefused):
		done.Result = resultRefused
	case err == nil && len(done.Lacks) > 0:
		done.Result, err = resultInPart, fmt.Errorf("%w: %s", ErrInPart, done.nowhere())
	case err == nil && h.DryRun && len(done.Damaged) > 0:
		done.Result = "damaged"
	case err == nil:
		done.Result = resultDone
	case done.Blobs > 0:
		done.Result, err = resultInPart, fmt.Errorf("%w: %w", ErrInPart, err)
	default:
		done.Result = resultFailed
	}
	if err != nil {
		done.Error = err.Error()
	}
	if !h.DryRun {
		s.journal.Note(ledger.Entry{
			Time: time.Now(), Kind: ledger.KindHeal, Actor: by.Actor, Reason: by.Reason,
			Vault: h.From, To: done.Result, Detail: detail(done.inLedger()),
		})
	}
	tell(Progress{Stage: done.Result, Text: done.String()})
	return done, err
}

// nowhere says what helps against what the vault does not have.
func (h Healed) nowhere() string {
	text := fmt.Sprintf("%d damaged blobs cannot be had from generation %d, %s first (%s)", len(h.Lacks), h.Number, h.Lacks[0].Name, h.Lacks[0].Why)
	if h.RollBack {
		return text + "; an older generation may have them: --generation N"
	}
	return text + "; airlock verify names what is lost with them, and heal with --roll-back puts the repository back to that generation, after which a gathering brings what was new"
}

func (h Healed) inLedger() Healed {
	h.Damaged = h.Damaged[:min(len(h.Damaged), namedInLedger)]
	h.Aside = h.Aside[:min(len(h.Aside), namedInLedger)]
	h.Lacks = h.Lacks[:min(len(h.Lacks), namedInLedger)]
	h.Windows = nil // each has its own entry
	return h
}

func (s *Site) heal(ctx context.Context, done *Healed, by Caller, tell Watch) (err error) {
	e, err := s.errand(ctx, done.From, done.Generation, healing, by, tell)
	if err != nil {
		return err
	}
	defer e.end()
	defer func() { done.Windows = e.windows }()
	if err := s.resting(); err != nil {
		return err
	}
	conf, err := s.parts.Repository(s.policy)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	holdings, err := repository.OpenHoldings(ctx, conf, done.RollBack && !done.DryRun)
	if errors.Is(err, repository.ErrNoRepository) && !done.RollBack {
		return fmt.Errorf("%w: %w; if it is lost, --roll-back makes it anew", ErrRefused, err)
	}
	m := &mending{errand: e, done: done, holdings: holdings}
	if err != nil && !errors.Is(err, repository.ErrNoRepository) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err == nil {
		defer func() { err = errors.Join(err, holdings.Close(context.WithoutCancel(ctx))) }()
	}
	return m.run(ctx)
}

// resting refuses while somebody writes to the repository or reads what a window sends.
func (s *Site) resting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.upkeeping != nil {
		return fmt.Errorf("%w: the repository is being maintained; wait until that has ended", ErrRefused)
	}
	if n := len(s.gathering) + len(s.windows); n > 0 {
		return fmt.Errorf("%w: the repository is in use by %d gatherings and %d windows; wait until they have ended", ErrRefused, len(s.gathering), len(s.windows))
	}
	return nil
}

// mending is one healing.
type mending struct {
	*errand
	done       *Healed
	holdings   *repository.Holdings // nil where there is nothing, on a dry run
	generation *vault.Generation

	present map[string]bool // lies in the storage, in whatever state
	bad     []blob.Fault
	extra   []string // to be removed by a roll-back
}

func (m *mending) run(ctx context.Context) error {
	if err := m.which(ctx); err != nil {
		return err
	}
	m.done.Number = m.generation.Number
	if err := m.examine(ctx); err != nil {
		return err
	}
	wanted := m.wanted()
	for _, a := range m.bad {
		m.done.Damaged = append(m.done.Damaged, Damage{Blob: a.Name, What: a.Name + ": " + a.Why})
	}
	if m.done.DryRun {
		m.done.Blobs, m.done.Bytes, m.done.Removed = len(wanted), sizes(wanted), len(m.extra)
		return nil
	}
	if err := m.replace(ctx, wanted); err != nil {
		return err
	}
	return m.rollBack(ctx)
}

// which finds the generation: the newest one is known here, unless the state folder is new.
func (m *mending) which(ctx context.Context) error {
	last, err := m.site.lastKnown(m.vault, m.by)
	if err != nil {
		return err
	}
	if last != nil && (m.number == 0 || m.number == last.Number) {
		m.generation = last
		return nil
	}
	m.generation, err = through(ctx, m.errand, map[string]any{"generation": m.number}, func(ctx context.Context, store vault.Store, r *WindowRecord) (*vault.Generation, error) {
		g, err := m.load(ctx, store)
		if g != nil {
			r.Generation = g.Number
		}
		return g, err
	})
	return err
}

// lastKnown is the last generation of a vault that this site knows to have made.
func (s *Site) lastKnown(vaultName string, by Caller) (*vault.Generation, error) {
	p, err := s.passage(vaultName, healing, by, func(Progress) {}) // nobody else has the memory open
	if err != nil {
		return nil, err
	}
	defer p.release()
	memory, err := vault.OpenMemory(s.policy.State.Vault(vaultName))
	if err != nil {
		return nil, err
	}
	return memory.Last(), memory.Close()
}

// examine reads the whole repository. What it should consist of is what the catalogue
// says, or for a roll-back the generation.
func (m *mending) examine(ctx context.Context) error {
	m.present = map[string]bool{}
	listed, known := map[string]int64{}, map[string]blob.Blob{}
	if m.holdings != nil {
		var err error
		if listed, err = m.holdings.Listed(ctx); err != nil {
			return err
		}
		if known, err = m.holdings.Catalogued(ctx); err != nil {
			return err
		}
	}
	should := m.should(listed, known)
	var there []blob.Blob
	for name, b := range should {
		if m.present[name] = listed[name] > 0; m.present[name] {
			there = append(there, b)
		} else {
			m.bad = append(m.bad, blob.Fault{Name: b.Name, Why: "it is missing from the storage", Was: b})
		}
	}
	for _, name := range slices.Concat(keysOf(listed), keysOf(known)) {
		if _, belongs := should[name]; !belongs && m.done.RollBack {
			m.extra = append(m.extra, name)
		}
	}
	slices.Sort(m.extra)
	m.extra = slices.Compact(m.extra)
	m.done.Read = len(there)
	if len(there) > 0 {
		bad, err := m.holdings.Inspect(ctx, there, meter(m.tell, Progress{Stage: "reading the repository", TotalFiles: int64(len(there)), TotalBytes: total(there)}))
		if err != nil {
			return err
		}
		m.bad = append(m.bad, bad...)
	}
	slices.SortFunc(m.bad, func(a, b blob.Fault) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// should is what the repository should consist of. Where the catalogue was lost, the
// generation knows the hashes of what lies there.
func (m *mending) should(listed map[string]int64, known map[string]blob.Blob) map[string]blob.Blob {
	should := map[string]blob.Blob{}
	if !m.done.RollBack {
		maps.Copy(should, known)
	}
	for _, e := range m.generation.Blobs {
		_, there := listed[e.Name]
		_, catalogued := known[e.Name]
		if m.done.RollBack || there && !catalogued {
			should[e.Name] = blob.Blob{Name: e.Name, Size: e.Size, SHA256: e.SHA256}
		}
	}
	return should
}

func keysOf[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }

func total(blobs []blob.Blob) (bytes int64) {
	for _, b := range blobs {
		bytes += b.Size
	}
	return bytes
}

// wanted are the copies that the vault should have of what is bad. Of kopia's settings,
// which change under their names, an older version does.
func (m *mending) wanted() []vault.Entry {
	var wanted []vault.Entry
	for _, a := range m.bad {
		e, listed := m.generation.Blob(a.Name)
		switch {
		case listed && (e.SHA256 == a.Was.SHA256 || strings.HasPrefix(e.Name, "kopia.")):
			wanted = append(wanted, e)
		case listed:
			m.lack(a.Name, "the vault has other bytes under its name than the catalogue says")
		default:
			m.lack(a.Name, fmt.Sprintf("it is not in generation %d", m.generation.Number))
		}
	}
	return wanted
}

func (m *mending) lack(name, why string) {
	m.done.Lacks = append(m.done.Lacks, blob.Fault{Name: name, Why: why})
}

// replace keeps what is damaged aside, and puts good copies in its place.
func (m *mending) replace(ctx context.Context, wanted []vault.Entry) error {
	if len(wanted) > 0 {
		if err := m.justified(); err != nil { // before anything is touched
			return err
		}
	}
	m.tell(Progress{Stage: "setting the damaged aside", TotalFiles: int64(len(wanted))})
	for _, e := range wanted {
		if err := m.aside(ctx, e.Name); err != nil {
			return err
		}
	}
	lacks, err := m.fetch(ctx, wanted, func(ctx context.Context, e vault.Entry, r io.Reader) error {
		return m.holdings.Put(ctx, blob.Blob{Name: e.Name, Size: e.Size, SHA256: e.SHA256}, r)
	})
	m.done.Lacks = append(m.done.Lacks, lacks...)
	for _, w := range m.windows {
		m.done.Blobs += w.Blobs
		m.done.Bytes += w.Bytes
	}
	return err
}

func (m *mending) aside(ctx context.Context, name string) error {
	if !m.present[name] {
		return nil
	}
	copied, err := m.holdings.SetAside(ctx, name)
	if copied != "" {
		m.done.Aside = append(m.done.Aside, copied)
	}
	return err
}

// rollBack removes what was written after the generation, once all of that is in place,
// and what this machine remembers of it.
func (m *mending) rollBack(ctx context.Context) error {
	if !m.done.RollBack || len(m.done.Lacks) > 0 {
		return nil
	}
	m.tell(Progress{Stage: "setting aside what was written since", TotalFiles: int64(len(m.extra))})
	for _, name := range m.extra {
		m.present[name] = true // or not: then there is nothing to copy
		if err := m.aside(ctx, name); err != nil {
			return err
		}
		if err := m.holdings.Forget(ctx, name); err != nil {
			return err
		}
		m.done.Removed++
	}
	return errors.Join(m.site.closeRepository(ctx), m.holdings.ForgetCaches())
}

// closeRepository has the repository opened anew when it is needed next.
func (s *Site) closeRepository(ctx context.Context) error {
	select {
	case s.opening <- struct{}{}:
		defer func() { <-s.opening }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.repo == nil {
		return nil
	}
	open := s.repo
	s.repo = nil
	return open.Close(context.WithoutCancel(ctx))
}
