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
// # The tree
//
// Entries are the leaves of a Merkle tree; package proof says how. The hashes stand in
// the transaction that holds the entry. [Ledger.Checkpoint] signs the tree's head: kept
// somewhere else, it shows later whether anything before it was changed (S11). Triggers
// and checks on opening are there against mistakes; against somebody who can write to
// the file, and has the key, only a head that is kept elsewhere helps.
//
// # The file
//
// WAL with synchronous=FULL: what was acknowledged survives a power cut. Triggers
// refuse UPDATE, DELETE and any Seq but the next, so numbers have no gap, also after
// failed transactions. A damaged file is refused with [ErrDamaged], untouched;
// [SetAside] lets a new one begin in its place.
// Readers never wait for the writer. One process writes, the one that holds the
// site's lock; a second one would interleave its entries, but do no harm.
package ledger

import (
	"time"

	"airlock/ledger/proof"
)

// Entry is one line of the ledger, and Kind what it is about; proof says what each
// field means and which bytes it is.
type (
	Entry = proof.Entry
	Kind  = proof.Kind
)

// The kinds of entries.
const (
	KindStart   = proof.KindStart
	KindStop    = proof.KindStop
	KindDoor    = proof.KindDoor
	KindWindow  = proof.KindWindow
	KindGather  = proof.KindGather
	KindRestore = proof.KindRestore
	KindVerify  = proof.KindVerify
	KindHeal    = proof.KindHeal
	KindUpkeep  = proof.KindUpkeep
	KindAlarm   = proof.KindAlarm
	KindPatrol  = proof.KindPatrol
	KindPort    = proof.KindPort
	KindInit    = proof.KindInit
	KindTimer   = proof.KindTimer
	KindSession = proof.KindSession
	KindLock    = proof.KindLock
	KindRelease = proof.KindRelease
	KindClock   = proof.KindClock
	KindLedger  = proof.KindLedger
	KindReceipt = proof.KindReceipt
	KindRefusal = proof.KindRefusal
	KindArchive = proof.KindArchive
	KindPolicy  = proof.KindPolicy
)

// Kinds lists the kinds of entries.
func Kinds() []Kind { return proof.Kinds() }

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
