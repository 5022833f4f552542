package orchestrator

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What may still be taken is the least of what the machine and each control group leave.
func TestFreeMemory(t *testing.T) {
	const group = "sys/fs/cgroup/system.slice/airlock.service/"
	machine := map[string]string{
		"proc/meminfo":     "MemTotal:       24000000 kB\nMemAvailable:    1000000 kB\n",
		"proc/self/cgroup": "0::/system.slice/airlock.service\n",
	}
	for what, c := range map[string]struct {
		files map[string]string
		free  int64
		known bool
	}{
		"nothing to ask": {nil, 0, false},
		"the machine":    {machine, 1000000 << 10, true},
		"absurdly much":  {map[string]string{"proc/meminfo": "MemAvailable: 9007199254740993 kB\n"}, (math.MaxInt64 >> 10) << 10, true},
		"no limit":       {with(machine, group+"memory.max", "max\n", group+"memory.current", "5\n"), 1000000 << 10, true},
		"its group":      {with(machine, group+"memory.max", "1000\n", group+"memory.current", "900\n"), 100, true},
		"its group, which has caches": {with(machine, group+"memory.max", "1000\n", group+"memory.current", "900\n",
			group+"memory.stat", "anon 100\nfile 700\ninactive_file 500\nactive_file 200\nslab_reclaimable 50\n"), 850, true},
		"the group above": {with(machine, group+"memory.max", "1000\n", group+"memory.current", "900\n",
			"sys/fs/cgroup/system.slice/memory.max", "2000\n", "sys/fs/cgroup/system.slice/memory.current", "1990\n"), 10, true},
		"more than it may have": {with(machine, group+"memory.max", "1000\n", group+"memory.current", "1100\n"), 0, true},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			file := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		free, known := freeMemory(root)
		if known != c.known || known && free != c.free {
			t.Errorf("%s: %d, %v; want %d, %v", what, free, known, c.free, c.known)
		}
	}
	if free, known := freeMemory("/"); !known || free < 1<<20 || free > 1<<50 {
		t.Errorf("of this machine: %d, %v", free, known)
	}
}

// with adds files to a machine, each a name and its text.
func with(machine map[string]string, files ...string) map[string]string {
	all := map[string]string{}
	for name, text := range machine {
		all[name] = text
	}
	for i := 0; i < len(files); i += 2 {
		all[files[i]] = files[i+1]
	}
	return all
}

// S14: no door is opened that this process may not have the memory to shut.
func TestMemoryBeforeOpening(t *testing.T) {
	for free, refused := range map[int64]bool{memoryForWindow - 1: true, memoryForWindow: false} {
		err := hasMemory(func() (int64, bool) { return free, true })
		if (err != nil) != refused || err != nil && !strings.Contains(err.Error(), "of memory are left") {
			t.Errorf("%d bytes: %v", free, err)
		}
	}
	if err := hasMemory(func() (int64, bool) { return 0, false }); err != nil {
		t.Errorf("where nothing is known: %v", err)
	}
}
