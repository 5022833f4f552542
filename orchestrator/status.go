package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/orchestrator/custody"
	"airlock/orchestrator/doors"
	"airlock/policies"
)

// Status is what a monitoring center polls. Its form is a contract: fields are added,
// never renamed.
type Status struct {
	Site    string    `json:"site"`
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	Serving bool      `json:"serving"` // an executor runs
	// Lockdown is the one in force: nothing is opened.
	Lockdown *lease.Lockdown `json:"lockdown,omitempty"`
	// LockdownUnknown is why nobody knows whether there is one, while that is so: no door is
	// opened meanwhile, and nothing else follows from it (S15).
	LockdownUnknown string                  `json:"lockdown_unknown,omitempty"`
	Doors           map[string]DoorStatus   `json:"doors"`
	Systems         map[string]SystemStatus `json:"systems"`
	Vaults          map[string]VaultStatus  `json:"vaults"`
	Ledger          LedgerStatus            `json:"ledger"`
	Guard           *GuardStatus            `json:"guard,omitempty"` // none where there is nothing to guard
	// Policy is the policy file by which the executor runs, where there is one.
	Policy *PolicyStatus `json:"policy,omitempty"`
	// Insecure are the places, by their keys in the policy file, whose lines are neither
	// encrypted nor signed, because it says so.
	Insecure []string   `json:"insecure,omitempty"`
	Running  []Progress `json:"running"`          // what is being done
	Alarms   []Alarm    `json:"alarms"`           // that are not over, also of earlier runs, oldest first
	Totals   *Totals    `json:"totals,omitempty"` // since the executor began
}

// DoorStatus is one door.
type DoorStatus struct {
	State string    `json:"state"` // shut, opening, open, shutting, stuck, unknown
	Since time.Time `json:"since,omitzero"`
	Proof string    `json:"proof"`           // what was read last
	Rests string    `json:"rests"`           // shut, or open for an inner door
	Vault string    `json:"vault,omitempty"` // whose door it is
	// Doubt is why the silence of the door's probe proves nothing, while it does not.
	Doubt string `json:"doubt,omitempty"`
	// Barred is why no window opens the door, where that is its port: another one than it
	// was, or another door's as well.
	Barred string `json:"barred,omitempty"`
	// Kept says who shut an inner door that rests open, where airlock will not open it again.
	Kept string `json:"kept_shut,omitempty"`
	// Of patrol, while serve runs: when it looked last, and how many looks in a row failed.
	Looked time.Time `json:"looked,omitzero"`
	Misses int       `json:"misses,omitempty"`
}

// doorStatus is how a door stands, as it is told in a zone.
func doorStatus(d doors.Status, zone *time.Location) DoorStatus {
	return DoorStatus{
		State: d.State, Since: inZone(d.Since, zone), Proof: d.Proof, Rests: d.Rests, Vault: d.Vault, Doubt: d.Doubt, Barred: d.Barred,
		Looked: inZone(d.Looked, zone), Misses: d.Misses,
	}
}

// Amiss reports whether the door is not where it belongs while nothing is being done
// with it.
func (d DoorStatus) Amiss() bool {
	return d.State == "stuck" || d.State == "unknown" || d.State == "open" && d.Rests == "shut"
}

// SystemStatus is one system.
type SystemStatus struct {
	Title       string     `json:"title,omitempty"`
	LastSuccess *time.Time `json:"last_success"` // of a gathering in which every file was read
	LastResult  string     `json:"last_result"`
	LastError   string     `json:"last_error"`
	RPOMet      bool       `json:"rpo_met"` // true where the policy names no RPO
	Snapshots   int        `json:"snapshots"`
	NextRun     time.Time  `json:"next_run"`
	Held        *Held      `json:"held,omitempty"` // a gathering that a person has to look at
	RPO         float64    `json:"rpo_seconds,omitempty"`
	LastRun     *LastRun   `json:"last_run,omitempty"`
}

// VaultStatus is one vault.
type VaultStatus struct {
	LastWindow  *WindowRecord `json:"last_window"` // the last that copied
	NextWindow  time.Time     `json:"next_window"`
	Generations int64         `json:"generations"`
}

