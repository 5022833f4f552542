package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"airlock/collectors"
	"airlock/ledger"
	"airlock/notice"
	"airlock/pause"
	"airlock/policies"
	"airlock/repository"
)

// The results of a gathering or a window, as the ledger has them.
const (
	resultDone    = "done"
	resultInPart  = "in part"
	resultFailed  = "failed"
	resultRefused = "refused"
	resultCut     = "cut"  // the executor ended in the middle
	resultHeld    = "held" // a gathering that a person has to look at
)

// Progress is how far something has come. It is told often; Text, where it is set, is
// a line to be shown once.
type Progress struct {
	Task       string `json:"task"`  // "gather accounting"
	Stage      string `json:"stage"` // what is being done right now
	Files      int64  `json:"files,omitempty"`
	TotalFiles int64  `json:"total_files,omitempty"` // 0: not known
	Bytes      int64  `json:"bytes,omitempty"`
	TotalBytes int64  `json:"total_bytes,omitempty"`
	Failed     int64  `json:"failed,omitempty"`
	Text       string `json:"text,omitempty"`
}

// Watch takes progress. It must not block, and may be called from several goroutines.
type Watch func(Progress)

// Caller is on whose behalf something is done, and why.
type Caller struct {
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
	Due    time.Time `json:"due,omitzero"` // when the schedule wanted it; zero if a person did
	UID    int       `json:"uid"`          // the person's number in the operating system; -1 for none
	// What a person says to retention, for one window.
	Brake      int  `json:"brake,omitempty"`       // so many generations may go at once
	ClockRight bool `json:"clock_right,omitempty"` // the clock is right, whatever it did
	// And to a window.
	Replaced bool `json:"replaced,omitempty"`  // the vault is another one than before, and that is right
	RoomMade bool `json:"room_made,omitempty"` // the vault has room, whatever its last receipt says
}

// late reports whether a scheduled run comes later than a schedule's own slack.
func (c Caller) late(now time.Time) bool { return !c.Due.IsZero() && now.Sub(c.Due) > 5*time.Minute }

// Gathered is what became of one system.
type Gathered struct {
	System    string      `json:"system"`
	Result    string      `json:"result"` // done, in part, held, failed
	Error     string      `json:"error,omitempty"`
	Held      string      `json:"held,omitempty"` // why
	Snapshot  string      `json:"snapshot,omitempty"`
	Accepted  string      `json:"accepted,omitempty"` // the ID that the snapshot had until a person accepted it
	Start     time.Time   `json:"start"`
	End       time.Time   `json:"end"`
	Files     int64       `json:"files"`
	Bytes     int64       `json:"bytes"`
	NewBytes  int64       `json:"new_bytes"` // written to the repository
	Unchanged int64       `json:"unchanged"` // files not read again
	Failed    []FileError `json:"failed,omitempty"`
	NotRead   int64       `json:"not_read"`           // how many failed in all
	Changed   []string    `json:"changed,omitempty"`  // written to while they were read
	TooLong   []string    `json:"too_long,omitempty"` // names that no Linux disk can hold
	Loops     []string    `json:"loops,omitempty"`    // folders that lead back to one that they lie in
	Snapshots int         `json:"snapshots"`          // kept, after retention
	Late      bool        `json:"late,omitempty"`
	Insecure  bool        `json:"insecure,omitempty"` // the source's line was neither encrypted nor signed
	Braked    string      `json:"braked,omitempty"`   // why no snapshot was dropped that keep does not keep
}

// FileError says why one file was not read or not restored.
type FileError struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

func fileErrors(all []repository.FileError) []FileError {
	list := make([]FileError, len(all))
	for i, f := range all {
		list[i] = FileError{f.Path, f.Err}
	}
	return list
}

// namedInLedger is how many failed files an entry names; the rest it counts.
const namedInLedger = 100

