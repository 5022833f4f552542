package orchestrator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"airlock/blob"
	"airlock/ledger"
	"airlock/notice"
	"airlock/repository"
	"airlock/vault"
	"airlock/wholefile"
)

// Snapshot is one system at one time, in the repository or a vault.
type Snapshot struct {
	ID         string    `json:"id"`
	System     string    `json:"system"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	Files      int64     `json:"files"`
	Bytes      int64     `json:"bytes"`
	NotRead    int       `json:"not_read"`             // files that it lacks, for they could not be read
	Incomplete bool      `json:"incomplete,omitempty"` // its run was cut short
	Held       string    `json:"held,omitempty"`       // why a person has to look at it first
}

// Restore says what is restored, from where, and to where.
type Restore struct {
	System   string    `json:"system"`
	To       string    `json:"to"`                 // absolute folder, empty or not there yet
	Snapshot string    `json:"snapshot,omitempty"` // an ID; otherwise
	At       time.Time `json:"at,omitzero"`        // the newest that began no later; otherwise the newest; none that is held
	From     string    `json:"from,omitempty"`     // a vault; otherwise the repository
	Paths    []string  `json:"paths,omitempty"`    // only these files and folders
	Exclude  []string  `json:"exclude,omitempty"`  // patterns of what is left out

	// Of a vault: a generation's number, or the beginning of its hash; otherwise the newest
	// that the site has signed.
	Generation string `json:"of_generation,omitempty"`
	// Drill has everything come from the vault, also what the repository still has.
	Drill   bool   `json:"drill,omitempty"`
	Scratch string `json:"scratch,omitempty"` // absolute folder for what is fetched; otherwise in the state folder
}

// Restored is what became of a restore.
type Restored struct {
	Restore
	Result  string  `json:"result"`
	Error   string  `json:"error,omitempty"`
	Files   int64   `json:"files"`
	Wanted  int64   `json:"wanted"` // files that were to be restored
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"` // of the restoring itself
	// Elapsed is from the order to the last file, windows and all: it is held to the RTO.
	Elapsed float64       `json:"elapsed_seconds"`
	RTO     float64       `json:"rto_seconds,omitempty"`
	Taken   time.Time     `json:"taken,omitzero"`
	Failed  []FileError   `json:"failed,omitempty"` // the first 10,000
	NotDone int64         `json:"not_done"`         // how many there are
	List    string        `json:"list,omitempty"`   // the file, beside the folder, that names them
	Window  *WindowRecord `json:"window,omitempty"` // the last one
	// Windows are all of them, Number the generation that was restored from, Fetched and
	// FetchedBytes what came through the door, Lacks what the vault could not give.
	Windows      []WindowRecord `json:"windows,omitempty"`
	Number       int64          `json:"generation,omitempty"`
	Fetched      int            `json:"fetched,omitempty"`
	FetchedBytes int64          `json:"fetched_bytes,omitempty"`
	Lacks        []blob.Fault   `json:"lacks,omitempty"`
	RTOMet       *bool          `json:"rto_met,omitempty"` // nil where the policy names none
	Complete     bool           `json:"complete"`          // every file of the snapshot is there
}

// String is the result as one line.
func (r Restored) String() string {
	if r.Result == resultFailed || r.Result == resultRefused {
		return fmt.Sprintf("restore of %s %s: %s", r.System, r.Result, r.Error)
	}
	return fmt.Sprintf("restored %s as of %s to %s: %d files, %s, in %.1f s", r.System, r.Taken.Format("2006-01-02 15:04:05 -07:00"), r.To, r.Files, Size(r.Bytes), r.Elapsed)
}

// Snapshots lists a system's snapshots in the repository, oldest first; all systems'
// if none is named.
func (s *Site) Snapshots(ctx context.Context, system string) ([]Snapshot, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.orders.Done()
	repo, err := s.Repository(ctx)
	if err != nil {
		return nil, err
	}
	list, err := snapshots(ctx, &repo.View, system)
	if err == nil && len(list) == 0 && system != "" {
		err = s.nobodys(system, nil)
	}
	return list, err
}

