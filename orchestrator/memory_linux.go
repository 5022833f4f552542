package orchestrator

import (
	"bufio"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// freeMemory is what this process can still take before the kernel ends it, in bytes: of the
// machine, of the control groups that it is in (v2), and of its own address space. root is
// where proc and sys lie, "/" but in tests.
func freeMemory(root string) (free int64, known bool) {
	free = math.MaxInt64
	if n, ok := field(filepath.Join(root, "proc/meminfo"), "MemAvailable:"); ok {
		free, known = min(n, math.MaxInt64>>10)<<10, true
	}
	for dir := ownGroup(root); dir != ""; dir = above(dir) {
		if n, ok := groupFree(filepath.Join(root, "sys/fs/cgroup", dir)); ok {
			free, known = min(free, n), true
		}
	}
	var limit unix.Rlimit
	size, ok := field(filepath.Join(root, "proc/self/status"), "VmSize:")
	if ok && unix.Getrlimit(unix.RLIMIT_AS, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		free, known = min(free, int64(min(limit.Cur, math.MaxInt64))-size<<10), true
	}
	return max(0, free), known
}

// ownGroup is the control group of this process, as a path below the file system of all.
func ownGroup(root string) string {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if dir, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path.Clean("/" + dir)
		}
	}
	return ""
}

// above is the group above a group; "" for the first.
func above(dir string) string {
	if dir == "/" {
		return ""
	}
	return path.Dir(dir)
}

// groupFree is what a group may still take: what it has in caches it can give back.
func groupFree(dir string) (int64, bool) {
	limit, ok := number(filepath.Join(dir, "memory.max"))
	if !ok {
		return 0, false
	}
	used, ok := number(filepath.Join(dir, "memory.current"))
	if !ok {
		return 0, false
	}
	for _, cache := range []string{"inactive_file", "active_file", "slab_reclaimable"} {
		n, _ := field(filepath.Join(dir, "memory.stat"), cache)
		used -= n
	}
	return limit - used, true
}

// number reads a file that is one number; "max" is none.
func number(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// field reads the number behind a name that begins a line of a file.
func field(file, name string) (int64, bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == name {
			n, err := strconv.ParseInt(words[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
