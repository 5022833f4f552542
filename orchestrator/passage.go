package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"airlock/blob"
	"airlock/ledger"
	"airlock/notice"
	"airlock/orchestrator/custody"
	"airlock/orchestrator/doors"
	"airlock/policies"
	"airlock/repository"
	"airlock/state"
	"airlock/vault"

	"golang.org/x/mod/sumdb/note"
)

// WindowRecord is what became of one window; the ledger and the status have it.
type WindowRecord struct {
	ID       string    `json:"id"`
	Vault    string    `json:"vault"`
	Purpose  string    `json:"purpose"` // copying, restoring, verifying, listing, healing
	Result   string    `json:"result"`  // done, in part, failed, refused, cut
	Error    string    `json:"error,omitempty"`
	Actor    string    `json:"actor,omitempty"`    // who had it held,
	Reason   string    `json:"reason,omitempty"`   // and why
	OpenedAt time.Time `json:"opened_at,omitzero"` // the command was sent
	ShutAt   time.Time `json:"shut_at,omitzero"`   // first read back as down
	ProvenAt time.Time `json:"proven_at,omitzero"`
	// Exposure is the time for which the port counts as open, Proof what proving it
	// shut took after that, Link what passed from the opening until the vault answered.
	Exposure float64 `json:"exposure_seconds"`
	AtMost   bool    `json:"exposure_at_most,omitempty"` // nobody measured it: the executor was gone
	ShutBy   string  `json:"shut_by,omitempty"`          // who saw the door shut then: guard, start-up
	Proof    float64 `json:"proof_seconds"`
	Link     float64 `json:"link_seconds"`
	Course   Course  `json:"course,omitzero"`
	// Wire is what the bytes need at the speed of the port, Speed in bit/s.
	Wire       float64      `json:"wire_seconds"`
	Speed      uint64       `json:"speed_bits,omitempty"`
	Octets     uint64       `json:"port_octets,omitempty"` // the port's own count, both ways; absent where it has none
	Blobs      int          `json:"blobs"`
	Bytes      int64        `json:"bytes"`
	Held       int          `json:"held"` // blobs that were there already
	Generation int64        `json:"generation,omitempty"`
	Hash       string       `json:"generation_sha256,omitempty"`
	Lacks      []blob.Fault `json:"lacks,omitempty"`
	Lacking    int          `json:"lacking,omitempty"` // how many those are; the ledger names no more than fits
	Conflicts  []string     `json:"conflicts,omitempty"`
	Relisted   string       `json:"relisted,omitempty"`
	// Gone are generations that had to stand in the vault and did not, Another that those
	// were all; Replaced that a person had said that this is right.
	Gone     []int64 `json:"gone,omitempty"`
	Another  bool    `json:"another_vault,omitempty"`
	Replaced bool    `json:"replaced,omitempty"`
	// Seen are the generations that stood there, Mended tells that all that the window
	// found gone was seen there again since: only a status knows.
	Seen   []int64 `json:"seen,omitempty"`
	Mended bool    `json:"mended,omitempty"`
	// Receipt is what the vault's host vouches for; nil where the policy names no key of
	// one. Of what it lacks, no more is named than fits the ledger.
	Receipt *vault.Receipt `json:"receipt,omitempty"`
	// ReceiptNote is its signed note, unless that is very long, and ReceiptKey the key that
	// the policy pins: an audit checks the one by the other.
	ReceiptNote string `json:"receipt_note,omitempty"`
	ReceiptKey  string `json:"receipt_key,omitempty"`
	Resent      int    `json:"resent,omitempty"` // blobs that the receipt lacked and that were sent again
	// ReadBack is what was found of the generation, and Retention what went from the vault,
	// where nobody keeps it but airlock.
	ReadBack  *vault.ReadBack        `json:"read_back,omitempty"`
	Retention *vault.RetentionReport `json:"retention,omitempty"`
	Amiss     []string               `json:"amiss,omitempty"` // what was found wrong in the repository before
	Late      bool                   `json:"late,omitempty"`
	Insecure  bool                   `json:"insecure,omitempty"` // the vault's line was neither encrypted nor signed

	marks   marks
	strange []string // generations that somebody else has made with the site's key
}

