// Package window is the state machine of one vault's doors: the vault's own and,
// where one is configured, the inner door on the departments' side.
//
// It does no I/O and has no clock. [State.Step] takes an event, which carries the
// time, and returns the next state and the actions that follow from it:
//
//	state, actions := state.Step(event)
//
// Each change of a phase is an action of its own, [Moved], which goes to the ledger. A
// [Command] that opens a door is carried out only once every Moved before it is durable;
// if the ledger cannot take it, the executor reports [Unlogged] instead (S1). Everything
// else is carried out at once, and the ledger catches up (S2).
//
// The zero State is Unknown: nothing has been read yet, and what is not known counts
// as open (S3). Between events the executor keeps reading every door for which
// [State.Watch] is true and reports [Seen]; at the instant that [State.Next] names,
// at the latest, it reports [Tick].
//
// # The vault's door
//
//	Unknown ──seen shut──────────────────────────────► Shut ◄──proven── Shutting ◄─┐
//	   │                                                │                 │  ▲     │
//	   └─seen otherwise, or not read in time ─► Shutting│                 │  │     │proven
//	                                                    │Begin            │  │     │
//	                          inner door proven shut (S6)▼           late │  │   Stuck
//	                                                 Opening ─late,cancel─┼─►│     ▲
//	                                                    │read back        │  │     │
//	                                                    ▼                 └──┼─────┘
//	                                                  Open ──done, deadline──┘
//
// Every state of the vault's door but Shut carries a deadline, and every deadline
// leads to Shutting, or from Shutting to Stuck, which repeats the command for ever
// (S4, S12). A door at rest that could not be read for too long is [Lost], and Unknown
// again.
//
// # The inner door
//
// It rests open, since gatherings run through it. A window shuts it first and opens
// it again last. Whenever the vault's door is Shutting or Stuck, whoever opened it,
// the inner door is shut too, and it opens again only after the vault's door is
// proven shut (S6). A person who shuts the inner door finds it shut afterwards: only
// what this machine shut is opened again.
//
// # Lockdown
//
// [Lock] shuts both doors, ends the window in course and refuses every opening until
// [Release], which opens the inner door again if it was open before. Who may ask for
// either, and that a lockdown outlives a restart, is the executor's business.
//
// What every event does in every pair of phases stands in testdata/table.txt; the usual
// nights, step by step, in the other files beside it.
package window
