// Package orchestrator runs one hospital's gatherings and windows.
//
// A Site is the only executor of its hospital: it holds the lock in the state folder
// for as long as it lives. When it is opened, every door is read back and, where it
// should be, shut, before anything else runs (S5). Whatever was asked of it, Close
// returns only after every door is where it belongs, or known to be stuck.
//
// The work is done by the rooms beside this one. What decides about a door is the
// state machine in orchestrator/doors/window; package orchestrator/doors executes it, and
// is the only one that speaks to a door's switch. Package orchestrator/custody has the
// ledger, and says before each opening whether it is the one that it was.
package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"airlock/collectors"
	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator/custody"
	"airlock/orchestrator/doors"
	"airlock/orchestrator/doors/window"
	"airlock/policies"
	"airlock/repository"
	"airlock/state"
	"airlock/switchctl"
	"airlock/vault"

	"github.com/gofrs/flock"
)

// Errors on which callers branch.
var (
	// ErrBusy: another executor holds the site.
	ErrBusy = errors.New("the site has its executor already")
	// ErrInPart: some files or systems failed, the rest was done.
	ErrInPart = errors.New("done in part")
	// ErrUnknown: no such system, vault, door or switch in the policy file.
	ErrUnknown = errors.New("not in the policy file")

	ErrNotShut = doors.ErrNotShut // a door is not proven shut
	ErrRefused = doors.ErrRefused // the window was not held at all
)

// Parts are the drivers, chosen by whoever wires the program. Secrets are read when a
// part is asked for, and not kept.
type Parts struct {
	// Switch makes a session with the switch of that name. Where recorded is not nil, it is
	// told of each recording of a login that changed something, and must not wait.
	Switch     func(ctx context.Context, name string, s policies.Switch, recorded func(Recording)) (switchctl.Switch, error)
	Recordings func() ([]Recording, error) // what a program that was killed left unfinished; may be nil
	Source     func(context.Context, policies.Source) (collectors.Source, error)
	Vault      func(context.Context, policies.Vault) (vault.Store, error)
	// Ready says what Vault would fail for, as far as it is known without a connection: it
	// reads local files, and reaches nothing. It may be nil.
	Ready      func(context.Context, policies.Vault) error
	Repository func(policies.Policy) (repository.Config, error)
	// Watcher starts a process that shuts the door if this one ends before it says that the
	// door is proven shut. It returns once that process has read the door. It may be nil.
	Watcher func(ctx context.Context, door, window string) (doors.Watcher, error)
	// Traps receives what switches tell until ctx ends, or returns why it cannot. It may
	// be nil.
	Traps func(ctx context.Context, p policies.Policy, take func(switchctl.Trap), log *slog.Logger) error
}

// Options say on whose behalf a Site is opened.
type Options struct {
	Command string // "serve", "window", …, for the ledger
	Actor   string // "user root", …
	Version string
	File    policies.File // the policy file, as it was read; zero where there is none
	Log     *slog.Logger
}

// Site is one hospital's executor.
type Site struct {
	policy  policies.Policy
	parts   Parts
	options Options
	lock    *siteLock
	journal *custody.Journal
	custody *custody.Custody // of what journal writes to
	queue   *doors.TaskQueue // for what has to be noted before there is a journal
	doors   *doors.Doors
	gate    collectors.Gate          // shut while a window keeps the departments' door shut
	slots   chan struct{}            // systems that are gathered at once
	early   chan struct{}            // those that go on without a turn, before they had to
	want    want                     // known ones that wait for a turn
	turns   map[string]chan struct{} // of the vaults' windows, by the inner door that they shut
	guards  guards
	begun   time.Time

	life      context.Context // of the doors
	end       context.CancelFunc
	ending    context.Context // ends when the executor begins to
	endOrders context.CancelFunc
	hands     sync.WaitGroup // what goes on beside the orders
	orders    sync.WaitGroup // what is being done

	unlocking   sync.Mutex // held while a lockdown ends, or is looked for
	lockDoubted bool       // nobody knew of one when it was looked for last; with unlocking

	opening     chan struct{} // has room for one: who is in it uses repo and passphrases
	repo        *repository.Repository
	passphrases *passphrases

	mu        sync.Mutex // never held while anything is waited for: an alarm takes it (S2)
	closing   bool
	gathering map[string]Progress // by system
	windows   map[string]bool     // vaults whose window is planned or in course
	errands   map[string]bool     // vaults that something is being fetched from
	upkeeping chan struct{}       // closed when the maintenance in course ends; nil for none
	alarms    []Alarm             // that are not over, oldest first

	totals totals
}

// Alarm is something that a person must look at.
type Alarm struct {
	ID     string    `json:"id,omitempty"` // by which the ledger tells its end
	At     time.Time `json:"at"`
	Since  time.Time `json:"since,omitzero"` // in the status: the first of those about the same that are not over
	By     string    `json:"by,omitempty"`   // guard; the executor's own if empty
	Door   string    `json:"door,omitempty"`
	System string    `json:"system,omitempty"`
	Vault  string    `json:"vault,omitempty"`
	notice.Notice
	Why   string `json:"why,omitempty"`
	Lasts bool   `json:"lasts,omitempty"` // in the status: something ends it, and that has not come
	Grave bool   `json:"grave,omitempty"` // in the status: a person has to look at once
}

