package orchestrator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/repository"
	"airlock/vault"
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
}

// Restore says what is restored, from where, and to where.
type Restore struct {
	System   string    `json:"system"`
	To       string    `json:"to"`                 // absolute folder, empty or not there yet
	Snapshot string    `json:"snapshot,omitempty"` // an ID; otherwise
	At       time.Time `json:"at,omitzero"`        // the newest that began no later; otherwise the newest
	From     string    `json:"from,omitempty"`     // a vault; otherwise the repository
}

// Restored is what became of a restore.
type Restored struct {
	Restore
	Result   string        `json:"result"`
	Error    string        `json:"error,omitempty"`
	Files    int64         `json:"files"`
	Bytes    int64         `json:"bytes"`
	Seconds  float64       `json:"seconds"` // of the restoring itself
	Taken    time.Time     `json:"taken,omitzero"`
	Failed   []FileError   `json:"failed,omitempty"`
	Window   *WindowRecord `json:"window,omitempty"`
	RTOMet   *bool         `json:"rto_met,omitempty"` // nil where the policy names none
	Complete bool          `json:"complete"`          // every file of the snapshot is there
}

// String is the result as one line.
func (r Restored) String() string {
	if r.Result == resultFailed || r.Result == resultRefused {
		return fmt.Sprintf("restore of %s %s: %s", r.System, r.Result, r.Error)
	}
	return fmt.Sprintf("restored %s as of %s to %s: %d files, %s, in %.1f s", r.System, r.Taken.Format("2006-01-02 15:04:05 -07:00"), r.To, r.Files, Size(r.Bytes), r.Seconds)
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
	return snapshots(ctx, &repo.View, system)
}

