// Package chaos attacks airlock on real parts: the built program, orchestrator and guard,
// in a hospital of package lab, with faults that are drawn at random and strike at random
// times. After each of them it holds what a sampler saw of the switch's ports against
// what stands in the two ledgers, and wants
//
//   - no moment in which the vault's port was up and the ledgers together do not say so,
//     to 5 ms (S1, S3),
//   - no moment in which it was up for longer than its deadline, or than the guard needs
//     once its executor is gone (S4, S12),
//   - no moment in which it was up together with the departments' (S6),
//   - every generation of the vault whole, and earlier files restored (S9, S10),
//   - ledgers without a gap or damage, and
//   - a next window that comes to a good end.
//
// What is drawn depends on a seed alone, which is printed; how the parts then meet in
// time does not. docs/chaos.md says more, and what was found.
package chaos
