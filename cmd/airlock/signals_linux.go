package main

import (
	"os"
	"syscall"
)

// powerFails are the signals of a machine that is about to lose its power, and one that
// nobody sends.
func powerFails() []os.Signal { return []os.Signal{syscall.SIGPWR, syscall.SIGSTKFLT} }
