package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "airlock"

// rooms says what of ours each room may import; tests are free. A room that is not
// here gets a row before it gets code. "…" at the end stands for everything below.
//
// sshconn and smbconn lie below all rooms, and whoever speaks SSH or SMB may use them.
var rooms = map[string][]string{
	"spelling":                  {},
	"mount":                     {},
	"wholefile":                 {},
	"pause":                     {},
	"state":                     {},
	"blob":                      {},
	"notice":                    {},
	"policies":                  {"policies/yamldoc", "spelling", "state"},
	"policies/yamldoc":          {"spelling"}, // knows nothing of hospitals
	"ledger":                    {"ledger/proof"},
	"ledger/proof":              {}, // what an auditor's laptop needs: no database, no cgo
	"ledger/proof/…":            {}, // keys for tests
	"ledger/syslog":             {"pause", "wholefile", "ledger", "ledger/proof"},
	"ledger/stamp":              {"ledger/proof"},
	"ledger/stamp/…":            {"ledger/proof", "ledger/stamp"},
	"silence":                   {},
	"sshconn":                   {"silence"},
	"smbconn":                   {"silence"},
	"lease":                     {"notice", "state"},
	"switchctl":                 {"spelling"},
	"collectors":                {"mount"},
	"vault":                     {"wholefile", "blob", "lease", "silence"},
	"repository":                {"blob", "collectors", "sshconn", "smbconn"},
	"orchestrator/doors/window": {"notice"},
	"orchestrator/doors/patrol": {"switchctl"},
	"orchestrator/doors":        {"pause", "orchestrator/doors/window", "orchestrator/doors/patrol", "notice", "switchctl", "ledger", "policies", "lease", "state"},   // not orchestrator, which asks it
	"orchestrator/custody":      {"notice", "pause", "wholefile", "ledger", "ledger/proof", "ledger/syslog", "ledger/stamp", "ledger/stamp/ask", "policies", "state"}, // not orchestrator, which asks it
	"orchestrator":              {"notice", "pause", "orchestrator/doors", "orchestrator/doors/window", "orchestrator/custody", "blob", "mount", "vault", "repository", "collectors", "switchctl", "ledger", "ledger/proof", "policies", "lease", "spelling", "state", "wholefile"},
	"console":                   {"orchestrator", "ledger", "ledger/proof", "policies", "lease", "state"},
	"audit/report":              {"notice", "orchestrator", "ledger", "ledger/proof"},
	"guard":                     {"notice", "switchctl", "ledger", "policies", "lease", "state"}, // not orchestrator, whose mistakes it is there to catch
	"house":                     {},

	// A driver knows its parent and no other driver. Only cmd and lab, whose names
	// no other row has, choose among them.
	"switchctl/…":            {"switchctl", "switchctl/snmp/wire", "sshconn"},
	"switchctl/snmp/wire":    {},
	"switchctl/switchtest/…": {"switchctl", "switchctl/snmp/wire", "switchctl/switchtest"},
	"collectors/…":           {"collectors", "mount", "silence", "sshconn", "smbconn"},
	"vault/…":                {"blob", "vault", "silence", "sshconn", "smbconn"},
	"vault/server":           {"wholefile", "blob", "vault", "ledger", "lease"}, // what a vault's host keeps by itself

	"cmd/…": {"…"},
	"lab":   {"blob", "policies", "ledger", "ledger/proof", "lease", "sshconn", "smbconn", "switchctl/…", "collectors/…", "vault/…", "repository", "orchestrator/…", "console", "guard", "lab/…"},
	"lab/…": {"blob", "policies", "ledger", "ledger/proof", "lease", "sshconn", "smbconn", "switchctl/…", "collectors/…", "vault/…", "repository", "orchestrator/…", "console", "guard", "lab/…"},
}