// Course is when what came to pass, in seconds since the command to open the door was
// sent; 0 for what did not.
type Course struct {
	Up       float64 `json:"up,omitempty"`       // the port was read back as up
	Answered float64 `json:"answered,omitempty"` // the vault's host took a connection
	Ready    float64 `json:"ready,omitempty"`    // and let airlock in
	Sent     float64 `json:"sent,omitempty"`     // the last blob had landed
	Sealed   float64 `json:"sealed,omitempty"`   // the generation had
	Done     float64 `json:"done,omitempty"`     // all that the door was opened for, the receipt too
	Down     float64 `json:"down,omitempty"`     // the port was read back as down
}

// marks are the instants of a Course that the work itself notes.
type marks struct{ answered, ready, sent, sealed, done time.Time }

// course is the course of a window whose door was opened.
func (m marks) course(p doors.Times) Course {
	since := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return t.Sub(p.OpenedAt).Seconds()
	}
	return Course{since(p.SeenOpen), since(m.answered), since(m.ready), since(m.sent), since(m.sealed), since(m.done), since(p.DownAt)}
}

// String is the record as one line, with the exposure beside the wire time.
func (r WindowRecord) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "window %s: %s", r.ID, r.Result)
	if r.Purpose == copying && r.Result != resultRefused {
		fmt.Fprintf(&b, ", %d blobs, %s", r.Blobs, Size(r.Bytes))
		if r.Generation > 0 {
			fmt.Fprintf(&b, ", generation %d", r.Generation)
		}
		if r.Receipt != nil {
			fmt.Fprintf(&b, ", receipt by %s", r.Receipt.Vault)
		}
		if r.ReadBack != nil {
			fmt.Fprintf(&b, ", %s (%s, %.2f s)", r.ReadBack, Size(r.ReadBack.Bytes), r.ReadBack.Seconds)
		}
		if r.Retention != nil && r.Retention.String() != "" {
			fmt.Fprintf(&b, ", %s (%.2f s)", r.Retention, r.Retention.Seconds)
		}
	}
	if !r.OpenedAt.IsZero() {
		fmt.Fprintf(&b, "; open for %.2f s, of which the bytes need %.2f s on the wire", r.Exposure, r.Wire)
		if r.Speed > 0 {
			fmt.Fprintf(&b, " at %sbit/s", strings.TrimSuffix(Size(int64(r.Speed)), "B"))
		}
		if r.ProvenAt.IsZero() {
			b.WriteString("; NOT PROVEN SHUT")
		} else {
			fmt.Fprintf(&b, "; proven shut %.2f s later", r.Proof)
		}
	}
	if r.Error != "" {
		b.WriteString(": " + r.Error)
	}
	return b.String()
}

// What a window is for, and its state in the ledger while it is in course.
const (
	copying   = "copying"
	restoring = "restoring"
	verifying = "verifying"
	listing   = "listing" // the snapshots of a generation
	healing   = "healing" // the repository, from a vault
)

// inCourse tells whether that is the state of a window that has not ended.
func inCourse(state string) bool {
	return slices.Contains([]string{copying, restoring, verifying, listing, healing}, state)
}

// pauseWithin bounds how long a window waits for reads from the departments to end
// before it shuts their door.
const pauseWithin = 30 * time.Second

// Window holds one window of a vault now: what it lacks is worked out with the doors
// shut, and sent while the vault's door is open. The record tells of it also when the
// error is not nil. ErrNotShut outranks every other failure, ErrInPart says that the
// generation lacks something, ErrRefused that nothing was opened.
func (s *Site) Window(ctx context.Context, name string, by Caller, watch Watch) (WindowRecord, error) {
	p, err := s.passage(name, copying, by, watch)
	if err != nil {
		return WindowRecord{}, err
	}
	defer p.release()
	cargo, err := s.load(ctx, &p.record, by.Replaced, p.tell)
	if err != nil {
		return p.end(doors.Times{}, fmt.Errorf("%w: %w", ErrRefused, err))
	}
	if p.policy.ReceiptKey == "" {
		if cargo.tending, err = s.tend(ctx, cargo, p); err != nil {
			return p.end(doors.Times{}, errors.Join(fmt.Errorf("%w: %w", ErrRefused, err), cargo.memory.Close()))
		}
	}
	p.need = cargo.plan.Bytes
	plan := map[string]any{"blobs": len(cargo.plan.Lacking), "bytes": cargo.plan.Bytes, "held": cargo.plan.Held}
	if t := cargo.tending; t != nil {
		plan["drop"], plan["remove"] = t.retirement.Drop, t.retirement.Files
	}
	record, err := p.hold(ctx, plan, cargo.deliver)
	if t := cargo.tending; t != nil {
		err = errors.Join(err, t.settle(s, record))
	}
	return record, errors.Join(err, cargo.memory.Close())
}