// SnapshotsOf lists a system's snapshots in a generation of a vault, or all systems'. Its
// door is opened by a window of its own, for which a reason is needed.
func (s *Site) SnapshotsOf(ctx context.Context, vaultName, generation, system string, by Caller, watch Watch) (list []Snapshot, windows []WindowRecord, err error) {
	if err := s.begin(); err != nil {
		return nil, nil, err
	}
	defer s.orders.Done()
	f, err := s.far(ctx, vaultName, farther{generation: generation}, listing, by, func(p Progress) {
		p.Task = "snapshots of " + vaultName
		watch(p)
	})
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		windows = f.windows
		err = errors.Join(err, f.close(ctx))
	}()
	if err := f.look(ctx); err != nil {
		return nil, nil, err
	}
	list, err = snapshots(ctx, f.view, system)
	return list, nil, err // the shelf stays: who looks restores next
}

func snapshots(ctx context.Context, v *repository.View, system string) ([]Snapshot, error) {
	all, err := v.Snapshots(ctx, system)
	list := make([]Snapshot, len(all))
	for i, m := range all {
		list[i] = Snapshot{m.ID, m.System, m.Start, m.End, m.Files, m.Bytes, m.Failed, m.Incomplete, m.Held}
	}
	return list, err
}

// Restore restores one system's files. From a vault, the door is opened by a window of
// its own, for which a reason is needed.
func (s *Site) Restore(ctx context.Context, r Restore, by Caller, watch Watch) (Restored, error) {
	if err := s.begin(); err != nil {
		return Restored{}, err
	}
	defer s.orders.Done()
	tell := func(p Progress) {
		p.Task = "restore " + r.System
		watch(p)
	}
	done, began := Restored{Restore: r}, time.Now()
	if r.System == "" || !filepath.IsAbs(r.To) {
		return done, errors.New("restore: a system and an absolute folder are needed")
	}
	var err error
	if r.From == "" {
		err = s.restoreNear(ctx, r, &done, tell)
	} else {
		err = s.restoreFar(ctx, r, &done, by, tell)
	}
	if errors.Is(err, errNone) {
		err = s.nobodys(r.System, err)
	}
	switch {
	case errors.Is(err, ErrRefused), asksWrongly(err):
		done.Result = resultRefused
	case err != nil && done.Files == 0:
		done.Result = resultFailed
	case err != nil:
		done.Result, err = resultInPart, fmt.Errorf("%w: %w", ErrInPart, err)
	default:
		done.Result, done.Complete = resultDone, true
	}
	if err != nil {
		done.Error = err.Error()
	}
	if !done.Taken.IsZero() {
		done.Taken = done.Taken.In(s.policy.Timezone.Location)
	}
	done.Elapsed = time.Since(began).Seconds()
	if system := s.policy.Systems[r.System]; system != nil && system.RTO > 0 && done.Result != resultRefused {
		done.RTO = time.Duration(system.RTO).Seconds()
		met := done.Complete && done.Elapsed <= done.RTO
		done.RTOMet = &met
	}
	inLedger := done
	inLedger.Failed = done.Failed[:min(len(done.Failed), namedInLedger)]
	inLedger.Lacks = done.Lacks[:min(len(done.Lacks), namedInLedger)]
	inLedger.Windows = nil // each has its own entry
	s.journal.Note(ledger.Entry{
		Time: time.Now(), Kind: ledger.KindRestore, Actor: by.Actor, Reason: by.Reason,
		System: r.System, Vault: r.From, To: done.Result, Detail: detail(inLedger),
	})
	tell(Progress{Stage: done.Result, Text: done.String()})
	return done, err
}

func (s *Site) restoreNear(ctx context.Context, r Restore, done *Restored, tell Watch) error {
	repo, err := s.Repository(ctx)
	if err != nil {
		return err
	}
	chosen, err := pick(ctx, &repo.View, r, tell)
	if err != nil {
		return err
	}
	return restore(ctx, &repo.View, chosen, done, tell)
}

// restoreFar restores from a generation of a vault. The door is open while what is needed
// comes through it, and shut while files are restored.
func (s *Site) restoreFar(ctx context.Context, r Restore, done *Restored, by Caller, tell Watch) (err error) {
	if there, _ := os.ReadDir(r.To); len(there) > 0 { // before anything is opened for it
		return fmt.Errorf("restore to %s: %w; choose another", r.To, repository.ErrNotEmpty)
	}
	f, err := s.far(ctx, r.From, farther{r.Generation, r.Drill, r.Scratch}, restoring, by, tell)
	if err != nil {
		return err
	}
	defer func() {
		done.took(f.errand)
		err = errors.Join(err, f.close(ctx))
	}()
	if err := f.look(ctx); err != nil {
		return err
	}
	done.Number = f.generation.Number
	chosen, err := pick(ctx, f.view, r, tell)
	if err != nil {
		return err
	}
	if done.Lacks, err = f.bring(ctx, chosen.ID, r.part()); err != nil {
		return err
	}
	if err := restore(ctx, f.view, chosen, done, tell); err != nil {
		return err
	}
	return f.shelf.clear()
}