// Gather gathers the systems, all of them if none is named, some at a time. One
// system's failure does not stop another's: the error is ErrInPart if anything failed
// and anything was done.
func (s *Site) Gather(ctx context.Context, names []string, by Caller, watch Watch) ([]Gathered, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.orders.Done()
	names, err := s.systems(names)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var all []Gathered
	var group sync.WaitGroup
	for _, name := range names {
		group.Go(func() {
			g := s.gather(ctx, name, by, watch)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, g)
		})
	}
	group.Wait()
	slices.SortFunc(all, func(a, b Gathered) int { return strings.Compare(a.System, b.System) })
	if by.Due.IsZero() && s.upkeepDue(ctx) { // a site may live without serve
		watch(Progress{Task: "upkeep", Stage: "maintaining the repository"})
		s.upkeep(ctx)
	}
	return all, judge(all)
}

func judge(all []Gathered) error {
	var failed, inPart []string
	for _, g := range all {
		switch g.Result {
		case resultHeld:
			inPart = append(inPart, g.System+": held: "+toAccept(g.System, g.Held))
		case resultFailed:
			failed = append(failed, g.System+": "+g.Error)
		case resultInPart:
			inPart = append(inPart, fmt.Sprintf("%s: %d files could not be read", g.System, g.NotRead))
		}
	}
	switch {
	case len(failed) == len(all) && len(all) > 0:
		return errors.New(strings.Join(failed, "; "))
	case len(failed)+len(inPart) > 0:
		return fmt.Errorf("%w: %s", ErrInPart, strings.Join(append(failed, inPart...), "; "))
	}
	return nil
}

// systems are the names, checked; all systems if there are none.
func (s *Site) systems(names []string) ([]string, error) {
	if len(names) == 0 {
		return slices.Sorted(maps.Keys(s.policy.Systems)), nil
	}
	for _, name := range names {
		if s.policy.Systems[name] == nil {
			return nil, s.unknown("system", name, slices.Sorted(maps.Keys(s.policy.Systems)))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}

// gather gathers one system and writes what became of it to the ledger.
func (s *Site) gather(ctx context.Context, name string, by Caller, watch Watch) Gathered {
	g := Gathered{System: name, Start: time.Now(), Late: by.late(time.Now()), Insecure: s.policy.Systems[name].Source.Insecure}
	tell := func(p Progress) {
		p.Task = "gather " + name
		s.mu.Lock()
		s.gathering[name] = p
		s.mu.Unlock()
		watch(p)
	}
	s.mu.Lock()
	_, twice := s.gathering[name]
	if !twice {
		s.gathering[name] = Progress{Task: "gather " + name}
	}
	s.mu.Unlock()
	if twice {
		g.Result, g.Error, g.End = resultFailed, "it is being gathered already", time.Now()
		return g // the gathering that runs makes the entry
	}
	s.awaitQuietEnd(ctx, name, by, tell)
	tell(Progress{Stage: "waiting for its turn"})
	err := s.inTurn(ctx, s.lastTook(ctx, name) > 0, func(t *turn) error {
		return s.contain("gather "+name, func() error { return s.snapshot(ctx, &g, by, t, tell) })
	})
	s.mu.Lock()
	delete(s.gathering, name)
	s.mu.Unlock()
	g.End = time.Now()
	switch {
	case err != nil:
		g.Result, g.Error = resultFailed, strings.Join(append([]string{err.Error()}, s.kept(ctx)...), "; ")
		s.alarm(Alarm{At: g.End, System: name, Notice: notice.NotGathered.Of(), Why: g.Error})
	case g.Held != "":
		g.Result = resultHeld
		s.alarm(Alarm{At: g.End, System: name, Notice: notice.GatheringHeld.Of(), Why: toAccept(name, g.Held)})
	case g.NotRead > 0:
		g.Result = resultInPart
	default:
		g.Result = resultDone
	}
	inLedger := g
	inLedger.Failed = g.Failed[:min(len(g.Failed), namedInLedger)]
	inLedger.Changed = g.Changed[:min(len(g.Changed), namedInLedger)]
	s.journal.Note(ledger.Entry{
		Time: g.End, Kind: ledger.KindGather, Actor: by.Actor, Reason: by.Reason,
		System: name, To: g.Result, Detail: detail(inLedger),
	})
	s.custody.SignedHead(context.WithoutCancel(ctx))
	watch(Progress{Task: "gather " + name, Stage: g.Result, Files: g.Files, Bytes: g.Bytes, Failed: g.NotRead, Text: g.String()})
	return g
}

// awaitQuietEnd keeps a scheduled gathering back until its quiet hours are over, so that
// it takes no turn from the others meanwhile.
func (s *Site) awaitQuietEnd(ctx context.Context, name string, by Caller, tell Watch) {
	for !by.Due.IsZero() && ctx.Err() == nil {
		until, quiet := s.policy.Systems[name].Quiet(time.Now())
		if !quiet {
			return
		}
		tell(Progress{Stage: "quiet hours until " + until.Format("15:04")})
		pause.For(ctx, min(time.Minute, time.Until(until)))
	}
}

// snapshot makes the snapshot and applies retention.
func (s *Site) snapshot(ctx context.Context, g *Gathered, by Caller, t *turn, tell Watch) error {
	system := s.policy.Systems[g.System]
	repo, err := s.openable(ctx)
	if err != nil {
		return err
	}
	quiet := s.keepQuiet(ctx, g.System, by, tell)
	defer quiet.end()
	w := s.oversee(ctx, g.System, t)
	reading, end := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(reading, end) })
	defer watching.Wait()
	defer end(nil)
	var lies folder
	src, err := s.source(reading, g.System, quiet, w, &lies, tell)
	if err != nil {
		return err
	}
	var names collectors.Names
	result, err := repo.Snapshot(reading, repository.Job{
		System: g.System, Source: names.Wrap(src), Parallel: system.Limits.Concurrency, RehashPercent: rehashPercent,
		Seen: s.policy.State.Seen(g.System), AlwaysRead: system.AlwaysRead,
		Bounds: repository.Bounds{Entries: int64(system.Limits.Entries)},
		Judge: func(now repository.Extent, last *repository.Extent) string {
			return implausible(system.Expect, now, last)
		},
		Progress: func(p repository.Progress) {
			tell(Progress{Stage: "reading", Files: p.Files, TotalFiles: p.TotalFiles, Bytes: p.Bytes, TotalBytes: p.TotalBytes, Failed: p.Failed})
		},
	})
	if err = errors.Join(err, src.Close()); err != nil {
		return err
	}
	g.take(result)
	g.misnamed(system.Source, names.MadeUp())
	s.tellStrangers(repo, tell)
	if g.Held == "" { // S17: what is held pushes nothing out
		if err := errors.Join(lies.remember(), s.retain(ctx, repo, g, by)); err != nil {
			return err
		}
	}
	g.Snapshots, err = s.count(ctx, repo, g.System)
	return err
}

