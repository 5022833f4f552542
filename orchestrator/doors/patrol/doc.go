// Package patrol judges what is seen of a door that must be shut: whether somebody else
// opened it. It is the pure half of patrol; whoever looks hands each look in, and carries out
// what comes of it.
//
// A Watch is what is known of one door. Its methods take what happened, with its time, and
// return the Watch after that and what was found. It has no clock, and does no I/O. Nothing
// is judged between an opening and the next proof of closure (Opens, Shut), nor before what
// the ledger knows is known (Recall).
//
// Agents serve what they tell from caches: what is told within CacheLag of a shutting may
// still speak of the window before. So the reading with which later ones are compared is taken
// after that, and until then only a change that surely came later is evidence.
package patrol
