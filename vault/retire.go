package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"
)

// Remover is a Store of which files may be removed: that of a vault whose host has no
// rules of its own. Whoever can send to such a vault can remove what is there, and S9
// holds by the door alone. Only retention calls Remove.
type Remover interface {
	Store
	// Remove removes a file, and makes that durable as far as the server can. It
	// refuses what CheckRemovable does; a file that is not there is no error.
	Remove(ctx context.Context, name string) error
}

// CheckRemovable refuses, as fs.ErrInvalid, every name but those of generations, their
// signatures and blobs. Kopia's own settings stay, so that the folder is a repository
// that its stock program opens.
func CheckRemovable(name string) error {
	if GenerationOf(name) > 0 || SignedOf(name) > 0 || IsBlobFile(name) && !versioned(BlobOf(name)) {
		return nil
	}
	return fmt.Errorf("%q is nothing that retention removes: %w", name, fs.ErrInvalid)
}

// Retention are the rules by which a vault's generations go.
type Retention struct {
	Keep   Keep
	Zone   *time.Location // by whose wall clock Keep counts
	MinAge time.Duration  // nothing younger goes
	Brake  int            // if more generations would go at once, none does
	Budget time.Duration  // of an open door that retention may take; what is left goes in the next window
	// Trouble is what is wrong with the clock; "" if nothing is.
	Trouble string
	// Trust are the keys by which generations must be signed to count.
	Trust []note.Verifier
}

// Retirement is what is to go from a vault, worked out with the doors shut.
type Retirement struct {
	Drop  []int64 // generations
	Files int     // of blobs that no generation lists then
	Held  string  // why nothing may go, for a person to look; "" if it may

	rules    Retention
	register *Register
	files    []span
	begun    map[int64]bool // the removals that an earlier window may have made
	past     *Past
}

// RetentionReport is what went from a vault in one window.
type RetentionReport struct {
	Kept    int     `json:"kept"` // generations, with the new one
	Dropped []int64 `json:"dropped,omitempty"`
	Blobs   int     `json:"blobs"`             // removed
	Bytes   int64   `json:"bytes"`             // that they had
	Left    int     `json:"left,omitempty"`    // blobs for which no time was left
	Learned int     `json:"learned,omitempty"` // generations that were not in the register
	Seconds float64 `json:"seconds"`
	Held    string  `json:"held,omitempty"`
	// Strange are generations that somebody else has made with the site's key.
	Strange []string `json:"strange,omitempty"`
}

// Retire works out what goes once the plan's generation stands. It marks in the
// register what shall go: save that before a door is opened.
func (p *Plan) Retire(r *Register, rules Retention) *Retirement {
	for _, e := range p.known.landed {
		if !p.sealed.lists(e.At()) {
			r.orphan(e)
		}
	}
	rt := &Retirement{rules: rules, register: r, Held: rules.Trouble, begun: maps.Clone(r.dropping), past: p.in.Past}
	arrivals := []Arrival{{p.sealed.Number, p.in.Now}}
	var stay []int64
	for n, s := range r.standing {
		arrivals = append(arrivals, Arrival{n, s.Time})
		if ahead := s.Time.Sub(p.in.Now); ahead > clockStep && rt.Held == "" {
			rt.Held = fmt.Sprintf("by the clock it is %s, and generation %d is of %s", p.in.Now.Format(time.RFC3339), n, s.Time.Format(time.RFC3339))
		}
	}
	reasons := rules.Keep.Reasons(arrivals, rules.Zone, p.in.Now, rules.MinAge)
	fresh := 0
	for _, a := range arrivals[1:] {
		switch {
		case len(reasons[a.Number]) > 0:
			stay = append(stay, a.Number)
		default:
			rt.Drop = append(rt.Drop, a.Number)
			if !r.dropping[a.Number] {
				fresh++
			}
		}
	}
	slices.Sort(rt.Drop)
	slices.Sort(stay)
	if fresh > rules.Brake && rt.Held == "" {
		rt.Held = fmt.Sprintf("%s, and the brake is at %d; find out why so many; only a person who knows lets them go, with --brake in one window", WouldGo(rt.Drop, append(stay, p.sealed.Number)), rules.Brake)
	}
	if rt.Held != "" {
		rt.Drop = nil
		return rt
	}
	for _, s := range r.idle(stay) {
		if !p.sealed.lists(s.Path) {
			rt.files = append(rt.files, s)
		}
	}
	rt.Files = len(rt.files)
	for _, n := range rt.Drop {
		r.dropping[n] = true
	}
	return rt
}

