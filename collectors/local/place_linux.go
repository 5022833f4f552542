package local

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"airlock/collectors"
)

// Place reads the kernel's table of mounts (proc_pid_mountinfo(5)). Of the machine's own
// disk nothing else is told: it has other names after an update of some systems.
func (s source) Place() (collectors.Place, error) {
	folder, err := filepath.EvalSymlinks(s.root.Name())
	if err != nil {
		return collectors.Place{}, fmt.Errorf("where the source lies: %w", err)
	}
	table, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return collectors.Place{}, fmt.Errorf("where the source lies: %w", err)
	}
	defer table.Close() // only read
	return placeOf(folder, table, uuidOf)
}

// placeOf is the last mount in a table that covers a folder.
func placeOf(folder string, table io.Reader, uuid func(device string) string) (place collectors.Place, err error) {
	lines := bufio.NewScanner(table)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		own, fs, _ := strings.Cut(lines.Text(), " - ")
		fields, kind := strings.Fields(own), strings.Fields(fs)
		if len(fields) < 5 || len(kind) < 2 {
			continue
		}
		mount := unescape(fields[4])
		if !covers(mount, folder) || len(mount) < len(place.Mount) {
			continue
		}
		place = collectors.Place{Mount: mount}
		if mount != "/" {
			place.Type, place.Root, place.Device = kind[0], unescape(fields[3]), device(unescape(kind[1]), uuid)
		}
	}
	return place, lines.Err()
}

func covers(mount, folder string) bool {
	return folder == mount || strings.HasPrefix(folder, strings.TrimSuffix(mount, "/")+"/")
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
