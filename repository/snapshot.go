package repository

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"airlock/collectors"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"
	"github.com/kopia/kopia/snapshot/upload"
)

// Job is one snapshot to be made.
type Job struct {
	System string            // the system's name in the policy file
	Source collectors.Source // stays the caller's
	// Parallel is the number of files read at a time. Default 4.
	Parallel int
	Bounds   Bounds // what the source may have
	// Seen is the file in which it is remembered from one snapshot to the next when each file
	// was last changed, where its server tells; "" for none. AlwaysRead are patterns, as a
	// collectors.Filter has them, of files that are read each time.
	Seen       string
	AlwaysRead []string
	// RehashPercent of the files that look unchanged are read again nevertheless,
	// because size and modification time are all there is to tell by. Default 0.
	RehashPercent float64
	// Judge, if set, is told how much was read and how much the last good snapshot has
	// (nil if there is none), and says why the new one is to be held; "" takes it.
	Judge func(now Extent, last *Extent) string
	// Progress, if set, is called now and then, never twice at a time.
	Progress func(Progress)
}

// Extent is how much a snapshot has.
type Extent struct{ Files, Bytes int64 }

// Progress is how far a snapshot, a restore or a verification has come.
type Progress struct {
	Files, Bytes           int64 // done, unchanged ones included
	TotalFiles, TotalBytes int64 // expected; of a snapshot, what the last one had; 0 if unknown
	Failed                 int64
}

// Result is a finished snapshot. It is complete, though files may be missing: those
// that could not be read are in Failed, and their earlier contents stay in the earlier
// snapshots.
type Result struct {
	ID         string
	Start, End time.Time
	Files      int64 // in the snapshot
	Bytes      int64 // of these files
	NewBytes   int64 // written to the storage, compressed and encrypted
	Unchanged  int64 // files that were not read again
	// Held is why the snapshot is kept and not taken for good; "" for one that is.
	Held string
	// Failed names the files and folders that could not be read; ErrorCount counts
	// them, beyond the first 10,000 too.
	Failed     []FileError
	ErrorCount int64
	// Changed names files that are in the snapshot as read, but were written to
	// meanwhile, so that they may be a mixture of before and after.
	Changed []string
	// TooLong names files and folders whose names no Linux disk can hold, so that a restore
	// to one leaves them out; the first 100.
	TooLong []string
	// Loops names folders that lead back to one that they lie in, the first 100. Nothing is
	// missing for them.
	Loops []string
}

// FileError says what happened to one file or folder.
type FileError struct {
	Path string // slash-separated, relative to the source
	Err  string
}

const (
	namedFailures = 10_000
	namedRemarks  = 100
	// After cancellation, so long may it take to save what was read.
	savingTime = 3 * time.Second
)

// Snapshot reads the whole source into the repository. Files whose size and
// modification time are as in the last snapshot are not read again.
//
// If the source is gone (collectors.ErrGone), ctx ends or the storage fails, the error
// says so and no complete snapshot is made.
func (r *Repository) Snapshot(ctx context.Context, job Job) (Result, error) {
	if !storable(job.System) {
		return Result{}, fmt.Errorf("snapshot: %q is no name of a system", job.System)
	}
	run := newGathering(ctx, job)
	defer run.cancel(nil)
	var err error
	if run.tree.seen, err = recall(job.Seen); err != nil {
		return Result{}, fmt.Errorf("snapshot %s: %w", job.System, err)
	}
	root, err := run.tree.root()
	if err != nil {
		return Result{}, fmt.Errorf("snapshot %s: %w", job.System, err)
	}
	err = r.kopia.write(run.ctx, "snapshot", run.uploaded, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		return run.upload(ctx, w, root, r.checkpointEvery)
	})
	if why := run.stopped(); why != nil {
		return Result{}, fmt.Errorf("snapshot %s: %w", job.System, why)
	}
	if err == nil {
		err = r.stillThere(ctx)
	}
	if err == nil {
		err = run.tree.seen.keep()
	}
	if err != nil {
		return Result{}, fmt.Errorf("snapshot %s: %w", job.System, err)
	}
	run.report(true)
	return run.result, nil
}

