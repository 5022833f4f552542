// Package ledger is the append-only log of everything that airlock did to a door,
// a repository or a vault, in one SQLite file.
//
// An entry that Append returned is durable: SQLite in WAL mode with
// synchronous=FULL, and one writer. Triggers refuse UPDATE and DELETE. Readers
// never wait for the writer.
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
	KindInit    Kind = "init"    // keys or a repository were made
)

// Entry is one line of the ledger. Seq and Recorded are given by Append; the rest
// is the caller's. No field may hold a secret (S13).
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
