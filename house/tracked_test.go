package house

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// largest is how long a file of the repository may be, in bytes.
const largest = 1 << 20

// What a build made is not the project's: every clone would carry it for ever.
func TestNoBinaryIsTracked(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "ls-files", "-z").Output()
	if err != nil {
		t.Skip("this is no checkout of git, so nothing says what is tracked")
	}
	for name := range bytes.SplitSeq(bytes.TrimRight(out, "\x00"), []byte{0}) {
		if why := unwanted(t, filepath.Join("..", string(name))); why != "" {
			t.Errorf("%s %s: git rm --cached %s, and a line in .gitignore", name, why, name)
		}
	}
}

func TestBinariesAreFound(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"program": {[]byte("\x7fELF\x02\x01"), true},
		"large":   {make([]byte, largest+1), true},
		"text":    {[]byte("package house\n"), false},
		"empty":   {nil, false},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := unwanted(t, path); (got != "") != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := unwanted(t, filepath.Join(dir, "deleted")); got != "" {
		t.Errorf("a file that is deleted and not yet committed: %q", got)
	}
}

// unwanted says what is wrong with a tracked file, "" if nothing is.
func unwanted(t *testing.T, path string) string {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	begin := make([]byte, 4)
	if n, err := io.ReadFull(f, begin); err != nil && n > 0 && err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	switch {
	case string(begin) == "\x7fELF":
		return "is a program"
	case info.Size() > largest:
		return "is larger than 1 MiB"
	}
	return ""
}