func snapshots(ctx context.Context, v *repository.View, system string) ([]Snapshot, error) {
	all, err := v.Snapshots(ctx, system)
	list := make([]Snapshot, len(all))
	for i, m := range all {
		list[i] = Snapshot{m.ID, m.System, m.Start, m.End, m.Files, m.Bytes, m.Failed, m.Incomplete}
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
	done := Restored{Restore: r}
	if r.System == "" || !filepath.IsAbs(r.To) {
		return done, errors.New("restore: a system and an absolute folder are needed")
	}
	var err error
	if r.From == "" {
		err = s.restoreNear(ctx, r, &done, tell)
	} else {
		err = s.restoreFar(ctx, r, &done, by, tell)
	}
	switch {
	case errors.Is(err, ErrRefused):
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
	if system := s.policy.Systems[r.System]; system != nil && system.RTO > 0 {
		met := done.Complete && done.Seconds <= time.Duration(system.RTO).Seconds()
		done.RTOMet = &met
	}
	inLedger := done
	inLedger.Failed = done.Failed[:min(len(done.Failed), namedInLedger)]
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
	return restore(ctx, &repo.View, r, done, tell)
}

// restoreFar restores inside a window of the vault's door.
func (s *Site) restoreFar(ctx context.Context, r Restore, done *Restored, by Caller, tell Watch) error {
	if strings.TrimSpace(by.Reason) == "" {
		return fmt.Errorf("%w: opening the vault's door for a restore needs a reason: --reason TEXT", ErrRefused)
	}
	p, err := s.passage(r.From, restoring, by, tell)
	if err != nil {
		return err
	}
	defer p.release()
	conf, err := s.parts.Repository(s.policy) // the passphrase is read with the door shut
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	cache, err := os.MkdirTemp(s.policy.State, "view-")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	// The restore's own figures leave the work by a channel of their own, since a
	// work that hangs is not waited for.
	out := make(chan Restored, 1)
	into := *done
	record, err := p.hold(ctx, map[string]any{"restore": r}, func(ctx context.Context, store vault.Store, _ *WindowRecord) error {
		defer func() { out <- into }()
		view, err := s.newestGeneration(ctx, store, conf.Passphrase, cache, tell)
		if err != nil {
			return err
		}
		return errors.Join(restore(ctx, view, r, &into, tell), view.Close(context.WithoutCancel(ctx)))
	})
	select {
	case *done = <-out:
	default:
	}
	done.Window = &record
	return errors.Join(err, os.RemoveAll(cache))
}

// newestTrusted loads what the vault held at the end of the last window that this site
// has signed; of the last window, where the site has no key.
func (s *Site) newestTrusted(ctx context.Context, store vault.Store, tell Watch) (*vault.Generation, error) {
	keys, err := siteVerifiers(s.policy.State)
	if errors.Is(err, fs.ErrNotExist) {
		tell(Progress{Text: "the site has no key, so nobody can tell whether the newest generation is its own: airlock init makes one"})
		return vault.Load(ctx, store, 0)
	}
	if err != nil {
		return nil, err
	}
	g, passed, err := vault.Newest(ctx, store, keys...)
	for _, why := range passed {
		tell(Progress{Text: "passed over: " + why})
	}
	if errors.Is(err, vault.ErrUntrusted) {
		err = fmt.Errorf("%w; if this machine took the place of another, write the public key of its recovery kit into %s", err, filepath.Join(s.policy.State, "keys", formerKey))
	}
	return g, err
}

// newestGeneration opens it.
func (s *Site) newestGeneration(ctx context.Context, store vault.Store, passphrase, cache string, tell Watch) (*repository.View, error) {
	g, err := s.newestTrusted(ctx, store, tell)
	if err != nil {
		return nil, err
	}
	conf := repository.ViewConfig{Passphrase: passphrase, CacheDir: cache, Open: vault.Reader{Store: store, Generation: g}.Open}
	for _, b := range g.Blobs {
		conf.Blobs = append(conf.Blobs, repository.Blob{Name: b.Name, Size: b.Size, SHA256: b.SHA256})
	}
	return repository.OpenView(ctx, conf)
}

// restore chooses a snapshot and restores it.
func restore(ctx context.Context, v *repository.View, r Restore, done *Restored, tell Watch) error {
	tell(Progress{Stage: "choosing the snapshot"})
	all, err := snapshots(ctx, v, r.System)
	if err != nil {
		return err
	}
	chosen, err := choose(all, r)
	if err != nil {
		return err
	}
	done.Snapshot, done.Taken = chosen.ID, chosen.Start
	result, err := v.Restore(ctx, chosen.ID, r.To, repository.RestoreOptions{Progress: func(p repository.Progress) {
		tell(Progress{Stage: "restoring", Files: p.Files, TotalFiles: p.TotalFiles, Bytes: p.Bytes, TotalBytes: p.TotalBytes, Failed: p.Failed})
	}})
	done.Files, done.Bytes, done.Seconds, done.Failed = result.Files, result.Bytes, result.Took.Seconds(), fileErrors(result.Failed)
	return err
}

// choose is the snapshot that a restore means.
func choose(all []Snapshot, r Restore) (Snapshot, error) {
	if r.Snapshot != "" {
		i := slices.IndexFunc(all, func(s Snapshot) bool { return s.ID == r.Snapshot })
		if i < 0 {
			return Snapshot{}, fmt.Errorf("%s has no snapshot %s; `airlock snapshots %s` lists them", r.System, r.Snapshot, r.System)
		}
		return all[i], nil
	}
	whole := slices.DeleteFunc(slices.Clone(all), func(s Snapshot) bool {
		return s.Incomplete || !r.At.IsZero() && s.Start.After(r.At)
	})
	switch {
	case len(whole) > 0:
		return slices.MaxFunc(whole, func(a, b Snapshot) int { return cmp.Compare(a.Start.UnixNano(), b.Start.UnixNano()) }), nil
	case len(all) > 0 && !r.At.IsZero():
		return Snapshot{}, fmt.Errorf("%s has no snapshot as old as %s; the oldest is of %s", r.System, r.At.Format(time.RFC3339), all[0].Start.Format(time.RFC3339))
	}
	return Snapshot{}, fmt.Errorf("there is no snapshot of %s", r.System)
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
		s.alarm(Alarm{At: time.Now(), Vault: vaultName, What: "verification found damage", Why: err.Error()})
	default:
		v.Result = "sound"
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
	record, err := p.hold(ctx, map[string]any{"sample": sample}, func(ctx context.Context, store vault.Store, _ *WindowRecord) error {
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
