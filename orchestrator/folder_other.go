//go:build !linux

package orchestrator

func writable(string) error { return nil }