// passage is one window, from the plan to the record.
type passage struct {
	site   *Site
	policy *policies.Vault
	by     Caller
	watch  Watch
	record WindowRecord
	need   int64 // bytes that are to be sent, as far as is known
}

// inside is what a window is for: it is done while the door is open, and writes into
// the record what came of it.
type inside func(ctx context.Context, store vault.Store, r *WindowRecord) error

// passage begins a window that nothing has been opened for yet.
func (s *Site) passage(name, purpose string, by Caller, watch Watch) (*passage, error) {
	if s.policy.Vaults[name] == nil {
		return nil, s.unknown("vault", name, slices.Sorted(maps.Keys(s.policy.Vaults)))
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	twice := s.windows[name]
	s.windows[name] = true
	s.mu.Unlock()
	if twice {
		s.orders.Done()
		return nil, fmt.Errorf("%w: another window of vault %s is in course", ErrRefused, name)
	}
	now := time.Now()
	return &passage{
		site: s, policy: s.policy.Vaults[name], by: by, watch: watch,
		record: WindowRecord{
			ID:    now.UTC().Format("20060102T150405.000Z") + "-" + name,
			Vault: name, Purpose: purpose, Late: by.late(now), Actor: by.Actor, Reason: by.Reason,
			Insecure: s.policy.Vaults[name].Insecure,
		},
	}, nil
}

func (p *passage) release() {
	p.site.mu.Lock()
	delete(p.site.windows, p.record.Vault)
	p.site.mu.Unlock()
	p.site.orders.Done()
}

func (p *passage) tell(t Progress) {
	t.Task = "window " + p.record.Vault
	p.watch(t)
}

// cargo is what a window delivers.
type cargo struct {
	plan    *vault.Plan
	memory  *vault.Memory
	origin  vault.Origin // some of it in memory
	lying   vault.Origin // as it lies in the repository
	tell    Watch
	head    string // of the ledger, which the generation names
	state   state.Folder
	tending *tending // nil where the vault's host sees to it
	key     string   // of the vault's host, which signs receipts
}

// longestNote bounds the receipt's note in the ledger, in bytes: one that names what a
// vault lacks may be as long as the whole entry may be.
const longestNote = 64 << 10

// load works out what the vault lacks, with the doors shut.
func (s *Site) load(ctx context.Context, r *WindowRecord, replaced bool, tell Watch) (*cargo, error) {
	r.Replaced = replaced
	if err := s.custody.Trust(ctx); err != nil {
		return nil, err // before much is worked out in vain
	}
	if err := s.awaitUpkeep(ctx, tell); err != nil {
		return nil, err
	}
	tell(Progress{Stage: "working out what the vault lacks"})
	repo, err := s.openable(ctx)
	if err != nil {
		return nil, err
	}
	inventory, err := repo.Blobs(ctx)
	if err != nil {
		return nil, err
	}
	memory, err := vault.OpenMemory(s.policy.State.Vault(r.Vault))
	if err != nil {
		return nil, err
	}
	in := vault.PlanInput{
		Site: s.policy.Site, Vault: r.Vault, Window: r.ID, Now: time.Now(), Memory: memory,
		Identity: vault.Identity{Replaced: replaced}, Ledger: s.custody.SignedHead(ctx), Met: func(g *vault.Generation) error { return s.custody.Met(ctx, r.Vault, g.Number, g.Ledger) },
	}
	if in.SiteKey, in.HostKey, err = s.sealingKeys(r.Vault); err == nil {
		in.Trust, in.Past, err = s.own(ctx, r.Vault)
	}
	if err != nil {
		return nil, errors.Join(err, memory.Close())
	}
	if err := s.knownBy(&in, memory); err != nil {
		return nil, errors.Join(err, memory.Close())
	}
	plan, amiss, err := s.plan(ctx, repo, inventory, in, tell)
	if err != nil {
		return nil, errors.Join(err, memory.Close())
	}
	for _, a := range amiss {
		r.Amiss = append(r.Amiss, a.Name+": "+a.Why)
	}
	tell(Progress{Stage: "ready", TotalFiles: int64(len(plan.Lacking)), TotalBytes: plan.Bytes,
		Text: fmt.Sprintf("the vault lacks %d blobs, %s", len(plan.Lacking), Size(plan.Bytes))})
	return &cargo{plan: plan, memory: memory, origin: plan.ReadAhead(ctx, origin{repo}, readAhead), lying: origin{repo}, tell: tell, head: in.Ledger, state: s.policy.State, key: s.policy.Vaults[r.Vault].ReceiptKey}, nil
}

// plan makes the plan, and reads what is to be sent once before the door opens: what is no
// longer as it was written is not sent, and costs no exposure. That takes no longer than
// the window may last, since what cannot be read in that time could not be sent in it
// either; what was not read is held to its hash on its way.
func (s *Site) plan(ctx context.Context, repo *repository.Repository, inventory repository.Inventory, in vault.PlanInput, tell Watch) (*vault.Plan, []blob.Fault, error) {
	in.Amiss = map[string]string{}
	in.Blobs = slices.Clone(inventory.Blobs)
	for _, f := range inventory.Faults {
		in.Blobs = append(in.Blobs, f.Was)
		in.Amiss[f.Name] = f.Why
	}
	plan, err := vault.NewPlan(in)
	if err != nil {
		return nil, nil, err
	}
	enough := errors.New("the window would be over")
	reading, cancel := context.WithTimeoutCause(ctx, time.Duration(s.policy.Vaults[in.Vault].Window.MaxOpen), enough)
	defer cancel()
	damaged, err := repo.Inspect(reading, plan.Lacking, meter(tell, Progress{Stage: "reading what is to be sent", TotalFiles: int64(len(plan.Lacking)), TotalBytes: plan.Bytes}))
	if err != nil && !errors.Is(err, enough) {
		return nil, nil, err
	}
	if len(damaged) == 0 {
		return plan, inventory.Faults, nil
	}
	for _, f := range damaged {
		in.Amiss[f.Name] = f.Why
	}
	plan, err = vault.NewPlan(in)
	return plan, slices.Concat(inventory.Faults, damaged), err
}

// meter tells of bytes as they are read.
func meter(tell Watch, p Progress) func(n int64) {
	var mu sync.Mutex
	return func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		p.Bytes += n
		tell(p)
	}
}

