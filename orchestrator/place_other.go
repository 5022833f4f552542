//go:build !linux

package orchestrator

// mountOf knows on Linux only what a folder is mounted from.
func mountOf(string) (mount, error) { return mount{}, nil }

func writable(string) error { return nil }