func (g *Gathered) take(r repository.Result) {
	g.Snapshot, g.Files, g.Bytes, g.NewBytes, g.Unchanged = r.ID, r.Files, r.Bytes, r.NewBytes, r.Unchanged
	g.Failed, g.NotRead, g.Changed = fileErrors(r.Failed), r.ErrorCount, r.Changed
	g.TooLong, g.Loops, g.Held = r.TooLong, r.Loops, r.Held
}

// source opens a system's source with all that stands around it, and tells where it lies.
func (s *Site) source(ctx context.Context, name string, quiet *quietness, w *oversight, lies *folder, tell Watch) (collectors.Source, error) {
	system := s.policy.Systems[name]
	tell(Progress{Stage: "connecting"})
	if m := system.Ready.Marker; m != "" {
		tell(Progress{Stage: "waiting for " + m})
	}
	stack := collectors.Stack{
		Filter: collectors.Filter{Include: system.Include, Exclude: system.Exclude},
		Limits: collectors.Limits{Bandwidth: int64(system.Limits.Bandwidth), Concurrency: system.Limits.Concurrency},
		Redial: collectors.Redial{Tries: system.Limits.Retries},
		Gate:   &quiet.gate,
		Ready:  collectors.Marker{Name: system.Ready.Marker, Wait: time.Duration(system.Ready.Wait)},
	}
	return stack.Open(ctx, s.gate.Dial(func(ctx context.Context) (collectors.Source, error) {
		src, err := s.parts.Source(ctx, system.Source)
		if err != nil {
			return nil, err
		}
		if *lies, err = s.inPlace(name, src); err != nil {
			return nil, errors.Join(err, src.Close())
		}
		if b, ok := src.(collectors.Bounded); ok {
			b.Bound(int64(system.Limits.Listing))
		}
		return w.pace.Wrap(src), nil
	}))
}

