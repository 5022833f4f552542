package orchestrator

import "golang.org/x/sys/unix"

// writable says why this process may not write into a folder, as on a disk that was
// mounted read-only.
func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