// readAhead is how much is read from the repository before the door opens, in bytes: half
// a second of a port of 1 Gbit/s.
const readAhead = 64 << 20

// sealingKeys are the site's key, which signs generations, and that of the vault's host,
// which signs receipts, where the policy names one. A site without a key, which has been
// told so, still copies: unsigned, and to no host that would have to vouch for it.
func (s *Site) sealingKeys(name string) (site note.Signer, host note.Verifier, err error) {
	site, err = custody.Signer(s.policy.State)
	key := s.policy.Vaults[name].ReceiptKey
	if key == "" {
		return site, nil, nil
	}
	if err == nil {
		host, err = note.NewVerifier(key)
	}
	return site, host, err
}

// origin gives the repository's blobs as they lie.
type origin struct{ repo *repository.Repository }

func (o origin) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return o.repo.OpenBlob(ctx, name)
}

// deliver sends the cargo while the door is open.
func (c *cargo) deliver(ctx context.Context, store vault.Store, r *WindowRecord) error {
	var looking *vault.Looking
	if c.tending != nil {
		looking = c.tending.sample.Begin(ctx, store)
		defer looking.Stop()
	}
	report, err := c.plan.Send(ctx, store, c.origin, func(t vault.Progress) {
		c.tell(Progress{Stage: "sending", Files: int64(t.Blobs), TotalFiles: int64(t.BlobsTotal), Bytes: t.Bytes, TotalBytes: t.BytesTotal})
	})
	r.Blobs, r.Bytes, r.Held, r.Generation = report.Blobs, report.Bytes, report.Held, report.Generation
	r.Lacks, r.Conflicts, r.Relisted = report.Damaged, report.Conflicts, report.Relisted
	if r.strange = report.Strange; errors.Is(err, vault.ErrOthers) {
		err = custody.FormerHint(err, c.state)
	}
	r.Lacking, r.Resent = len(report.Damaged), report.Resent
	r.marks.sent, r.marks.sealed = report.Sent, report.Sealed
	r.Gone, r.Another, r.Seen = report.Gone, report.Another, report.There
	if report.Generation > 0 {
		r.Hash = report.Hash.String()
		if c.head != "" {
			err = errors.Join(err, custody.KeepHead(c.state, r.Vault, c.head))
		}
	}
	if report.Receipt != nil {
		receipt := *report.Receipt
		receipt.Lacks = receipt.Lacks[:min(len(receipt.Lacks), namedInLedger)]
		r.Receipt = &receipt
		if len(receipt.Note) <= longestNote {
			r.ReceiptNote, r.ReceiptKey = receipt.Note, c.key
		}
	}
	if _, full := errors.AsType[*vault.FullError](err); full {
		err = fmt.Errorf("%w; the window needs %s", err, Size(c.plan.Bytes))
	}
	if c.tending != nil && report.Generation > 0 {
		err = errors.Join(err, c.tending.run(ctx, store, looking, c, r, err == nil))
	}
	return err
}

