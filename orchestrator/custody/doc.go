// Package custody keeps one site's ledger, and answers one question: is this still the ledger
// that it was? Whoever runs the site asks before each opening of a door, and gives by a Config
// what is needed of the surroundings.
//
// # Who owns what
//
// A Journal is the ledger of a running executor; it alone writes to it. With an open ledger it
// is package ledger's own writer; without one, what is noted waits in the Journal, under its
// mutex, until its goroutine has moved it to the emergency file.
//
// Custody compares. What it knows lies in the state folder, outside the ledger: the head that
// each vault is known to hold (trust.go), the last verification of the whole (selfaudit.go),
// proofs of contradictions. In memory it has the present doubt, which doubts were an alarm in
// this run, and what forwards entries to the SIEM, under a mutex that is never held while
// anything is waited for; and whether somebody else wrote to the ledger, under one that is held
// while the whole is looked at. Watch, Stamp and Forward are loops, for a goroutine each.
//
// # What is promised
//
// S1: Append returns once an entry is durable, and fails for as long as there is no ledger. What
// a ledger takes in that is not the one that it was proves nothing, and so Trust is to be asked
// before a door is opened: it looks whether the ledger's file was touched underneath, and holds
// the ledger to what was found last and to the heads that vaults hold. S2: Note waits for
// nothing. S11: what was changed, removed, inserted or put back is found at the latest by Watch,
// daily, or by Met, from the vault's own newest generation; it is an alarm once in a run, with a
// proof where there can be one, and stays a doubt until a person has renewed the ledger or it
// was found sound. S15: what could not be compared refuses openings while that lasts, and is no
// doubt. S17: nothing that a vault names pushes out what is known: a head that no key of this
// site has signed is not kept, and ends the window; a ledger that is renewed or archived stays
// beside the new one.
//
// Whose generations lie in a vault is not asked here: package orchestrator knows windows.
package custody
