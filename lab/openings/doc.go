// Package openings kills executors in the middle of windows, in the real hospital of package
// lab, and holds what is told of those openings afterwards, by everything that tells of
// them, against each other and against a sampler outside of airlock. Its test needs Linux.
package openings