// Run drops, while the door is open, what shall go: manifests first, so that a
// generation that stands has all that it lists at every instant (S10), then files. fresh
// are the generations that this window has put, whole and read back. What the budget
// does not suffice for is left to the next window, and so is everything if the vault
// holds a generation that the register does not know: it is learned now. One that is
// gone, and that nobody dropped, holds all up, and so does one that bears the site's
// signature and is of no window of its. What the site has not signed is passed over.
//
// After the door is shut, whatever Run returned, save the register.
func (rt *Retirement) Run(ctx context.Context, store Store, fresh ...*Generation) (report RetentionReport, err error) {
	begun := time.Now()
	defer func() { report.Seconds = time.Since(begun).Seconds() }()
	report.Held, report.Kept = rt.Held, len(rt.register.standing)+len(fresh)
	far, can := store.(Remover)
	if !can {
		report.Held = "nothing can be removed from this kind of vault"
		return report, nil
	}
	spent := errors.New("the time for retention is spent")
	ctx, cancel := context.WithTimeoutCause(ctx, rt.rules.Budget, spent)
	defer cancel()
	if err := rt.compare(ctx, store, fresh, &report); err == nil && report.Held == "" && report.Learned == 0 {
		err = rt.remove(ctx, far, fresh, &report)
		report.Left = len(rt.files) - report.Blobs
		report.Kept -= len(report.Dropped)
		if errors.Is(err, spent) {
			err = nil
		}
		return report, err
	} else if !errors.Is(err, spent) {
		return report, err
	}
	return report, nil
}

// compare holds the register against what stands in the vault. What the site has not signed
// is nothing there.
func (rt *Retirement) compare(ctx context.Context, store Store, fresh []*Generation, report *RetentionReport) error {
	there, err := listShelf(ctx, store)
	if err != nil {
		return err
	}
	for n := range rt.register.standing {
		_, stands := there.manifests[n]
		switch {
		case stands:
			delete(there.manifests, n)
		case rt.begun[n]: // a cut came between its removal and the register
			rt.gone(n)
		default:
			report.hold(fmt.Sprintf("generation %d is gone from the vault, and airlock did not drop it; if that is right: airlock window VAULT --replaced --reason TEXT", n))
		}
	}
	for _, g := range fresh {
		delete(there.manifests, g.Number)
	}
	found, err := there.seals(ctx, store, 0, rt.rules.Trust)
	if err != nil {
		return err
	}
	if found.unseen > 0 {
		report.hold(fmt.Sprintf("of the files that lie in the place of generations, %d could not be looked at in time; look at them in the vault's folder generations, and move away what is not airlock's", found.unseen))
	}
	for _, one := range slices.Backward(found.seals) {
		if err := rt.learn(ctx, store, one, report); err != nil {
			return err
		}
	}
	return nil
}

// hold keeps the first reason.
func (r *RetentionReport) hold(why string) {
	if r.Held == "" {
		r.Held = why
	}
}

// learn enters a generation that stands in the vault and that a window of the site made.
func (rt *Retirement) learn(ctx context.Context, store Store, one seal, report *RetentionReport) error {
	g, _, err := loadSealed(ctx, store, one)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil { // what it lists is not known
		report.hold(fmt.Sprintf("generation %d cannot be read, so what it lists is not known: %v", one.number, err))
		return nil
	}
	if !rt.past.explains(g, one.sum) {
		why := StrangeGeneration(one.number)
		report.Strange = append(report.Strange, why)
		report.hold(why + "; find out who, and when nobody can any more, remove it and its signature from the vault's folder generations")
		return nil
	}
	rt.register.Enter(g)
	report.Learned++
	return nil
}

func (rt *Retirement) gone(number int64) {
	delete(rt.register.standing, number)
	delete(rt.register.dropping, number)
}

func (rt *Retirement) remove(ctx context.Context, far Remover, fresh []*Generation, report *RetentionReport) error {
	for _, n := range rt.Drop {
		for _, name := range []string{GenerationPath(n), SignaturePath(n)} {
			if err := far.Remove(ctx, name); err != nil {
				return fmt.Errorf("drop generation %d: %w", n, err)
			}
		}
		rt.gone(n)
		report.Dropped = append(report.Dropped, n)
	}
	removing, working := errgroup.WithContext(ctx)
	removing.SetLimit(defaultWorkers)
	removed := make([]atomic.Bool, len(rt.files))
	for i, s := range rt.files {
		if working.Err() != nil {
			break
		}
		if slices.ContainsFunc(fresh, func(g *Generation) bool { return g.lists(s.Path) }) {
			continue
		}
		removing.Go(func() error {
			if err := far.Remove(working, s.Path); err != nil {
				return err
			}
			removed[i].Store(true)
			return nil
		})
	}
	err := removing.Wait()
	for i, s := range rt.files {
		if removed[i].Load() {
			report.Blobs++
			report.Bytes += s.Size
			delete(rt.register.spans, s.Path)
		}
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("remove what no generation lists: %w", err)
	}
	return nil
}

// String is the report in some words, "" if there is nothing to tell.
func (r RetentionReport) String() string {
	var b strings.Builder
	switch {
	case r.Held != "":
		return "nothing was dropped: " + r.Held
	case len(r.Dropped) > 0:
		fmt.Fprintf(&b, "%d generations dropped, %d blobs removed", len(r.Dropped), r.Blobs)
	case r.Blobs > 0:
		fmt.Fprintf(&b, "%d blobs removed", r.Blobs)
	case r.Learned > 0:
		fmt.Fprintf(&b, "%d generations of the vault learned", r.Learned)
	}
	if r.Left > 0 {
		fmt.Fprintf(&b, ", %d left to the next window", r.Left)
	}
	return strings.TrimPrefix(b.String(), ", ")
}
