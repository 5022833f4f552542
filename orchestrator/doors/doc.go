// Package doors is the executor of doors: whatever touches a door is done here, and nothing
// else is. Doors are the doors of one site; whoever runs the site asks them, and gives them
// by a Config what they need from their surroundings.
//
// # Who owns what
//
// Each vault has a controller, which executes the state machine of package window for the
// vault's door and the inner door that it shuts. One goroutine steps that machine; whatever
// concerns it comes as a message, and it waits for nothing but its inbox and the clock. Each
// of its doors has a goroutine that is the only one to speak to the switch about that port:
// it carries out the newest command and reads. A queue does what neither may wait for:
// entries for the ledger, alarms, leases. Patrol, the probes and the comparison of the other
// ports have goroutines of their own, which change nothing: what they see goes to the
// controller as a message.
//
// An inner door that several vaults share has a goroutine for each of them, and a claim beside
// those, which one controller has at a time.
//
// # What is promised
//
// S1: a door is opened only after its intent is durable; while there is no ledger (Log), or it
// does not take the entry, nothing is opened. S2: shutting waits for nothing: not for the
// ledger, the work, an alarm or another door, and descriptors are kept for it. S3: readings
// are judged by package window, and package patrol tells whether somebody else opened a door;
// it is shut when the switch says so and what stands behind it is silent, as far as an answer
// could be heard. S4: a window's deadline is the controller's own, the lease's, and the
// switch's where it has a timer. S5: Open reads every door, and shuts what is not shut, before
// anything else. S6: an inner door and a vault's are never open at once, whichever vaults
// share it, nor where two names turn out to be one port. S7: a port is resolved at every use,
// compared with the one that counts as the door's own, and left alone if it is another. S12:
// what cannot be proven shut is told to shut again, for ever, by each of its ways. S15: what
// cannot be known refuses openings while that lasts, and changes nothing else.
//
// What is asked of Doors returns when the doors are what it says, or stuck, which is
// ErrNotShut. The ledger's entries about doors, and what they hold, are written here.
package doors
