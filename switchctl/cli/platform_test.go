package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/switchctl"
	"airlock/switchctl/cli"
)

// own writes a changed awplus as the user's own platform.
func own(t *testing.T, old, text string) string {
	t.Helper()
	file, err := os.ReadFile("platforms/awplus.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(file), old, text, 1)
	if changed == string(file) && old != text {
		t.Fatalf("%q is not in the file", old)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "awplus.yaml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestPlatformFilesAreStrict(t *testing.T) {
	for name, c := range map[string]struct{ old, text, want string }{
		"an unknown key":     {"leave: exit", "leaves: exit", `awplus.yaml:13:1: unknown field "leaves"`},
		"a key twice":        {"leave: exit", "leave: exit\nleave: quit", `awplus.yaml:14:1: mapping key "leave" already defined`},
		"a broken pattern":   {"up: '^UP$'", "up: '^(UP$'", "awplus.yaml:42:13: error parsing regexp: missing closing )"},
		"no pattern":         {"up: '^UP$'", "up: 7", "awplus.yaml:42:13: a pattern must be text"},
		"a broken prompt":    {`pattern: '(?m)^[\w.\-@/:]{1,63}>`, `pattern: '(?m)^[\w(`, "privilege-levels: exec: error parsing regexp"},
		"no refusals":        {"refused:\n  - '", "#", "refused: is missing"},
		"another name":       {"platform: awplus", "platform: other", "platform: must be awplus"},
		"shut without port":  {"shut: [configure terminal, 'interface {port}'", "shut: [configure terminal", "shut: needs commands, one of them with {port}"},
		"an unknown kind":    {"is: ethernet", "is: ethernets", `types: "ethernets"`},
		"no way to list":     {"(?P<name>", "(?P<nam>", "list: each needs a command, and a match with a group (?P<name>"},
		"no level to end at": {"default-desired-privilege-level: privilege-exec", "default-desired-privilege-level: root", "must be one of privilege-levels"},
	} {
		_, err := cli.Load(own(t, c.old, c.text), "awplus")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := cli.Load(own(t, "x", "x"), "awplus"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"nobody", "../awplus", ""} {
		if _, err := cli.Load("", name); err == nil || !strings.Contains(err.Error(), "awplus") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestNamesThatAreMore: a name that could be more than a name is never typed (S7).
func TestNamesThatAreMore(t *testing.T) {
	for _, name := range []string{"p3;reload", "p3|x", "p3$(x)", "-p3", "p3?", "p3\"", "p3`x`"} {
		sw, config := play(t, "awplus")
		config.PlatformDir = own(t, "like: '^port", "like: '^.?.?.?p")
		if err := sw.RenameDoor(name); err != nil {
			t.Fatal(err)
		}
		d := dial(t, config)
		sw.Sent()
		if _, err := d.Find(t.Context(), switchctl.Lookup{Alias: "vault (3F) #1"}); err == nil {
			t.Errorf("%q was found", name)
		}
		if sent := sw.Sent(); len(sent) != 1 || sent[0] != "show interface" {
			t.Errorf("%q: sent %q", name, sent)
		}
	}
}

// TestNothingAfterARefusal: the switch's own words, and no later command.
func TestNothingAfterARefusal(t *testing.T) {
	sw, config := play(t, "awplus")
	config.PlatformDir = own(t, "'interface {port}', shutdown, end]", "'interface {port}', bogus, shutdown, end]")
	p := find(t, dial(t, config), sw.Door)
	sw.Sent()
	err := p.Set(t.Context(), switchctl.AdminDown)
	if !errors.Is(err, switchctl.ErrRefused) || errors.Is(err, switchctl.ErrTimeout) || !strings.Contains(err.Error(), "% Invalid input detected at '^' marker.") {
		t.Errorf("set: %v", err)
	}
	if sent := strings.Join(sw.Sent(), ","); sent != "show interface port1.0.3,configure terminal,interface port1.0.3,bogus,end" {
		t.Errorf("sent %s", sent)
	}
	if r, err := p.Read(t.Context()); err != nil || r.Row.Admin != switchctl.AdminUp {
		t.Errorf("read %+v, %v", r, err)
	}
}

// TestStateThatIsNotUnderstood is an error, never a guess (S3).
func TestStateThatIsNotUnderstood(t *testing.T) {
	sw, config := play(t, "awplus")
	config.PlatformDir = own(t, "up: '^UP$', down", "up: '^ON$', down")
	p := find(t, dial(t, config), sw.Door)
	if r, err := p.Read(t.Context()); err == nil || !strings.Contains(err.Error(), `"UP"`) {
		t.Errorf("read %+v, %v", r, err)
	}
}