// took tells of the windows that it took.
func (r *Restored) took(e *errand) {
	r.Windows = e.windows
	for i, w := range e.windows {
		r.Window = &e.windows[i]
		r.Fetched += w.Blobs
		r.FetchedBytes += w.Bytes
	}
}

// pick chooses a snapshot.
func pick(ctx context.Context, v *repository.View, r Restore, tell Watch) (Snapshot, error) {
	tell(Progress{Stage: "choosing the snapshot"})
	all, err := snapshots(ctx, v, r.System)
	if err != nil {
		return Snapshot{}, err
	}
	return choose(all, r)
}

// restore restores a snapshot.
func restore(ctx context.Context, v *repository.View, chosen Snapshot, done *Restored, tell Watch) error {
	done.Snapshot, done.Taken = chosen.ID, chosen.Start
	result, err := v.Restore(ctx, chosen.ID, done.To, repository.RestoreOptions{Part: done.part(), Progress: func(p repository.Progress) {
		tell(Progress{Stage: "restoring", Files: p.Files, TotalFiles: p.TotalFiles, Bytes: p.Bytes, TotalBytes: p.TotalBytes, Failed: p.Failed})
	}})
	done.Files, done.Bytes, done.Seconds = result.Files, result.Bytes, result.Took.Seconds()
	done.Wanted, done.Failed, done.NotDone = result.Wanted, fileErrors(result.Failed), result.ErrorCount
	return errors.Join(err, done.writeList())
}

func (r Restore) part() repository.Part { return repository.Part{Paths: r.Paths, Exclude: r.Exclude} }

// writeList names what was not restored in a file beside the folder, where whoever works
// on with what was finds it.
func (r *Restored) writeList() error {
	if len(r.Failed) == 0 {
		return nil
	}
	var b strings.Builder
	for _, f := range r.Failed {
		fmt.Fprintf(&b, "%q: %s\n", f.Path, f.Error)
	}
	if more := r.NotDone - int64(len(r.Failed)); more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	name := strings.TrimRight(r.To, "/") + ".not-restored.txt"
	if err := wholefile.Replace(name, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("the list of what was not restored: %w", err)
	}
	r.List = name
	return nil
}

// choose is the snapshot that a restore means.
func choose(all []Snapshot, r Restore) (Snapshot, error) {
	if r.Snapshot != "" {
		i := slices.IndexFunc(all, func(s Snapshot) bool { return s.ID == r.Snapshot })
		if i < 0 {
			return Snapshot{}, fmt.Errorf("%s has %w %s; `airlock snapshots %s` lists them", r.System, errNotThat, r.Snapshot, r.System)
		}
		return all[i], nil
	}
	whole := slices.DeleteFunc(slices.Clone(all), func(s Snapshot) bool {
		return s.Incomplete || s.Held != "" || !r.At.IsZero() && s.Start.After(r.At)
	})
	switch {
	case len(whole) > 0:
		return slices.MaxFunc(whole, func(a, b Snapshot) int { return cmp.Compare(a.Start.UnixNano(), b.Start.UnixNano()) }), nil
	case len(all) > 0 && !r.At.IsZero():
		return Snapshot{}, fmt.Errorf("%s has %w as old as %s; the oldest is of %s", r.System, errNotThat, r.At.Format(time.RFC3339), all[0].Start.In(r.At.Location()).Format(time.RFC3339))
	}
	return Snapshot{}, fmt.Errorf("%w of %s", errNone, r.System)
}

// Verified is what reading back found.
type Verified struct {
	Vault      string        `json:"vault,omitempty"`
	Generation int64         `json:"generation,omitempty"`
	Snapshots  int           `json:"snapshots,omitempty"`
	Files      int64         `json:"files,omitempty"` // read back
	Blobs      int           `json:"blobs,omitempty"` // looked at
	Bytes      int64         `json:"bytes"`           // read back
	Damaged    []Damage      `json:"damaged,omitempty"`
	Result     string        `json:"result"`
	Error      string        `json:"error,omitempty"`
	Window     *WindowRecord `json:"window,omitempty"`
}

// Damage is something that is no longer as it was written.
type Damage struct {
	Snapshot string `json:"snapshot,omitempty"`
	System   string `json:"system,omitempty"`
	Path     string `json:"path,omitempty"`
	Blob     string `json:"blob,omitempty"`
	What     string `json:"what"`
}