// healing says what helps where blobs of the repository are amiss.
func (r WindowRecord) healing() string {
	if len(r.Amiss) == 0 {
		return ""
	}
	return fmt.Sprintf(" (airlock heal --from %s fetches good copies of what the vault has)", r.Vault)
}

// unvouched says what the vault's host does not vouch for; "" where all is well, or where
// no host is asked.
func (r WindowRecord) unvouched() string {
	switch {
	case r.Receipt == nil || r.Receipt.Whole():
		return ""
	case len(r.Receipt.Lacks) > 0:
		return fmt.Sprintf("; the vault lost %d blobs that the repository cannot give again", len(r.Receipt.Lacks))
	}
	return fmt.Sprintf("; the vault has yet to read %d blobs whose hash it does not know", r.Receipt.Unread)
}

// damaged says whether something of the repository or of the vault is not as it must be.
func (r WindowRecord) damaged() bool {
	return len(r.Lacks)+len(r.Amiss)+len(r.Conflicts) > 0 || r.unvouched()+r.lost()+r.missing() != ""
}

// hold opens the door for work and returns after it was shut.
func (p *passage) hold(ctx context.Context, plan any, work inside) (WindowRecord, error) {
	s := p.site
	leave, err := p.turn(ctx)
	if err != nil {
		return p.end(doors.Times{}, fmt.Errorf("%w: %w", ErrRefused, err))
	}
	defer leave()
	if err := s.custody.Trust(ctx); err != nil { // S1: what this ledger takes in would prove nothing
		return p.end(doors.Times{}, fmt.Errorf("%w: %w", ErrRefused, err))
	}
	if err := s.knowsNoLockdown(ctx); err != nil { // S15: before the inner door is shut for nothing
		return p.end(doors.Times{}, fmt.Errorf("%w: %w", ErrRefused, err))
	}
	if err := p.ready(ctx); err != nil {
		return p.end(doors.Times{}, fmt.Errorf("%w: %w", ErrRefused, err))
	}
	ctx, dismiss, err := s.watched(ctx, p)
	if err != nil {
		return p.end(doors.Times{}, fmt.Errorf("%w: %w", ErrRefused, err))
	}
	defer dismiss()
	begun := ledger.Entry{
		Time: time.Now(), Kind: ledger.KindWindow, Actor: p.by.Actor, Reason: p.by.Reason,
		Vault: p.record.Vault, Window: p.record.ID, To: p.record.Purpose,
		Detail: detail(map[string]any{"id": p.record.ID, "vault": p.record.Vault, "purpose": p.record.Purpose, "late": p.record.Late, "plan": plan}),
	}
	if _, err := s.journal.Append(ctx, begun); err != nil {
		return p.end(doors.Times{}, fmt.Errorf("%w: the ledger cannot take it: %w", ErrRefused, err))
	}
	if p.policy.InnerDoor != "" {
		p.tell(Progress{Stage: "pausing gatherings"})
		pause, cancel := context.WithTimeoutCause(ctx, pauseWithin, errors.New("a read from a department did not end"))
		err := s.gate.Pause(pause)
		cancel()
		defer s.gate.Resume()
		if err != nil && ctx.Err() != nil {
			return p.end(doors.Times{}, fmt.Errorf("%w: %w", ErrRefused, err))
		}
	}
	compare := s.doors.Around(ctx, p.record.Vault)
	p.tell(Progress{Stage: "opening the door"})
	began, done := make(chan struct{}), make(chan WindowRecord, 1)
	record := p.record
	var worked error
	passed, err := s.doors.Hold(ctx, p.record.Vault, doors.Opening{
		Window: p.record.ID, Actor: p.by.Actor, Reason: p.by.Reason, MaxOpen: time.Duration(p.policy.Window.MaxOpen),
		Work: func(ctx context.Context) error {
			close(began)
			defer func() { done <- record }()
			worked = p.inside(ctx, work, &record)
			return worked
		},
	})
	compare(p.record.ID, passed)
	// The door is shut. The work, whose context has ended, still writes down how far
	// it came, and is given some time for that.
	select {
	case <-began:
		select {
		case p.record = <-done:
			err = explain(err, worked)
		case <-time.After(time.Minute):
			err = errors.Join(err, errors.New("the work did not end when it was told to"))
		}
	default:
	}
	return p.end(passed, err)
}

