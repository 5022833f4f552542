package main

import (
	"fmt"

	"airlock/blob"
	"airlock/orchestrator"
)

// namedFiles is how many files that failed are named; --json names more.
const namedFiles = 20

// printFailed names files; there were total.
func (a *app) printFailed(files []orchestrator.FileError, total int64) {
	shown := files[:min(len(files), namedFiles)]
	for _, f := range shown {
		fmt.Fprintf(a.out, "  %s: %s\n", plain(f.Path), plain(f.Error))
	}
	if more := total - int64(len(shown)); more > 0 {
		a.print("  and %d more", more)
	}
}

// printLacks names blobs that nobody has any more.
func (a *app) printLacks(all []blob.Fault) {
	for _, l := range all[:min(len(all), namedFiles)] {
		a.print("  blob %s: %s", l.Name, plain(l.Why))
	}
	if more := len(all) - namedFiles; more > 0 {
		a.print("  and %d more", more)
	}
}
