package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"airlock/ledger"
	"airlock/vault"
)

// Standing is how a generation stands with the host.
type Standing struct {
	Number  int64     `json:"number"`
	Arrived time.Time `json:"arrived"`
	Window  string    `json:"window,omitempty"`
	Blobs   int       `json:"blobs"`
	Bytes   int64     `json:"bytes"`
	Kept    []string  `json:"kept,omitempty"`  // the rules that keep it; none: the next prune drops it
	Amiss   string    `json:"amiss,omitempty"` // why it does not count: unsigned, damaged
	Lacks   int       `json:"lacks,omitempty"` // blobs that are damaged or missing
}

// Generations lists what the vault holds, oldest first.
func (h *Host) Generations(ctx context.Context) ([]Standing, error) {
	sure, doubtful, err := h.arrivals(ctx)
	if err != nil {
		return nil, err
	}
	damaged := map[string]bool{}
	for d, err := range h.index.damaged(ctx) {
		if err != nil {
			return nil, err
		}
		damaged[d.path] = true
	}
	kept := h.kept(sure, doubtful)
	var all []Standing
	for _, a := range slices.Concat(sure, doubtful) {
		s := Standing{Number: a.Number, Arrived: a.At.In(h.conf.Zone), Kept: kept[a.Number]}
		sum, err := h.counts(a.Number)
		if err == nil {
			var g *vault.Generation
			g, err = h.scan(a.Number, sum, func(e vault.Entry) error {
				s.Blobs++
				s.Bytes += e.Size
				if damaged[e.At()] {
					s.Lacks++
				}
				return ctx.Err()
			})
			if err == nil {
				s.Window = g.Window
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			s.Amiss = err.Error()
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Standing) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}

// arrivals are the generations in the folder: those that the site has signed, and those
// of which that is not sure.
func (h *Host) arrivals(ctx context.Context) (sure, doubtful []vault.Arrival, err error) {
	numbers, err := h.numbers()
	if err != nil {
		return nil, nil, err
	}
	for _, n := range numbers {
		a, signed, err := h.arrival(ctx, n)
		if err != nil {
			return nil, nil, err
		}
		if signed {
			sure = append(sure, a)
		} else {
			doubtful = append(doubtful, a)
		}
	}
	return sure, doubtful, nil
}

func (h *Host) arrival(ctx context.Context, number int64) (a vault.Arrival, signed bool, err error) {
	name := vault.GenerationPath(number)
	r, err := h.index.find(ctx, name)
	if unlessNone(err) != nil {
		return a, false, err
	}
	if err != nil { // not recorded yet: the folder's own time is the host's
		info, err := h.folder.Lstat(name)
		if err != nil {
			return a, false, err
		}
		r.arrived = info.ModTime()
	}
	a = vault.Arrival{Number: number, At: r.arrived}
	want, err := h.counts(number)
	if err != nil { // nobody reads it
		return a, false, nil
	}
	if r.sum == nil {
		return a, true, nil // how it arrived is not known; whoever reads it finds out whether it is as it was signed
	}
	return a, *r.sum == want, nil
}

// kept says why generations stay. One that is doubtful stays until it is old enough,
// counts for no rule, and takes nobody's place.
func (h *Host) kept(sure, doubtful []vault.Arrival) map[int64][]string {
	now := h.conf.Now()
	why := h.conf.Keep.Reasons(sure, h.conf.Zone, now, h.conf.MinAge)
	for n, reasons := range (vault.Keep{}).Reasons(doubtful, h.conf.Zone, now, h.conf.MinAge) {
		why[n] = reasons
	}
	return why
}

// PruneOptions are what a person says to a prune.
type PruneOptions struct {
	Brake      int  // in place of the configured one; 0 for that
	ClockRight bool // the clock is right, whatever it did
	LineRight  bool // all generations that came are the site's
	Try        bool // only say what would be done
}

// PruneReport is what a prune did.
type PruneReport struct {
	Kept    int     `json:"kept"` // generations
	Dropped []int64 `json:"dropped,omitempty"`
	// Unsigned are files in the place of generations, by their numbers, that the site has
	// not signed. They go once they are older than min_age, and no brake counts them.
	Unsigned []int64 `json:"unsigned,omitempty"`
	Blobs    int     `json:"blobs"` // removed, since no generation lists them
	Bytes    int64   `json:"bytes"` // that they had
	// Strays are files that are neither blobs nor airlock's. They are a person's business.
	Strays int  `json:"strays,omitempty"`
	Try    bool `json:"try,omitempty"`
	// Waiting is what came since the newest generation and belongs to none.
	Waiting Waiting `json:"waiting,omitzero"`
	// Room is what the quota leaves, in bytes; absent without a quota.
	Room *int64 `json:"room,omitempty"`
	// Fate is what would become of each generation that counts; only of a try.
	Fate []Standing `json:"fate,omitempty"`
}

// ErrHeld says that nothing was dropped, for a person must look first.
var ErrHeld = errors.New("nothing is dropped")

// removeAtOnce is how many blobs are removed before others may vouch and take stock.
const removeAtOnce = 500

// Prune drops the generations that no rule keeps, and then the blobs that no generation
// lists any more. A cut at any point loses nothing that a kept generation lists; the
// next prune carries on. ErrHeld if the clock or the brake is against it: then nothing
// is removed.
func (h *Host) Prune(ctx context.Context, o PruneOptions) (report PruneReport, err error) {
	report.Try = o.Try
	if err := h.recognise(ctx, false); err != nil {
		return report, err
	}
	trouble, err := h.watchClock(o.ClockRight)
	if err != nil {
		return report, err
	}
	if trouble != "" {
		return report, fmt.Errorf("%w: %s; set the clock right, then say so: airlock vault prune --clock-is-right", ErrHeld, trouble)
	}
	err = h.exclusively(ctx, func() error {
		line, err := h.followLine(ctx, o.LineRight)
		if err == nil && line.Doubt != "" {
			err = fmt.Errorf("%w: %s; %s", ErrHeld, line.Doubt, lineageHint)
		}
		if err != nil && !o.Try {
			return err
		}
		return errors.Join(err, h.dropGenerations(ctx, o, &report))
	})
	if err == nil {
		err = h.dropBlobs(ctx, o.Try, &report)
	}
	if err == nil && h.conf.Quota > 0 {
		var lies int64
		lies, err = h.index.total(ctx)
		left := h.conf.Quota - lies
		report.Room = &left
	}
	if !o.Try && (len(report.Dropped)+len(report.Unsigned) > 0 || report.Blobs > 0 || err != nil) {
		result := "done"
		if err != nil {
			result = "failed"
		}
		h.ledger.Note(ledger.Entry{Time: h.conf.Now(), Kind: ledger.KindUpkeep, Actor: h.conf.Actor, Vault: h.conf.Name, To: result, Reason: "airlock vault prune", Detail: detail(report)})
	}
	return report, err
}

// dropGenerations removes the manifests that no rule keeps.
func (h *Host) dropGenerations(ctx context.Context, o PruneOptions, report *PruneReport) error {
	sure, doubtful, err := h.arrivals(ctx)
	if err != nil {
		return err
	}
	kept := h.kept(sure, doubtful)
	drop, unsigned := unkept(sure, kept), unkept(doubtful, kept)
	if len(sure) == 0 { // perhaps it is site_key that is wrong
		unsigned = nil
	}
	report.Kept = len(sure) - len(drop)
	if o.Try {
		for _, a := range sure {
			report.Fate = append(report.Fate, Standing{Number: a.Number, Arrived: a.At, Kept: kept[a.Number]})
		}
	}
	brake := cmp.Or(o.Brake, h.conf.Brake)
	if len(drop) > brake {
		why := fmt.Errorf("%w: %s, and the brake is at %d; see what would go and what would stay with airlock vault prune --dry-run, and find out why so many; only a person who knows lets them go, with --brake",
			ErrHeld, vault.WouldGo(drop, staying(sure, kept)), brake)
		if o.Try {
			report.Dropped = drop
			return why
		}
		h.alarm("many generations would be dropped at once", why.Error())
		return why
	}
	report.Dropped, report.Unsigned = drop, unsigned
	if o.Try || len(drop)+len(unsigned) == 0 {
		return nil
	}
	intent := ledger.Entry{Time: h.conf.Now(), Kind: ledger.KindUpkeep, Actor: h.conf.Actor, Vault: h.conf.Name, To: "begun", Reason: "airlock vault prune", Detail: detail(map[string]any{"drop": drop, "unsigned": unsigned, "kept": kept})}
	if _, err := h.ledger.Append(ctx, intent); err != nil {
		return err
	}
	for _, n := range slices.Concat(drop, unsigned) {
		if err := h.dropGeneration(ctx, n); err != nil {
			return fmt.Errorf("drop generation %d: %w", n, err)
		}
	}
	return h.folder.syncFolder("generations")
}

// staying are those that something keeps.
func staying(all []vault.Arrival, kept map[int64][]string) (stay []int64) {
	for _, a := range all {
		if len(kept[a.Number]) > 0 {
			stay = append(stay, a.Number)
		}
	}
	return stay
}

// unkept are those that nothing keeps, the lowest number first.
func unkept(all []vault.Arrival, kept map[int64][]string) (drop []int64) {
	for _, a := range all {
		if len(kept[a.Number]) == 0 {
			drop = append(drop, a.Number)
		}
	}
	slices.Sort(drop)
	return drop
}

// dropGeneration removes a manifest first: without it there is no generation, and what
// else bears its number says nothing.
func (h *Host) dropGeneration(ctx context.Context, number int64) error {
	names := []string{vault.GenerationPath(number), vault.SignaturePath(number)}
	if err := h.index.forget(ctx, names); err != nil {
		return err
	}
	for _, name := range append(names, vault.ReceiptPath(number)) {
		if err := h.folder.drop(name); err != nil {
			return err
		}
	}
	return nil
}

// dropBlobs removes what no generation lists and what arrived before the newest one did:
// a blob that came later belongs to a generation to come.
func (h *Host) dropBlobs(ctx context.Context, try bool, report *PruneReport) error {
	var u unlisted
	for {
		more := false
		err := h.exclusively(ctx, func() (err error) {
			more, err = u.some(ctx, h, try, report)
			return err
		})
		if err != nil {
			return err
		}
		if !more {
			return h.dropOld(ctx, &u, try, report)
		}
	}
}

// unlisted is the search for blobs that no generation lists.
type unlisted struct {
	read   map[int64]bool  // the generations that are in listed
	listed map[string]bool // paths
	newest time.Time       // the arrival of the newest generation that the site has signed
	last   int64           // its number
	after  string          // all paths up to this one were looked at
}

// some removes some of them, and says whether there may be more.
func (u *unlisted) some(ctx context.Context, h *Host, try bool, report *PruneReport) (bool, error) {
	if err := u.learn(ctx, h, slices.Concat(report.Dropped, report.Unsigned), try); err != nil || len(u.read) == 0 {
		return false, err
	}
	report.Waiting.Since = u.last
	var drop []record
	for r, err := range h.index.after(ctx, u.after) {
		if err != nil {
			return false, err
		}
		if len(drop) == removeAtOnce {
			break
		}
		u.after = r.path
		switch {
		case u.listed[r.path] || r.path == vault.ShardsName:
		case orphan(r.path, u.read):
			drop = append(drop, r)
		case !vault.IsBlobFile(r.path):
			if path.Dir(r.path) != "generations" {
				report.Strays++
			}
		case r.arrived.Before(u.newest):
			drop = append(drop, r)
		default:
			report.Waiting.Files++
			report.Waiting.Bytes += r.size
		}
	}
	if !try {
		if err := h.removeAll(ctx, drop); err != nil {
			return false, err
		}
	}
	for _, r := range drop {
		report.Blobs++
		report.Bytes += r.size
	}
	return len(drop) == removeAtOnce, nil
}

// orphan says whether a file is the signature of a generation that a cut prune has
// dropped.
func orphan(name string, standing map[int64]bool) bool {
	n := vault.SignedOf(name)
	if n == 0 || standing[n] {
		return false
	}
	for s := range standing {
		if s > n {
			return true
		}
	}
	return false // its manifest may be on its way
}

// learn reads the generations that came since the last look; all, at the first.
func (u *unlisted) learn(ctx context.Context, h *Host, dropped []int64, try bool) error {
	numbers, err := h.numbers()
	if err != nil {
		return err
	}
	if u.read == nil {
		u.read, u.listed = map[int64]bool{}, map[string]bool{}
	}
	for _, n := range numbers {
		if u.read[n] || try && slices.Contains(dropped, n) {
			continue
		}
		a, signed, err := h.arrival(ctx, n)
		if err != nil {
			return err
		}
		if !signed { // anybody's file, which lists nothing
			continue
		}
		sum, err := h.counts(n)
		if err == nil { // these are the bytes that arrived
			_, err = h.scan(n, sum, func(e vault.Entry) error { u.listed[e.At()] = true; return ctx.Err() })
		}
		if err != nil {
			return fmt.Errorf("no blob is removed, for what this generation lists is not known: %w; if it cannot be sent again, move it out of the folder by hand", err)
		}
		if u.read[n] = true; a.At.After(u.newest) {
			u.newest, u.last = a.At, n
		}
	}
	return nil
}

// removeAll removes files. Their records go first: a file without one is found by the
// next stock-taking, and a record without a file would be damage.
func (h *Host) removeAll(ctx context.Context, drop []record) error {
	if len(drop) == 0 {
		return nil
	}
	names := make([]string, len(drop))
	folders := map[string]bool{}
	for i, r := range drop {
		names[i] = r.path
		folders[path.Dir(r.path)] = true
	}
	if err := h.index.forget(ctx, names); err != nil {
		return err
	}
	for _, name := range names {
		if err := h.folder.drop(name); err != nil {
			return err
		}
	}
	for dir := range folders {
		if err := h.folder.syncFolder(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