// turn waits until no other vault has a window that shuts the same inner door, nor is still
// opening that again. A window ends at its deadline at the latest, or is stuck, and then
// its turn is over as well.
func (p *passage) turn(ctx context.Context) (leave func(), err error) {
	turn := p.site.turns[p.policy.InnerDoor]
	if turn == nil {
		return func() {}, nil
	}
	select {
	case turn <- struct{}{}:
	default:
		p.tell(Progress{Stage: "waiting for the window of another vault"})
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("another vault's window had the inner door: %w", context.Cause(ctx))
		}
	}
	return func() {
		p.site.hands.Go(func() {
			_ = p.site.doors.Settle(p.site.life, p.record.Vault) // or it is stuck, of which others tell
			<-turn
		})
	}, nil
}

// explain adds to a window's end what its work came to, unless that was the end.
func explain(end, worked error) error {
	if end == nil || worked == nil || strings.Contains(end.Error(), worked.Error()) {
		return end
	}
	return fmt.Errorf("%w: %w", end, worked)
}

// inside is what happens while the door is open.
func (p *passage) inside(ctx context.Context, work inside, r *WindowRecord) (err error) {
	opened := time.Now()
	p.tell(Progress{Stage: "waiting for the vault to answer"})
	if err := doors.Await(ctx, p.policy.URL.Address(), time.Duration(p.policy.Window.AnswerWithin)); err != nil {
		return err
	}
	r.marks.answered = time.Now()
	heard := p.site.doors.Listen(ctx, r.Vault)
	defer func() { heard(!r.marks.ready.IsZero()) }()
	store, err := p.site.parts.Vault(ctx, *p.policy)
	if err != nil {
		return fmt.Errorf("vault %s: %w", r.Vault, err)
	}
	r.marks.ready = time.Now()
	r.Link = r.marks.ready.Sub(opened).Seconds()
	if err = work(ctx, store, r); err != nil {
		return errors.Join(err, store.Close())
	}
	r.marks.done = time.Now()
	// What was sent is durable by now: the door need not wait for farewells.
	go func() {
		if err := store.Close(); err != nil {
			p.site.options.Log.Warn("leaving the vault", "vault", r.Vault, "error", err)
		}
	}()
	return nil
}

