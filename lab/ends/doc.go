// Package ends ends the orchestrator in every way in which a process can end, in every
// phase of a window (S14). A sampler outside of it says where the port was. Its tests need
// Linux and the real hospital of package lab.
package ends
