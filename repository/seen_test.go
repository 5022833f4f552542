package repository

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"airlock/collectors"
)

// marked is a folder whose server tells when a file was last changed.
type marked struct {
	disk
	changed map[string]time.Time
	times   map[string]time.Time // what is told as the time of a file
}

func (m marked) mark(info fs.FileInfo) fs.FileInfo {
	if t, ok := m.times[info.Name()]; ok {
		info = timed{info, t}
	}
	return collectors.NewEntry(info, collectors.Marks{Changed: m.changed[info.Name()]})
}

type timed struct {
	fs.FileInfo
	at time.Time
}

func (t timed) ModTime() time.Time { return t.at }

func (m marked) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	infos, err := m.disk.ReadDir(ctx, dir)
	for i, info := range infos {
		infos[i] = m.mark(info)
	}
	return infos, err
}

// What was written anew with its old size and time is told by the time of its last change,
// and is stored like any other file.
func TestChangedInSecret(t *testing.T) {
	r, _ := fresh(t)
	dir, old := t.TempDir(), time.Now().Add(-1000*time.Hour)
	src := marked{disk: disk(dir), changed: map[string]time.Time{"a": old, "b": old, "sftp": {}}, times: map[string]time.Time{}}
	plant(t, dir, map[string][]byte{"a": []byte("first a"), "b": []byte("first b"), "sftp": []byte("first s"), "c.hc": []byte("first c"), "odd": []byte("first o")})
	src.times["odd"] = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)
	job := Job{System: "orca", Source: src, Seen: filepath.Join(t.TempDir(), "seen"), AlwaysRead: []string{"*.hc"}}
	gather := func(unchanged int64) string {
		t.Helper()
		res, err := r.Snapshot(t.Context(), job)
		must(t, err)
		if res.Unchanged != unchanged {
			t.Errorf("%d files were not read again, not %d", res.Unchanged, unchanged)
		}
		return res.ID
	}
	gather(0)
	gather(3) // a, b and sftp
	plant(t, dir, map[string][]byte{"a": []byte("later a"), "c.hc": []byte("later c"), "odd": []byte("later o")})
	src.changed["a"] = time.Now()
	src.times["odd"] = src.times["odd"].AddDate(0, 0, 1)
	id := gather(2)
	gather(3) // a is known as it is now
	out := restored(t, &r.View, id)
	for _, name := range []string{"a", "b", "c.hc", "odd"} {
		if got, want := readFile(t, filepath.Join(out, name)), readFile(t, filepath.Join(dir, name)); string(got) != string(want) {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	// A machine without the memory reads what changed since the last gathering.
	must(t, os.Remove(job.Seen))
	src.changed["b"] = time.Now()
	gather(1) // sftp; a changed within a day, too
}