// String is the alarm as one line.
func (a Alarm) String() string { return a.In("en") }

// alarmOf is what an alarm can be of, in English and Japanese.
var alarmOf = map[string][3]string{"en": {"door %s ", "system %s ", "vault %s "}, "ja": {"扉 %s: ", "部門システム %s: ", "二次保管先 %s: "}}

// In is the alarm as one line in a language, "ja" or any other for English. Why it was raised
// is as it was written.
func (a Alarm) In(language string) string {
	of, guards := alarmOf["en"], alarmsOfGuard
	if language == "ja" {
		of, guards = alarmOf["ja"], alarmsOfGuardJA
	}
	var b strings.Builder
	for i, name := range []string{a.Door, a.System, a.Vault} {
		if name != "" {
			fmt.Fprintf(&b, of[i], name)
		}
	}
	if a.By == byTheGuard {
		b.WriteString(guards)
	}
	b.WriteString(a.Notice.In(language))
	if a.Why != "" {
		b.WriteString(": " + a.Why)
	}
	return b.String()
}

// keptAlarms is how many alarms the status shows; the ledger has them all.
const keptAlarms = 50

// Open takes the site and begins to read its doors. ErrBusy if somebody else has it.
// A ledger that cannot be opened is an alarm and no error, since doors have to be shut
// all the same (S2); then nothing is opened (S1). One that is damaged is set aside, and a
// new one begun in its place, which is an alarm as well.
func Open(ctx context.Context, p policies.Policy, parts Parts, o Options) (*Site, error) {
	lock, err := takeLock(p.State)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	s := &Site{
		policy: p, parts: parts, options: o, lock: lock, life: life, end: end,
		queue: doors.NewTaskQueue(), gathering: map[string]Progress{}, windows: map[string]bool{}, errands: map[string]bool{}, turns: map[string]chan struct{}{},
		begun: time.Now(), slots: make(chan struct{}, max(2, runtime.NumCPU())), early: make(chan struct{}, mostEarly), opening: make(chan struct{}, 1),
		passphrases: newPassphrases(),
	}
	s.ending, s.endOrders = context.WithCancel(life)
	s.doors = s.newDoors() // S2, S5: they do not wait for the ledger
	key, keyErr := custody.Signer(p.State)
	s.journal = custody.OpenJournal(ctx, p.State.Ledger(), key)
	s.custody = s.newCustody()
	s.noteStart(ctx)
	s.recallAlarms(ctx)
	if s.journal.Err() == nil {
		s.totals.count(ctx, &s.journal.Ledger.Reader)
	}
	if err := s.journal.Err(); err != nil {
		s.alarm(Alarm{At: time.Now(), Notice: notice.LedgerNotOpened.Of(), Why: err.Error()})
	}
	if aside := s.journal.Aside(); aside != "" {
		s.alarm(Alarm{At: time.Now(), Notice: notice.LedgerBegunAnew.Of(), Why: aside})
	}
	if keyErr != nil && !errors.Is(keyErr, fs.ErrNotExist) {
		s.alarm(Alarm{At: time.Now(), Notice: notice.LedgerNotSigned.Of(), Why: keyErr.Error()})
	}
	if err := s.custody.Trust(ctx); err != nil {
		o.Log.Error("the ledger is not trusted", "error", err)
	}
	s.followLock(ctx)
	s.recover(ctx)
	s.hands.Go(func() { s.queue.Run(life) })
	s.doors.Log(s.journal)
	return s, nil
}

// siteLock is what only one executor of a site has: the state folder itself, and a file in
// it, which executors before had alone and which anybody may have taken away.
type siteLock struct{ folder, file *flock.Flock }

// Unlock gives both back.
func (l *siteLock) Unlock() error { return errors.Join(l.file.Unlock(), l.folder.Unlock()) }