// LedgerStatus is the state of the log.
type LedgerStatus struct {
	Entries    int64      `json:"entries"`
	Root       string     `json:"root"`           // of the tree over the entries, in base64
	Head       string     `json:"head,omitempty"` // the newest signed one, a note
	Key        string     `json:"key,omitempty"`  // the public key by which it is signed
	VerifiedAt *time.Time `json:"verified_at"`    // when all of it was last found sound
	// Doubt is why the ledger is not to be trusted, while it is not: no vault's door is
	// opened then.
	Doubt   string `json:"doubt,omitempty"`
	Pending int    `json:"pending"` // entries not durable yet (S2)
	Error   string `json:"error,omitempty"`
	// Syslog is why the SIEM takes nothing, and since when, while it does not.
	Syslog *SyslogStatus `json:"syslog,omitempty"`
}

// SyslogStatus is an outage of the SIEM's receiver. Nothing is lost meanwhile.
type SyslogStatus struct {
	Failing time.Time `json:"failing"`
	Error   string    `json:"error"`
}

// Status tells how things stand. It waits for nothing that is being done, and for no
// switch.
func (s *Site) Status(ctx context.Context) (Status, error) {
	var reader *ledger.Reader
	if s.journal.Err() == nil {
		reader = &s.journal.Ledger.Reader
	}
	st, err := observe(ctx, s.policy, reader)
	st.Version, st.Serving = s.options.Version, true
	st.Guard = guardStatus(s.policy, s.guards.latest(), s.begun)
	st.ComparePolicy(s.options.File)
	if reader != nil {
		s.totals.count(ctx, reader)
		st.Totals = s.totals.copied()
	}
	for name, d := range s.doors.Describe(st.Time.Location()) {
		st.Doors[name] = doorStatus(d, st.Time.Location())
	}
	if s.journal.Err() != nil {
		st.Ledger.Error = s.journal.Err().Error()
	} else if n, why := s.journal.Pending(); n > 0 {
		st.Ledger.Pending = n
		if why != nil {
			st.Ledger.Error = why.Error()
		}
	}
	st.Ledger.Doubt = s.custody.Doubt()
	if since, why := s.custody.Outage(); !since.IsZero() {
		st.Ledger.Syslog = &SyslogStatus{Failing: since.In(st.Time.Location()), Error: why.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.gathering)) {
		st.Running = append(st.Running, s.gathering[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.windows)) {
		st.Running = append(st.Running, Progress{Task: "window " + name})
	}
	keptShut(ctx, reader, &st)
	st.Alarms = current(st, s.alarms)
	return st, err
}

// inZone leaves the zero time what it is.
func inZone(t time.Time, zone *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(zone)
}

// observe is the part of the status that the ledger and the clock tell.
func observe(ctx context.Context, p policies.Policy, r *ledger.Reader) (Status, error) {
	now := time.Now().In(p.Timezone.Location)
	st := Status{
		Site: p.Site, Time: now, Doors: map[string]DoorStatus{},
		Systems: map[string]SystemStatus{}, Vaults: map[string]VaultStatus{}, Running: []Progress{}, Alarms: []Alarm{},
		Insecure: p.Insecure(),
	}
	l, doubt := standing(ctx, p.State, r)
	if st.Lockdown = l; l == nil && doubt != nil {
		st.LockdownUnknown = lease.LockdownUnknown(doubt).Error()
	}
	for name, system := range p.Systems {
		one := SystemStatus{Title: system.Title, NextRun: system.Schedule.Next(now), RPOMet: system.RPO == 0, RPO: time.Duration(system.RPO).Seconds()}
		if err := one.recall(ctx, r, name, system, now); err != nil {
			return st, err
		}
		st.Systems[name] = one
	}
	for name, v := range p.Vaults {
		one := VaultStatus{NextWindow: v.Window.Schedule.Next(now)}
		if err := one.recall(ctx, r, name); err != nil {
			return st, err
		}
		st.Vaults[name] = one
	}
	if r == nil {
		return st, nil
	}
	return st, st.Ledger.describe(ctx, p, r)
}

func (s *SystemStatus) recall(ctx context.Context, r *ledger.Reader, name string, system *policies.System, now time.Time) error {
	if r == nil {
		return nil
	}
	last, ok, err := r.Last(ctx, ledger.Filter{Kind: ledger.KindGather, System: name})
	if err != nil || !ok {
		return err
	}
	var g Gathered
	if err := json.Unmarshal(last.Detail, &g); err != nil {
		return fmt.Errorf("ledger entry %d: %w", last.Seq, err)
	}
	s.LastResult, s.LastError, s.Snapshots, s.LastRun = g.Result, g.Error, g.Snapshots, lastRun(g, now.Location())
	if s.Held, err = heldSince(ctx, r, name, now.Location()); err != nil {
		return err
	}
	switch g.Result {
	case resultInPart:
		s.LastError = fmt.Sprintf("%d files could not be read", g.NotRead)
	case resultHeld:
		s.LastError = "held: " + g.Held
	}
	done := last
	if g.Result != resultDone {
		if done, ok, err = r.Last(ctx, ledger.Filter{Kind: ledger.KindGather, System: name, To: resultDone}); err != nil || !ok {
			return err
		}
		if err := json.Unmarshal(done.Detail, &g); err != nil {
			return fmt.Errorf("ledger entry %d: %w", done.Seq, err)
		}
		if s.Snapshots == 0 { // a gathering that failed did not count them
			s.Snapshots = g.Snapshots
		}
	}
	at := g.Start.In(now.Location()) // the files are as old as that
	s.LastSuccess = &at
	s.RPOMet = system.RPO == 0 || now.Sub(at) <= time.Duration(system.RPO)
	return nil
}

// heldSince is what a person has to look at of a system: gatherings that were held since
// the last that was not; nil for none.
func heldSince(ctx context.Context, r *ledger.Reader, name string, zone *time.Location) (*Held, error) {
	last, ok, err := r.Last(ctx, ledger.Filter{Kind: ledger.KindGather, System: name, To: resultHeld})
	if err != nil || !ok {
		return nil, err
	}
	var good int64
	for _, to := range []string{resultDone, resultInPart} {
		e, _, err := r.Last(ctx, ledger.Filter{Kind: ledger.KindGather, System: name, To: to})
		if err != nil {
			return nil, err
		}
		good = max(good, e.Seq)
	}
	if good > last.Seq {
		return nil, nil
	}
	first := last
	for e, err := range r.Entries(ctx, ledger.Filter{Kind: ledger.KindGather, System: name, To: resultHeld, AfterSeq: good}) {
		if err != nil {
			return nil, err
		}
		first = e
		break
	}
	var g Gathered
	if err := json.Unmarshal(last.Detail, &g); err != nil {
		return nil, fmt.Errorf("ledger entry %d: %w", last.Seq, err)
	}
	return &Held{Since: first.Time.In(zone), Snapshot: g.Snapshot, Why: g.Held}, nil
}

func (v *VaultStatus) recall(ctx context.Context, r *ledger.Reader, name string) error {
	if r == nil {
		return nil
	}
	copied := ledger.Filter{Kind: ledger.KindWindow, Vault: name, From: copying}
	last, err := lastWindow(ctx, r, copied)
	if err != nil {
		return err
	}
	v.LastWindow = last
	for _, result := range []string{resultDone, resultInPart} { // what left a generation
		copied.To = result
		last, err := lastWindow(ctx, r, copied)
		if err != nil {
			return err
		}
		if last != nil {
			v.Generations = max(v.Generations, last.Generation)
		}
	}
	return nil
}

// lastWindow is the record of the newest window that f chooses, nil if there is none.
func lastWindow(ctx context.Context, r *ledger.Reader, f ledger.Filter) (*WindowRecord, error) {
	e, ok, err := r.Last(ctx, f)
	if err != nil || !ok {
		return nil, err
	}
	var record WindowRecord
	if err := json.Unmarshal(e.Detail, &record); err != nil {
		return nil, fmt.Errorf("ledger entry %d: %w", e.Seq, err)
	}
	record.Result = e.To // a window that was cut could not say so itself
	return &record, record.backAgain(ctx, r, e.Seq)
}

// Observe tells how things stand while no executor runs: it reads the ledger and asks
// the switches, and changes nothing. Parts other than Switch may be nil.
func Observe(ctx context.Context, p policies.Policy, parts Parts, r *ledger.Reader) (Status, error) {
	st, err := observe(ctx, p, r)
	if err == nil && r != nil {
		st.Ledger.Doubt, err = custody.Doubt(ctx, p.State, r)
	}
	if err != nil {
		return st, err
	}
	st.Guard = guardStatus(p, poll{}, time.Time{})
	for name, d := range doors.Observe(ctx, p, parts.dialToRead(p)) {
		st.Doors[name] = doorStatus(d, st.Time.Location())
	}
	for name, one := range st.Doors {
		if r == nil {
			break
		}
		if last, ok, err := r.Last(ctx, ledger.Filter{Kind: ledger.KindDoor, Door: name}); err == nil && ok && last.To == one.State {
			one.Since = last.Time.In(st.Time.Location())
			st.Doors[name] = one
		}
	}
	keptShut(ctx, r, &st)
	if r == nil {
		return st, nil
	}
	alarms, err := recalledAlarms(ctx, r)
	st.Alarms = current(st, alarms)
	return st, err
}