// rules are the safety rules that a test has to quote.
var rules = []string{"S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "S13", "S14", "S15", "S16", "S17"}

// Package is what go list tells of one package.
type Package struct {
	ImportPath string
	Dir        string
	Doc        string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
}

func (p Package) room() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// covers reports whether pattern means the room.
func covers(pattern, room string) bool {
	below, all := strings.CutSuffix(pattern, "…")
	return pattern == room || all && strings.HasPrefix(room+"/", below)
}

// row returns the key of the row of rooms that is about the room: its own, or that
// of the nearest room above it.
func row(room string) (string, bool) {
	if _, ok := rooms[room]; ok {
		return room, true
	}
	for above := path.Dir(room); above != "."; above = path.Dir(above) {
		if _, ok := rooms[above+"/…"]; ok {
			return above + "/…", true
		}
	}
	return "", false
}

// misplaced lists the imports that rooms does not allow.
func misplaced(packages []Package) []string {
	var found []string
	for _, p := range packages {
		key, ok := row(p.room())
		if !ok {
			found = append(found, fmt.Sprintf("%s is in no row of rooms", p.ImportPath))
			continue
		}
		for _, i := range p.Imports {
			room, ours := strings.CutPrefix(i, module+"/")
			if ours && !slices.ContainsFunc(rooms[key], func(pattern string) bool { return covers(pattern, room) }) {
				found = append(found, fmt.Sprintf("%s imports %s", p.ImportPath, i))
			}
		}
	}
	return found
}

func TestImportsRunOneWay(t *testing.T) {
	for _, finding := range misplaced(list(t)) {
		t.Errorf("%s; docs/design.md says which way imports run", finding)
	}
}

// What an auditor runs checks, and does nothing else: it has no way to the network, and no
// database, whose C would have to be built for each machine.
func TestAuditorsProgramIsLight(t *testing.T) {
	out, err := command(t, root(t), "go", "list", "-deps", "./cmd/airlock-audit")
	if err != nil {
		t.Fatal(err)
	}
	needed := strings.Fields(out)
	for _, heavy := range []string{"net/http", "crypto/tls", "database/sql", module + "/ledger", module + "/policies", "github.com/spf13/cobra"} {
		if slices.Contains(needed, heavy) {
			t.Errorf("cmd/airlock-audit needs %s", heavy)
		}
	}
	if !slices.Contains(needed, module+"/ledger/stamp") {
		t.Error("cmd/airlock-audit does not check time-stamps")
	}
}

func TestMisplacedImportsAreFound(t *testing.T) {
	for _, c := range []struct {
		importer string
		imports  string
		allowed  bool
	}{
		{"orchestrator", "switchctl", true},
		{"orchestrator", "switchctl/snmp", false},
		{"orchestrator", "console", false},
		{"orchestrator/doors/window", "switchctl", false},
		{"orchestrator/doors/patrol", "orchestrator/doors", false},
		{"orchestrator/doors", "switchctl", true},
		{"orchestrator/doors", "orchestrator", false},
		{"orchestrator/doors", "vault", false},
		{"orchestrator/custody", "ledger", true},
		{"orchestrator/custody", "orchestrator", false},
		{"orchestrator/custody", "orchestrator/doors", false},
		{"guard", "switchctl", true},
		{"guard", "lease", true},
		{"guard", "orchestrator", false},
		{"guard", "orchestrator/doors", false},
		{"guard", "orchestrator/doors/window", false},
		{"switchctl", "switchctl/snmp", false},
		{"switchctl/snmp", "switchctl", true},
		{"switchctl/snmp", "switchctl/cli", false},
		{"switchctl/snmp", "ledger", false},
		{"switchctl/snmp", "switchctl/switchtest", false},
		{"collectors/smb", "collectors", true},
		{"collectors/smb", "repository", false},
		{"collectors/sftp", "sshconn", true},
		{"vault/smb", "smbconn", true},
		{"vault/smb", "collectors/smb", false},
		{"vault", "repository", false},
		{"vault/sftp", "vault", true},
		{"repository", "collectors", true},
		{"repository", "collectors/smb", false},
		{"ledger", "policies", false},
		{"ledger", "ledger/proof", true},
		{"ledger/proof", "ledger", false},
		{"console", "orchestrator", true},
		{"console", "vault", false},
		{"lab/embedded", "switchctl/snmp", true},
		{"lab", "cmd/airlock", false},
		{"cmd/airlock", "switchctl/snmp", true},
		{"attic", "", false},
	} {
		p := Package{ImportPath: module + "/" + c.importer, Imports: []string{"os", module + "/" + c.imports}}
		if c.imports == "" {
			p.Imports = nil
		}
		if got := len(misplaced([]Package{p})) == 0; got != c.allowed {
			t.Errorf("%s imports %s: allowed %v, want %v", c.importer, c.imports, got, c.allowed)
		}
	}
}

// impure lists what a file of the state machine may not have: input, output, clocks.
func impure(fset *token.FileSet, f *ast.File) []string {
	var found []string
	clock := "" // the name by which the file knows package time
	for _, i := range f.Imports {
		imported, _ := strconv.Unquote(i.Path.Value) // the parser has checked the quotes
		switch strings.Split(imported, "/")[0] {
		case "os", "net", "log", "syscall":
			found = append(found, fmt.Sprintf("%s: imports %s", fset.Position(i.Pos()), imported))
		case "time":
			if clock = "time"; i.Name != nil {
				clock = i.Name.Name
			}
		}
	}
	for n := range ast.Preorder(f) {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		if x, ok := s.X.(*ast.Ident); ok && clock != "" && x.Name == clock && slices.Contains(clocks, s.Sel.Name) {
			found = append(found, fmt.Sprintf("%s: %s.%s", fset.Position(s.Pos()), clock, s.Sel.Name))
		}
	}
	return found
}

// clocks are what of package time reads the clock or waits for it.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTicker", "NewTimer"}

func TestWhatJudgesIsPure(t *testing.T) {
	for _, p := range list(t) {
		if !slices.Contains([]string{"orchestrator/doors/window", "orchestrator/doors/patrol"}, p.room()) {
			continue
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Error(err)
				continue
			}
			for _, finding := range impure(fset, f) {
				t.Errorf("%s; time arrives in events, and the executor does the rest", finding)
			}
		}
	}
}