// Verify reads the repository back, past every cache, and checks it; a vault if one is
// named, through a window of its own, in which sample (0 to 1) of the blobs' bytes are
// read and all their sizes compared. Damage is an error.
func (s *Site) Verify(ctx context.Context, vaultName string, sample float64, by Caller, watch Watch) (Verified, error) {
	if err := s.begin(); err != nil {
		return Verified{}, err
	}
	defer s.orders.Done()
	tell := func(p Progress) {
		p.Task = "verify"
		watch(p)
	}
	var v Verified
	var err error
	if vaultName == "" {
		v, err = s.verifyNear(ctx, sample, tell)
	} else {
		v, err = s.verifyFar(ctx, vaultName, sample, by, tell)
	}
	switch {
	case err != nil:
		v.Result = resultFailed
	case len(v.Damaged) > 0:
		v.Result = "damaged"
		err = fmt.Errorf("%d damaged: %s", len(v.Damaged), v.Damaged[0].What)
		s.alarm(Alarm{At: time.Now(), Vault: vaultName, Notice: notice.DamageFound.Of(), Why: err.Error()})
	default:
		v.Result = "sound"
		if sample >= 1 { // less may have passed the damage by
			s.noteOver(s.over(func(a Alarm) bool { return a.Is(notice.DamageFound) && a.Vault == vaultName }))
		}
	}
	if err != nil {
		v.Error = err.Error()
	}
	inLedger := v
	inLedger.Damaged = v.Damaged[:min(len(v.Damaged), namedInLedger)]
	s.journal.Note(ledger.Entry{
		Time: time.Now(), Kind: ledger.KindVerify, Actor: by.Actor, Reason: by.Reason,
		Vault: vaultName, To: v.Result, Detail: detail(inLedger),
	})
	return v, err
}

func (s *Site) verifyNear(ctx context.Context, sample float64, tell Watch) (Verified, error) {
	repo, err := s.Repository(ctx)
	if err != nil {
		return Verified{}, err
	}
	result, err := repo.Verify(ctx, repository.VerifyOptions{Percent: sample * 100, Progress: func(p repository.Progress) {
		tell(Progress{Stage: "reading back", Files: p.Files, TotalFiles: p.TotalFiles, Bytes: p.Bytes, TotalBytes: p.TotalBytes, Failed: p.Failed})
	}})
	v := Verified{Snapshots: result.Snapshots, Files: result.FilesRead, Bytes: result.BytesRead}
	for _, d := range result.Damaged {
		v.Damaged = append(v.Damaged, Damage{Snapshot: d.Snapshot, System: d.System, Path: d.Path, Blob: strings.Join(d.Blobs, ", "), What: d.System + ": " + d.Path + ": " + d.Err})
	}
	return v, err
}

func (s *Site) verifyFar(ctx context.Context, name string, sample float64, by Caller, tell Watch) (Verified, error) {
	p, err := s.passage(name, verifying, by, tell)
	if err != nil {
		return Verified{}, err
	}
	defer p.release()
	out := make(chan Verified, 1)
	record, err := p.hold(ctx, map[string]any{"sample": sample}, func(ctx context.Context, store vault.Store, r *WindowRecord) error {
		if err := r.see(ctx, store); err != nil {
			return err
		}
		v, err := s.checkNewest(ctx, store, sample, tell)
		out <- v
		return err
	})
	v := Verified{}
	select {
	case v = <-out:
	default:
	}
	v.Vault, v.Window = name, &record
	return v, err
}

func (s *Site) checkNewest(ctx context.Context, store vault.Store, sample float64, tell Watch) (Verified, error) {
	g, err := s.newestTrusted(ctx, store, tell)
	if err != nil {
		return Verified{}, err
	}
	tell(Progress{Stage: "reading back", TotalFiles: int64(len(g.Blobs))})
	report, err := vault.Check(ctx, store, g, sample)
	v := Verified{Generation: g.Number, Blobs: report.Blobs, Bytes: report.Bytes}
	for what, names := range map[string][]string{"is missing": report.Missing, "has another size": report.Resized, "has other bytes": report.Damaged} {
		for _, name := range names {
			v.Damaged = append(v.Damaged, Damage{Blob: name, What: "blob " + name + " " + what})
		}
	}
	slices.SortFunc(v.Damaged, func(a, b Damage) int { return strings.Compare(a.Blob, b.Blob) })
	return v, err
}