// oversee is what sees a system's gathering to its end.
func (s *Site) oversee(ctx context.Context, name string, t *turn) *oversight {
	return &oversight{
		pace:    collectors.Pace{Yields: t.yields},
		stalled: time.Duration(s.policy.Systems[name].Stalled), last: s.lastTook(ctx, name), turn: t,
		told: func() string {
			s.mu.Lock()
			defer s.mu.Unlock()
			p := s.gathering[name]
			return fmt.Sprintf("%d files, %s", p.Files, Size(p.Bytes))
		},
		alarm: func(why string) {
			s.alarm(Alarm{At: time.Now(), System: name, Notice: notice.GatheringGoesOn.Of(), Why: why})
		},
	}
}

// rehashPercent of the files that look unchanged are read again all the same, so that
// within some weeks each has been: change is told by size and time alone otherwise.
const rehashPercent = 2

// quietness holds a gathering back during its system's quiet hours.
type quietness struct {
	gate collectors.Gate
	stop context.CancelFunc
	done chan struct{}
}

// keepQuiet begins to watch the clock. A person who wants a gathering now gets it now,
// and is told.
func (s *Site) keepQuiet(ctx context.Context, name string, by Caller, tell Watch) *quietness {
	system := s.policy.Systems[name]
	ctx, stop := context.WithCancel(ctx)
	q := &quietness{stop: stop, done: make(chan struct{})}
	if by.Due.IsZero() {
		if until, quiet := system.Quiet(time.Now()); quiet {
			tell(Progress{Stage: "connecting", Text: fmt.Sprintf("%s: these are its quiet hours, until %s; gathering all the same, since a person asked", name, until.Format("15:04"))})
		}
		close(q.done)
		return q
	}
	first := make(chan struct{})
	go q.watch(ctx, system, tell, first)
	<-first
	return q
}

// watch shuts the gate in quiet hours. It closes first when the gate is what the
// clock wants for the first time.
func (q *quietness) watch(ctx context.Context, system *policies.System, tell Watch, first chan<- struct{}) {
	defer close(q.done)
	paused := false
	for {
		now := time.Now()
		until, quiet := system.Quiet(now)
		if quiet && !paused {
			tell(Progress{Stage: "quiet hours until " + until.Format("15:04")})
			// Calls that are under way finish by themselves if ctx ends first.
			if err := q.gate.Pause(ctx); err != nil {
				quiet = false
			}
			paused = true
		}
		if !quiet && paused {
			q.gate.Resume()
			paused = false
		}
		if first != nil {
			close(first)
			first = nil
		}
		wait := time.NewTimer(time.Until(now.Truncate(time.Minute).Add(time.Minute)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			if paused {
				q.gate.Resume()
			}
			return
		}
	}
}

func (q *quietness) end() {
	q.stop()
	<-q.done
}

// String is the result as one line.
func (g Gathered) String() string {
	switch g.Result {
	case resultFailed:
		return fmt.Sprintf("%s: failed: %s", g.System, g.Error)
	case resultHeld:
		return fmt.Sprintf("%s: held: %s", g.System, toAccept(g.System, g.Held))
	case resultInPart:
		names := make([]string, 0, 3)
		for _, f := range g.Failed[:min(3, len(g.Failed))] {
			names = append(names, f.Path+" ("+f.Error+")")
		}
		return fmt.Sprintf("%s: in part: %d files, %s; %d could not be read: %s", g.System, g.Files, Size(g.Bytes), g.NotRead, strings.Join(names, ", "))
	}
	return fmt.Sprintf("%s: %d files, %s, of which %s new to the repository, in %s", g.System, g.Files, Size(g.Bytes), Size(g.NewBytes), g.End.Sub(g.Start).Round(100*time.Millisecond))
}

// Size is a number of bytes as people read it, in powers of ten.
func Size(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, units[unit])
}
