//go:build !linux

package orchestrator

func freeBytes(string) (int64, bool) { return 0, false }

func freeMemory(string) (int64, bool) { return 0, false }
