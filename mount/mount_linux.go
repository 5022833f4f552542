package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Of finds the mount that a path lies on, by the kernel's table (proc_pid_mountinfo(5)).
// The path need not be there. Symbolic links are followed, unless that would ask a server
// that may be out of reach.
func Of(path string) (Mount, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Mount{}, fmt.Errorf("what %s lies on: %w", path, err)
	}
	if m := covering(string(table), filepath.Clean(path), uuidOf); m.Remote() {
		return m, nil
	}
	real, err := Resolve(path)
	if err != nil {
		return Mount{}, fmt.Errorf("what %s lies on: %w", path, err)
	}
	return covering(string(table), real, uuidOf), nil
}

// covering is the mount of a table that a path lies on. A line of it: ID, parent, device,
// root, mount point, options, optional fields up to a hyphen, type, source, options.
func covering(table, path string, uuid func(device string) string) (found Mount) {
	var source string
	for line := range strings.Lines(table) {
		own, fs, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(own), strings.Fields(fs)
		if len(fields) < 6 || len(kind) < 2 {
			continue
		}
		// Of several at one point, the last one covers the others.
		if point := unescape(fields[4]); Below(path, point) && len(point) >= len(found.Point) {
			found, source = Mount{Point: point, Type: kind[0], Root: unescape(fields[3])}, unescape(kind[1])
		}
	}
	if found.Point == "/" { // it has other names after an update of some systems
		return Mount{Point: "/"}
	}
	found.Device = device(source, uuid)
	return found
}

// device names what is mounted by what stays: a disk's UUID, a server's export. /dev/sdb1
// is another disk after the next start.
func device(source string, uuid func(device string) string) string {
	switch {
	case strings.HasPrefix(source, "/dev/"):
		return uuid(source)
	case strings.HasPrefix(source, "//"), strings.Contains(source, ":/"):
		return source
	}
	return ""
}

// uuidOf is the UUID of a disk's file system, "" if it is not told.
func uuidOf(device string) string {
	const byUUID = "/dev/disk/by-uuid"
	links, err := os.ReadDir(byUUID)
	if err != nil {
		return ""
	}
	is, err := filepath.EvalSymlinks(device)
	if err != nil {
		return ""
	}
	for _, l := range links {
		if to, err := filepath.EvalSymlinks(filepath.Join(byUUID, l.Name())); err == nil && to == is {
			return l.Name()
		}
	}
	return ""
}

// unescape undoes what the kernel does to blanks in names: \040.
func unescape(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+4 <= len(name) {
			if c, err := strconv.ParseUint(name[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}