// end writes the record, once the doors are what they are.
func (p *passage) end(passed doors.Times, err error) (WindowRecord, error) {
	r := &p.record
	r.OpenedAt, r.ProvenAt = passed.OpenedAt, passed.ProvenAt
	if !passed.OpenedAt.IsZero() {
		r.ShutAt = passed.DownAt
		r.Exposure = passed.Exposure().Seconds()
		r.Octets = passed.Octets()
		r.Course = r.marks.course(passed)
		if !passed.ProvenAt.IsZero() {
			r.Proof = passed.ProvenAt.Sub(passed.DownAt).Seconds()
		}
		r.Speed = passed.Speed()
		if told := p.site.policy.Doors[p.policy.Door].Speed; told > 0 {
			r.Speed = uint64(told) * 8
		}
		if r.Speed > 0 {
			r.Wire = float64(r.Bytes) * 8 / float64(r.Speed)
		}
	}
	switch {
	case err == nil && r.damaged():
		r.Result = resultInPart
		err = fmt.Errorf("%w: the generation lacks %d blobs, %d are amiss in the repository%s, %d conflict in the vault%s", ErrInPart, len(r.Lacks), len(r.Amiss), r.healing(), len(r.Conflicts), r.unvouched()+r.lost()+r.missing())
	case err == nil:
		r.Result = resultDone
	case errors.Is(err, ErrRefused):
		r.Result = resultRefused
	default:
		r.Result = resultFailed
	}
	if err != nil {
		r.Error = err.Error()
		p.site.alarm(Alarm{At: time.Now(), Vault: r.Vault, Notice: windowNotice(r.Result), Why: r.Error})
	}
	if r.Receipt != nil && len(r.Receipt.Alarms) > 0 {
		p.site.alarm(Alarm{At: time.Now(), Vault: r.Vault, Notice: notice.HostAlarms.Of(), Why: strings.Join(r.Receipt.Alarms, "; ")})
	}
	p.site.warnOfStrangers(r)
	p.site.journal.Note(ledger.Entry{
		Time: time.Now(), Kind: ledger.KindWindow, Actor: p.by.Actor, Reason: p.by.Reason,
		Vault: r.Vault, Window: r.ID, From: r.Purpose, To: r.Result, Detail: detail(r.inLedger()),
	})
	p.site.custody.SignedHead(context.WithoutCancel(p.site.life))
	p.tell(Progress{Stage: r.Result, Text: r.String()})
	return *r, err
}

// inLedger names no more than an entry should; the error has the numbers.
func (r WindowRecord) inLedger() WindowRecord {
	r.Lacks = r.Lacks[:min(len(r.Lacks), namedInLedger)]
	r.Amiss = r.Amiss[:min(len(r.Amiss), namedInLedger)]
	r.Conflicts = r.Conflicts[:min(len(r.Conflicts), namedInLedger)]
	if r.ReadBack != nil {
		back := *r.ReadBack
		for _, names := range []*[]string{&back.Missing, &back.Resized, &back.Damaged} {
			*names = (*names)[:min(len(*names), namedInLedger)]
		}
		r.ReadBack = &back
	}
	return r
}

// Shut shuts doors and returns once they are proven shut, or stuck (ErrNotShut); all
// doors if none is named. An inner door that a person shut stays shut until a person
// has it opened (Open).
func (s *Site) Shut(ctx context.Context, names []string, by Caller) error {
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(s.policy.Doors))
	}
	for _, name := range names {
		if s.policy.Doors[name] == nil {
			return s.unknown("door", name, slices.Sorted(maps.Keys(s.policy.Doors)))
		}
	}
	return s.doors.Shut(ctx, names, by.Actor, strings.TrimSpace(byHand+" "+by.Reason))
}

// windowNotice is what a window that was not done is called for.
func windowNotice(result string) notice.Notice {
	switch result {
	case resultInPart:
		return notice.WindowInPart.Of()
	case resultCut:
		return notice.WindowCut.Of()
	case resultRefused:
		return notice.WindowRefused.Of()
	}
	return notice.WindowFailed.Of()
}
