package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/maintenance"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"
	"github.com/kopia/kopia/snapshot/snapshotmaintenance"
)

// Snapshot is one system at one time.
type Snapshot struct {
	ID, System   string
	Start, End   time.Time
	Files, Bytes int64
	// Failed is the number of files and folders that are missing because they could
	// not be read.
	Failed int
	// Incomplete: the run that made it was cut short. It serves the next run.
	Incomplete bool
	// Held is why it is not taken for good; "" for one that is.
	Held string
}

// good tells whether later snapshots are compared with it.
func (s Snapshot) good() bool { return !s.Incomplete && s.Held == "" }

// Keep says how many snapshots of a system to keep, counted as kopia counts them: the
// newest Last; and of each of the newest Hourly hours, Daily days, Weekly ISO weeks,
// Monthly months and Annual years that have any, the last one. All zero keeps all.
type Keep struct {
	Last, Hourly, Daily, Weekly, Monthly, Annual int
	Zone                                         *time.Location // in which a day begins; nil is UTC
}

// Snapshots lists the snapshots of a system, or of all with system "", oldest first.
func (v *View) Snapshots(ctx context.Context, system string) ([]Snapshot, error) {
	mans, err := v.manifests(ctx, system)
	if err != nil {
		return nil, err
	}
	list := make([]Snapshot, len(mans))
	for i, m := range mans {
		list[i] = describe(m)
	}
	return list, nil
}

func describe(m *snapshot.Manifest) Snapshot {
	s := Snapshot{
		ID:         string(m.ID),
		System:     strings.TrimPrefix(m.Source.Path, "/"),
		Start:      m.StartTime.ToTime(),
		End:        m.EndTime.ToTime(),
		Incomplete: m.IncompleteReason != "",
		Held:       m.Tags[heldTag],
	}
	if m.RootEntry != nil && m.RootEntry.DirSummary != nil {
		sum := m.RootEntry.DirSummary
		s.Files, s.Bytes = sum.TotalFileCount, sum.TotalFileSize
		s.Failed = sum.IgnoredErrorCount + sum.FatalErrorCount
		// A checkpoint, and a file that kopia failed on, show here and nowhere else.
		s.Incomplete = s.Incomplete || sum.IncompleteReason != "" || sum.FatalErrorCount > 0
	}
	return s
}

// manifests loads one by one: kopia's own way of loading several leaves out what it
// cannot read. One goroutine at a time: see kopia.open.
func (v *View) manifests(ctx context.Context, system string) ([]*snapshot.Manifest, error) {
	v.listing.Lock()
	defer v.listing.Unlock()
	if err := v.rep.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	src := sourceInfo(system)
	if system == "" {
		src.Path = ""
	}
	ids, err := snapshot.ListSnapshotManifests(ctx, v.rep, &src, nil)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	mans := make([]*snapshot.Manifest, len(ids))
	for i, id := range ids {
		if mans[i], err = snapshot.LoadSnapshot(ctx, v.rep, id); err != nil {
			return nil, fmt.Errorf("read snapshot %s: %w", id, err)
		}
	}
	slices.SortFunc(mans, func(a, b *snapshot.Manifest) int {
		return cmp.Or(cmp.Compare(a.StartTime, b.StartTime), cmp.Compare(a.ID, b.ID))
	})
	return mans, nil
}

// manifest loads one snapshot, or says ErrNoSnapshot.
func (v *View) manifest(ctx context.Context, id string) (*snapshot.Manifest, error) {
	v.listing.Lock()
	defer v.listing.Unlock()
	if err := v.rep.Refresh(ctx); err != nil {
		return nil, err
	}
	man, err := snapshot.LoadSnapshot(ctx, v.rep, manifest.ID(id))
	if errors.Is(err, snapshot.ErrSnapshotNotFound) {
		return nil, ErrNoSnapshot
	}
	return man, err
}

// Brake bounds what one Expire may remove.
type Brake struct {
	MinAge time.Duration // nothing younger goes
	Most   int           // if more would go, none does; 0 is no bound
}

// ErrBraked: more snapshots would go than the brake allows, so none went.
var ErrBraked = errors.New("the brake holds")

// Expire removes what keep does not keep of one system, and returns the IDs that it
// removed, those before an error included. The newest snapshot without a failed file
// always stays, whatever keep says. Incomplete ones do not count for the brake. The storage
// is freed by Maintain, a day later or more; a vault's generations are not touched.
func (r *Repository) Expire(ctx context.Context, system string, keep Keep, brake Brake) (removed []string, err error) {
	if system == "" {
		return nil, errors.New("expire: no system is named")
	}
	mans, err := r.manifests(ctx, system)
	if err != nil {
		return nil, err
	}
	going := brake.old(mans, keep.expired(mans), time.Now())
	if n := whole(mans, going); brake.Most > 0 && n > brake.Most {
		return nil, fmt.Errorf("expire snapshots of %s: %w: %d would go at once, and the brake is %d", system, ErrBraked, n, brake.Most)
	}
	if len(going) == 0 {
		return nil, nil // opening a kopia to write costs half a second of a processor
	}
	err = r.kopia.write(ctx, "expire", nil, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		for _, id := range going {
			if err := w.DeleteManifest(ctx, id); err != nil {
				return err
			}
			removed = append(removed, string(id))
		}
		return nil
	})
	if err != nil {
		return removed, fmt.Errorf("expire snapshots of %s: %w", system, err)
	}
	return removed, nil
}

