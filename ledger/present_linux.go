package ledger

import "golang.org/x/sys/unix"

// writable says why this process may not write to a file, as on a disk that went
// read-only.
func writable(path string) error { return unix.Access(path, unix.W_OK) }
