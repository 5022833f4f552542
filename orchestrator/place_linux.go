package orchestrator

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mountOf finds the mount that a path lies on, by the kernel's list, which waits for no
// disk and no server (proc_pid_mountinfo(5)). Symbolic links are followed, unless that
// would ask a server that may be out of reach.
func mountOf(path string) (mount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mount{}, fmt.Errorf("what %s lies on: %w", path, err)
	}
	if m := covering(string(text), filepath.Clean(path)); m.remote() {
		return m, nil
	}
	real, err := resolved(path)
	if err != nil {
		return mount{}, fmt.Errorf("what %s lies on: %w", path, err)
	}
	return covering(string(text), real), nil
}

// covering is the mount of a list that a path lies on.
func covering(list, path string) mount {
	var found mount
	for line := range strings.Lines(list) {
		m, ok := parseMount(line)
		// Of several at one point, the last one covers the others.
		if ok && below(path, m.Point) && len(m.Point) >= len(found.Point) {
			found = m
		}
	}
	return found
}

// parseMount reads a line: ID, parent, device, root, mount point, options, optional fields
// up to a hyphen, type, source, options.
func parseMount(line string) (mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	fields, rest := strings.Fields(before), strings.Fields(after)
	if !ok || len(fields) < 6 || len(rest) < 2 {
		return mount{}, false
	}
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	return mount{plain.Replace(fields[4]), rest[0], plain.Replace(rest[1])}, true
}

// writable says why this process may not write into a folder, as on a disk that was
// mounted read-only.
func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
