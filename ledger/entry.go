// Package ledger is the append-only log of everything that airlock did to a door,
// a repository or a vault, in one SQLite file.
//
// # Two ways in
//
// [Ledger.Append] returns once the entry is durable, or an error: an intent goes
// through it, and what it announces is not done unless it returned nil (S1).
// [Ledger.Note] never waits: what has happened already goes through it, and the
// entry is written as soon as it can be (S2). Both feed one queue with one writer,
// so that entries stand in the file in the order in which they were handed in: an
// appended entry never overtakes a noted one. Callers that wait at the same time
// share one transaction, and so one fsync.
//
// # Times
//
// An entry has two. Time is when it happened, by the caller's wall clock; Recorded
// is when the transaction that holds it was made. Late marks a noted entry that
// could not be written at once: the first attempt failed or began more than a second
// after Note, or the entry came from the emergency file. The order of Seq is the order in which
// things were handed in; after a late entry, Time may step back. Both times are
// kept to the nanosecond and come back in UTC.
//
// # The emergency file
//
// Noted entries that the database refuses stay in memory, are tried again with
// backoff, and lie meanwhile in a file of JSON lines beside it (ledger.db →
// ledger.late.jsonl). The next Open takes that file in before anything else, marks
// its entries late and removes it; an entry that reached both is not doubled.
//
// # The file
//
// WAL with synchronous=FULL: what was acknowledged survives a power cut. Triggers
// refuse UPDATE, DELETE and any Seq but the next, so numbers have no gap, also after
// failed transactions. A damaged file is refused with [ErrDamaged], untouched.
// Readers never wait for the writer. One process writes, the one that holds the
// site's lock; a second one would interleave its entries, but do no harm.
package ledger

import (
	"encoding/json"
	"time"
)

// Kind says what an entry is about.
type Kind string

// The kinds of entries.
const (
	KindStart   Kind = "start"   // an executor took the site's lock
	KindStop    Kind = "stop"    // and gave it back
	KindDoor    Kind = "door"    // a door went From one state To another
	KindWindow  Kind = "window"  // a window began (To "begun") or ended (To its result)
	KindGather  Kind = "gather"  // a system was gathered
	KindRestore Kind = "restore" // files were restored
	KindVerify  Kind = "verify"  // a repository or a vault was read back
	KindUpkeep  Kind = "upkeep"  // retention and maintenance of the repository
	KindAlarm   Kind = "alarm"   // something that a person must look at
	KindPatrol  Kind = "patrol"  // what was seen of a door that must be shut, between windows
	KindPort    Kind = "port"    // a door's port has another ifIndex than when it was used last
	KindInit    Kind = "init"    // keys or a repository were made
	KindTimer   Kind = "timer"   // a switch's own timer was armed, or taken back
	KindSession Kind = "session" // a login to a switch, in which something was changed, was recorded
	KindLock    Kind = "lock"    // a lockdown began; every door is shut and none is opened
	KindRelease Kind = "release" // a lockdown ended, or somebody tried in vain to end it
)

// Entry is one line of the ledger. Seq and Recorded are given by the ledger; the
// rest is the caller's. Time, Kind and Actor are required; an entry of kind door
// also needs Door, From and To. Texts are UTF-8 without control characters, Reason
// up to 4 KiB, the others up to 256 bytes; Detail is a JSON object of up to 256 KiB,
// kept without insignificant space. No field may hold a secret (S13).
type Entry struct {
	Seq      int64           `json:"seq"`            // 1, 2, 3 … without a gap
	Time     time.Time       `json:"time"`           // when it happened, by the wall clock
	Recorded time.Time       `json:"recorded"`       // when it was written
	Late     bool            `json:"late,omitempty"` // it could not be written when it happened (S2)
	Kind     Kind            `json:"kind"`
	Actor    string          `json:"actor"`  // "schedule", "start-up", "user root", …
	Reason   string          `json:"reason"` // in words; required of a person
	Door     string          `json:"door,omitempty"`
	Window   string          `json:"window,omitempty"`
	System   string          `json:"system,omitempty"`
	Vault    string          `json:"vault,omitempty"`
	From     string          `json:"from,omitempty"`
	To       string          `json:"to,omitempty"`
	Detail   json.RawMessage `json:"detail,omitempty"` // evidence: readings, counters, figures; a JSON object
}

// Filter chooses entries; a zero field chooses all.
type Filter struct {
	Since, Until time.Time // Since ≤ Time < Until
	Kind         Kind
	Door         string
	Window       string
	System       string
	Vault        string
	Actor        string
	From, To     string // states, as in Entry
	AfterSeq     int64  // only entries with a greater Seq
}