// takeLock makes this process the site's only executor. The lock ends with the
// process, however that ends.
func takeLock(state state.Folder) (*siteLock, error) {
	if err := os.MkdirAll(string(state), 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	lock := &siteLock{
		folder: flock.New(string(state), flock.SetFlag(os.O_RDONLY)),
		file:   flock.New(state.Lock(), flock.SetPermissions(0o600)),
	}
	for _, part := range []*flock.Flock{lock.folder, lock.file} {
		taken, err := part.TryLock()
		if errors.Is(err, syscall.EROFS) { // a disk that cannot be written keeps no door open (S2)
			continue
		}
		if err == nil && !taken {
			err = ErrBusy
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock of the site: %w", err), lock.Unlock())
		}
	}
	return lock, nil
}

// recover looks in the ledger for what an earlier run left: an inner door whose
// opening is owed, and windows that never ended.
func (s *Site) recover(ctx context.Context) {
	s.leftRecordings()
	s.doors.Recall(ctx, doors.Past{Last: s.journal.Newest, Owed: s.owed, Cut: s.cut})
}

// owed reports whether the inner door was shut since it was open last, and no person
// wanted it so. That it was proven shut once more changes nothing. A window whose intent
// was the last that was heard of while the door was open may have shut it: its shutting
// waited for no entry (S2), and a cut left none.
func (s *Site) owed(ctx context.Context, name string) bool {
	if s.journal.Err() != nil {
		return false
	}
	f := ledger.Filter{Kind: ledger.KindDoor, Door: name, To: window.Open.String()}
	open, wasOpen := s.journal.Newest(ctx, f)
	f.To, f.AfterSeq = "", open.Seq
	owed, first := false, int64(math.MaxInt64)
	for e, err := range s.journal.Entries(ctx, f) {
		shutting := e.To == window.Shutting.String()
		if err != nil || shutting && strings.HasPrefix(e.Reason, byHand) {
			return false
		}
		first = min(first, e.Seq)
		owed = owed || shutting && e.From != window.Shut.String()
	}
	return owed || wasOpen && s.windowWasCut(ctx, name, open.Seq, first)
}

// windowWasCut reports whether a window that shuts an inner door began between two entries
// and came to no end of its own.
func (s *Site) windowWasCut(ctx context.Context, inner string, after, before int64) bool {
	for name, v := range s.policy.Vaults {
		if v.InnerDoor != inner {
			continue
		}
		cut := false
		for e, err := range s.journal.Entries(ctx, ledger.Filter{Kind: ledger.KindWindow, Vault: name, AfterSeq: after}) {
			if err != nil || e.Seq > before {
				break
			}
			cut = inCourse(e.To) || e.To == resultCut
		}
		if cut {
			return true
		}
	}
	return false
}

// byHand begins the reason of a door's shutting that a person ordered, after which
// nobody owes its opening.
const byHand = "shut by hand"

// Settle returns once every door was read back and is where it belongs (S5).
// ErrNotShut names the doors that cannot be proven shut.
func (s *Site) Settle(ctx context.Context) error {
	return s.doors.Settle(ctx)
}

// End ends what is being done and shuts the doors. It waits for them, however long
// that takes, up to the moment when one is stuck (ErrNotShut). No order is taken any
// more; the status still is.
func (s *Site) End() error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.doors.End("the executor is ending")
	s.endOrders()
	err := s.Settle(s.life)
	s.orders.Wait()
	return err
}

// Close gives the site back, after End if that was not called.
func (s *Site) Close() error {
	var err error
	if !s.isClosing() {
		err = s.End()
	}
	s.end()
	s.hands.Wait()
	err = errors.Join(err, s.doors.Close())
	s.queue.Run(s.life) // what the ends of the sessions left
	if s.repo != nil {  // no order is left that uses it
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err = errors.Join(err, s.repo.Close(ctx))
		cancel()
	}
	s.journal.Note(ledger.Entry{Time: time.Now(), Kind: ledger.KindStop, Actor: s.options.Actor, Reason: "airlock " + s.options.Command})
	if s.journal.Err() == nil {
		s.custody.SignedHead(context.Background()) // it waits for seconds at most
	}
	s.custody.ForwardRest()
	return errors.Join(err, s.journal.Close(), s.lock.Unlock())
}

func (s *Site) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// begin counts an order in, unless the site is closing.
func (s *Site) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return errors.New("the executor is ending")
	}
	s.orders.Add(1)
	return nil
}

// Raise is an alarm of whoever wires the program.
func (s *Site) Raise(a Alarm) { s.alarm(a) }

// alarm calls a person: by the log, the ledger and the status.
func (s *Site) alarm(a Alarm) {
	a = a.identify()
	s.options.Log.Error("ALARM " + a.String())
	s.mu.Lock()
	s.alarms = append(s.alarms, a)
	if n := len(s.alarms) - keptAlarms; n > 0 {
		s.alarms = s.alarms[n:]
	}
	s.mu.Unlock()
	s.journal.Note(ledger.Entry{
		Time: a.At, Kind: ledger.KindAlarm, Actor: "airlock", Reason: a.What,
		Door: a.Door, System: a.System, Vault: a.Vault, Detail: detail(a),
	})
}

// Repository opens the repository when it is first needed.
func (s *Site) Repository(ctx context.Context) (*repository.Repository, error) {
	select {
	case s.opening <- struct{}{}:
		defer func() { <-s.opening }()
	case <-ctx.Done():
		return nil, fmt.Errorf("the repository was still being opened: %w", context.Cause(ctx))
	}
	if s.repo != nil { // S16: its NAS may have been unmounted since
		err := s.repo.Same(ctx)
		if !errors.Is(err, repository.ErrNoRepository) && !errors.Is(err, repository.ErrReplaced) {
			err = nil // what is damaged is told by whoever reads it, and may be healed
		}
		return s.repo, err
	}
	conf, err := s.parts.Repository(s.policy)
	if err != nil {
		return nil, err
	}
	// The repository outlives the order that needed it first.
	if s.repo, err = repository.Open(context.WithoutCancel(ctx), conf); err == nil {
		s.passphrases.sum = s.passphrases.of(conf.Passphrase)
	}
	return s.repo, err
}