// stillThere catches a NAS that was unmounted under a running snapshot, whose blobs
// went to the empty folder below.
func (r *Repository) stillThere(ctx context.Context) error {
	id, err := identify(ctx, r.storage)
	switch {
	case err != nil:
		return fmt.Errorf("%w in %s any more; was the NAS unmounted meanwhile?", err, r.place)
	case id != r.id:
		return fmt.Errorf("%w in %s; was something else mounted there meanwhile?", ErrReplaced, r.place)
	}
	return nil
}

// uploadPolicy is kopia's policy for every snapshot. It is given to the uploader from
// here, so that nobody can change it in the repository, and stored there as well for
// the sake of whoever looks with the stock program.
func uploadPolicy() *policy.Policy {
	merged, _ := policy.MergePolicies([]*policy.Policy{{
		CompressionPolicy: policy.CompressionPolicy{CompressorName: "zstd-fastest"},
		ErrorHandlingPolicy: policy.ErrorHandlingPolicy{
			IgnoreFileErrors:      policy.NewOptionalBool(true),
			IgnoreDirectoryErrors: policy.NewOptionalBool(true),
		},
		RetentionPolicy: policy.RetentionPolicy{
			KeepLatest: new(policy.OptionalInt(math.MaxInt32)),
			KeepHourly: new(policy.OptionalInt), KeepDaily: new(policy.OptionalInt), KeepWeekly: new(policy.OptionalInt),
			KeepMonthly: new(policy.OptionalInt), KeepAnnual: new(policy.OptionalInt),
		},
	}}, policy.GlobalPolicySourceInfo)
	return merged
}

// gathering is one Snapshot in progress. It is kopia's upload.Progress.
type gathering struct {
	upload.NullUploadProgress
	job    Job
	tree   *tree
	ctx    context.Context // outlives the caller's for as long as saving takes
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	why      error            // why it had to stop, the first reason
	broken   bool             // it is the repository that failed: saving is pointless
	uploader *upload.Uploader // nil before it runs
	last     *Extent          // of the last good snapshot; set before the uploader runs
	progress Progress
	reported time.Time
	result   Result
}

func newGathering(ctx context.Context, job Job) *gathering {
	g := &gathering{job: job}
	g.ctx, g.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	g.tree = &tree{ctx: ctx, source: job.Source, lost: g.stop, changed: g.changed, tooLong: g.tooLong, loop: g.loop, bounds: job.Bounds.withDefaults(), alwaysRead: collectors.Filter{Include: job.AlwaysRead}}
	return g
}

func (g *gathering) upload(ctx context.Context, w repo.RepositoryWriter, root fs.Directory, checkpointEvery time.Duration) error {
	source := sourceInfo(g.job.System)
	prior, err := previous(ctx, w, source)
	if err != nil {
		return err
	}
	g.expect(prior)
	behind := &guarded{RepositoryWriter: w}
	u := upload.NewUploader(behind)
	u.Progress = g
	u.ParallelUploads = max(1, g.job.Parallel)
	if g.job.Parallel == 0 {
		u.ParallelUploads = 4
	}
	u.ForceHashPercentage = g.job.RehashPercent
	u.DisableIgnoreRules = true // a .kopiaignore in a source would hide files from its backup
	u.EnableActions = false
	if checkpointEvery != 0 {
		u.CheckpointInterval = checkpointEvery
	}
	g.started(u)
	unwatch := context.AfterFunc(g.tree.ctx, func() {
		g.stop(context.Cause(g.tree.ctx))
		time.AfterFunc(savingTime, func() {
			g.cancel(context.Cause(g.tree.ctx))
			behind.shut() // kopia looks at no context while it writes the folders that it is in
		})
	})
	defer unwatch()
	man, err := u.Upload(ctx, root, policy.BuildTree(nil, uploadPolicy()), source, prior...)
	behind.shut()
	return g.save(ctx, w, man, err)
}

