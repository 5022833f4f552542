// Package cuts kills the orchestrator at every boundary of a window: before each system
// call by which the real process changes something outside of its own memory, be it a
// write to the ledger, a datagram to the switch or a packet to the vault (S10). Its tests
// need Linux, and nothing else.
package cuts