func TestImpurityIsFound(t *testing.T) {
	const source = `package window
import ("fmt"; clock "time"; "net/netip"; "log/slog"; "os")
var _ = fmt.Sprint(clock.Now(), clock.Second, clock.Time{}, netip.Addr{}, slog.Info, os.Args)
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "step.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"step.go:2:30: imports net/netip", "step.go:2:43: imports log/slog", "step.go:2:55: imports os", "step.go:3:20: clock.Now"}
	if got := impure(fset, f); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles)+len(p.CgoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestFormatted(t *testing.T) {
	n := 0
	for name, source := range goFiles(t) {
		n++
		formatted, err := format.Source(source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(formatted, source) {
			t.Errorf("%s is not formatted: gofmt -w %s", name, name)
		}
	}
	if n == 0 {
		t.Error("no Go file was found")
	}
}

func TestVet(t *testing.T) {
	if out, err := command(t, root(t), "go", "vet", "./..."); err != nil {
		t.Errorf("go vet ./...: %v\n%s", err, out)
	}
}

func TestStaticcheck(t *testing.T) {
	program, err := command(t, filepath.Join(root(t), "tools"), "go", "tool", "-n", "staticcheck")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("staticcheck cannot be built: %v", err)
		}
		t.Skipf("staticcheck cannot be built: %v", err)
	}
	if out, err := command(t, root(t), strings.TrimSpace(program), "./..."); err != nil {
		t.Errorf("staticcheck ./...: %v\n%s", err, out)
	}
}

// quoted are the safety rules that a comment of source quotes, as "// S4: …".
func quoted(source []byte) map[string]bool {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)//[^\n]*?\b(S[1-9][0-9]?): +\S`).FindAllSubmatch(source, -1) {
		found[string(m[1])] = true
	}
	return found
}

func TestEverySafetyRuleIsQuoted(t *testing.T) {
	found := map[string]bool{}
	for name, source := range goFiles(t) {
		if strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "house"+string(filepath.Separator)) {
			maps.Copy(found, quoted(source))
		}
	}
	for _, rule := range rules {
		if !found[rule] {
			t.Errorf("no test quotes %s; the test that holds it has a comment \"// %s: …\"", rule, rule)
		}
	}
}

func TestQuotesAreFound(t *testing.T) {
	source := []byte("// S1: A door is opened only after its intent.\nx() // see S2: …\n// S3 holds\n// S4:\n\"S5: no comment\"\n")
	if got := slices.Sorted(maps.Keys(quoted(source))); !slices.Equal(got, []string{"S1", "S2"}) {
		t.Errorf("found %v, want S1 and S2", got)
	}
}

// root is the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// list asks go list for every package of ours.
func list(t *testing.T) []Package {
	t.Helper()
	out, err := command(t, root(t), "go", "list", "-e", "-json=ImportPath,Dir,Doc,GoFiles,CgoFiles,Imports", "./...")
	if err != nil {
		t.Fatal(err)
	}
	var packages []Package
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var p Package
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		t.Fatal("go list found no package")
	}
	return packages
}

// goFiles returns the source of every Go file by its name below the root.
func goFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	dir := root(t)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != dir && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, name)
		files[below] = source
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// command runs a program in dir and returns what it said; an error includes what it
// complained of.
func command(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, complaints.String())
	}
	return string(out), err
}
