package wholefile

import (
	"os"
	"path/filepath"
	"testing"
)

// S10: what a cut left of an earlier try is no hindrance, and text that cannot be put there
// leaves the old one as it was.
func TestReplace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name+".new", []byte("longer than what comes, from a try that was cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Replace(name, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "first" {
		t.Errorf("it holds %q, %v", text, err)
	}
	if err := os.Mkdir(name+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(name, []byte("second"), 0o600); err == nil {
		t.Error("it was replaced where nothing could be written beside it")
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "first" {
		t.Errorf("afterwards it holds %q, %v", text, err)
	}
}