// save decides what becomes of what the uploader brought.
func (g *gathering) save(ctx context.Context, w repo.RepositoryWriter, man *snapshot.Manifest, err error) error {
	why := g.stopped()
	switch {
	case g.storageFailed():
		return why
	case err != nil:
		return err
	case why == nil && man.IncompleteReason != "":
		return fmt.Errorf("kopia stopped: %s", man.IncompleteReason)
	case why == nil && man.RootEntry.DirSummary.FatalErrorCount > 0:
		return fmt.Errorf("kopia failed on %d files", man.RootEntry.DirSummary.FatalErrorCount)
	case why != nil:
		man.IncompleteReason = upload.IncompleteReasonCanceled
	default:
		g.judge(man)
	}
	id, err := snapshot.SaveSnapshot(ctx, w, man)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.result.ID = string(id)
	g.result.Start, g.result.End = man.StartTime.ToTime(), man.EndTime.ToTime()
	g.result.Files = man.RootEntry.DirSummary.TotalFileCount
	g.result.Bytes = man.RootEntry.DirSummary.TotalFileSize
	return nil
}

// expect takes the last complete snapshot for what is to come. Counting the source
// beforehand would mean to list it twice.
func (g *gathering) expect(prior []*snapshot.Manifest) {
	for _, m := range prior {
		if s := describe(m); s.good() {
			g.last, g.tree.seen.since = &Extent{s.Files, s.Bytes}, s.Start
			g.progress.TotalFiles, g.progress.TotalBytes = s.Files, s.Bytes
		}
	}
}

// judge marks a snapshot that is to be held.
func (g *gathering) judge(man *snapshot.Manifest) {
	if g.job.Judge == nil {
		return
	}
	s := describe(man)
	if g.result.Held = g.job.Judge(Extent{s.Files, s.Bytes}, g.last); g.result.Held != "" {
		man.Description = "held: " + g.result.Held
		man.Tags = map[string]string{heldTag: g.result.Held}
	}
}

func (g *gathering) started(u *upload.Uploader) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.uploader = u
	if g.why != nil {
		u.Cancel()
	}
}

// stop ends the upload for a reason of the source's or the caller's.
func (g *gathering) stop(why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why == nil {
		g.why = why
	}
	if g.uploader != nil {
		g.uploader.Cancel()
	}
}

func (g *gathering) stopped() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

func (g *gathering) storageFailed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.broken
}

func (g *gathering) changed(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.result.Changed = append(g.result.Changed, name)
}

func (g *gathering) tooLong(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.result.TooLong) < namedRemarks {
		g.result.TooLong = append(g.result.TooLong, name)
	}
}

func (g *gathering) loop(name, back string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.result.Loops) < namedRemarks {
		g.result.Loops = append(g.result.Loops, name+" -> "+back)
	}
}

func (g *gathering) uploaded(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.result.NewBytes += n
}

// Error hears of every file that failed. With file errors ignored, kopia would count a
// write that the repository refused among them, and call the snapshot a success.
func (g *gathering) Error(name string, err error, _ bool) {
	var src sourceError
	if !errors.As(err, &src) {
		g.mu.Lock()
		g.broken = g.why == nil
		g.mu.Unlock()
		g.stop(err)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why != nil {
		return
	}
	g.result.ErrorCount++
	g.progress.Failed++
	if len(g.result.Failed) < namedFailures {
		g.result.Failed = append(g.result.Failed, FileError{Path: unescapeName(name), Err: src.Error()})
	}
}

func (g *gathering) CachedFile(_ string, size int64) {
	g.mu.Lock()
	g.result.Unchanged++
	g.progress.Bytes += size
	g.mu.Unlock()
}

func (g *gathering) HashedBytes(n int64) {
	g.mu.Lock()
	g.progress.Bytes += n
	g.mu.Unlock()
	g.report(false)
}

func (g *gathering) FinishedFile(_ string, err error) {
	if err != nil {
		return
	}
	g.mu.Lock()
	g.progress.Files++
	g.mu.Unlock()
	g.report(false)
}

// report passes the progress on, four times a second at most.
func (g *gathering) report(now bool) {
	if g.job.Progress == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := time.Now(); now || t.Sub(g.reported) >= time.Second/4 {
		g.reported = t
		g.job.Progress(g.progress)
	}
}

func sourceInfo(system string) snapshot.SourceInfo {
	return snapshot.SourceInfo{Host: site, UserName: user, Path: "/" + system}
}