// old leaves of what would go what is old enough.
func (b Brake) old(mans []*snapshot.Manifest, going []manifest.ID, now time.Time) []manifest.ID {
	return slices.DeleteFunc(going, func(id manifest.ID) bool {
		i := slices.IndexFunc(mans, func(m *snapshot.Manifest) bool { return m.ID == id })
		return now.Sub(mans[i].StartTime.ToTime()) < b.MinAge
	})
}

// whole counts the complete ones among some.
func whole(mans []*snapshot.Manifest, some []manifest.ID) (n int) {
	for _, m := range mans {
		if slices.Contains(some, m.ID) && !describe(m).Incomplete {
			n++
		}
	}
	return n
}

// Kept gives the rules by which each of one system's snapshots would be kept, by ID; none
// for one that would go, were it old enough.
func (k Keep) Kept(all []Snapshot) map[string][]string {
	mans := make([]*snapshot.Manifest, len(all))
	for i, s := range all {
		mans[i] = &snapshot.Manifest{
			ID: manifest.ID(s.ID), Source: sourceInfo(s.System), StartTime: fs.UTCTimestampFromTime(s.Start), RootEntry: &snapshot.DirEntry{
				DirSummary: &fs.DirectorySummary{IgnoredErrorCount: s.Failed},
			},
		}
		if s.Incomplete {
			mans[i].IncompleteReason = "incomplete"
		}
		if s.Held != "" {
			mans[i].Tags = map[string]string{heldTag: s.Held}
		}
	}
	kept := map[string][]string{}
	for id, reasons := range k.reasons(mans) {
		kept[string(id)] = reasons
	}
	return kept
}

// expired gives what is not to be kept of one system's snapshots, oldest first. Those that
// are held take no place of a good one: they are counted by themselves (S17).
func (k Keep) expired(mans []*snapshot.Manifest) []manifest.ID {
	kept := k.reasons(mans)
	var ids []manifest.ID
	for _, m := range mans {
		if len(kept[m.ID]) == 0 {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// reasons are the rules by which each of one system's snapshots, oldest first, is kept.
func (k Keep) reasons(mans []*snapshot.Manifest) map[manifest.ID][]string {
	kept := map[manifest.ID][]string{}
	counted := map[bool][]*snapshot.Manifest{} // by whether they are held
	var whole manifest.ID
	for _, m := range mans {
		s := describe(m)
		local := m.Clone()
		local.StartTime = k.wallClock(m.StartTime)
		counted[s.Held != ""] = append(counted[s.Held != ""], local)
		if s.good() && s.Failed == 0 {
			whole = m.ID
		}
	}
	for _, some := range counted {
		k.policy().ComputeRetentionReasons(some)
		for _, m := range some {
			kept[m.ID] = m.RetentionReasons
			for _, pin := range m.Pins {
				kept[m.ID] = append(kept[m.ID], "pin "+pin)
			}
		}
	}
	if whole != "" {
		kept[whole] = append(kept[whole], "newest whole")
	}
	return kept
}

func (k Keep) policy() *policy.RetentionPolicy {
	return &policy.RetentionPolicy{
		KeepLatest: new(policy.OptionalInt(k.Last)), KeepHourly: new(policy.OptionalInt(k.Hourly)),
		KeepDaily: new(policy.OptionalInt(k.Daily)), KeepWeekly: new(policy.OptionalInt(k.Weekly)),
		KeepMonthly: new(policy.OptionalInt(k.Monthly)), KeepAnnual: new(policy.OptionalInt(k.Annual)),
	}
}

// wallClock moves t so that UTC, in which kopia counts days, shows the zone's time.
func (k Keep) wallClock(t fs.UTCTimestamp) fs.UTCTimestamp {
	if k.Zone == nil {
		return t
	}
	_, east := t.ToTime().In(k.Zone).Zone()
	return t.Add(time.Duration(east) * time.Second)
}

// Maintain compacts the indexes, rewrites packs that are mostly waste and deletes what
// no snapshot needs, with kopia's margins of time (days), so that it may run beside
// anything else. It takes the ownership of maintenance for this client.
func (r *Repository) Maintain(ctx context.Context) error {
	return r.maintain(ctx, maintenance.SafetyFull)
}

func (r *Repository) maintain(ctx context.Context, safety maintenance.SafetyParameters) error {
	r.upkeep.Lock()
	defer r.upkeep.Unlock()
	err := r.kopia.write(ctx, "maintenance", nil, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		if err := ownMaintenance(ctx, w); err != nil {
			return err
		}
		return snapshotmaintenance.Run(ctx, w, maintenance.ModeFull, false, safety)
	})
	if err != nil {
		return fmt.Errorf("maintain the repository: %w", err)
	}
	return nil
}

func ownMaintenance(ctx context.Context, w repo.DirectRepositoryWriter) error {
	p, err := maintenance.GetParams(ctx, w)
	me := w.ClientOptions().UsernameAtHost()
	if err != nil || p.Owner == me {
		return err
	}
	p.Owner = me
	if err := maintenance.SetParams(ctx, w, p); err != nil {
		return err
	}
	return w.Flush(ctx)
}
