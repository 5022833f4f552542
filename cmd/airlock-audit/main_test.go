package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"
	"airlock/ledger/stamp"
	"airlock/ledger/stamp/ask"
	"airlock/ledger/stamp/stamptest"
)

// evidence is what an auditor is given.
type evidence struct{ file, key, keyFile, head, ca string }

func newEvidence(t *testing.T) evidence {
	t.Helper()
	dir := t.TempDir()
	keys := notetest.New(t, "kitano")
	signer, public := keys.Signer, keys.Public
	var file bytes.Buffer
	x, err := proof.NewWriter(&file, proof.Header{Site: "kitano", Made: time.Now(), By: "test"}, public)
	if err != nil {
		t.Fatal(err)
	}
	var tree proof.Edge
	for seq := range int64(50) {
		at := time.Date(2026, 3, 1, 0, 0, int(seq), 0, time.UTC)
		e := proof.Entry{Version: 2, Seq: seq + 1, Time: at, Recorded: at, Kind: proof.KindGather, Actor: "schedule", Clock: proof.ClockFree}
		leaf, err := proof.AppendLeaf(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		tree.Add(proof.LeafHash(leaf))
		if err := x.Entry(&e); err != nil {
			t.Fatal(err)
		}
	}
	head, err := proof.SignHead(tree.Size(), tree.Root(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Head(head); err != nil {
		t.Fatal(err)
	}
	authority := stamptest.New(t)
	roots, err := stamp.Authorities(authority.CA)
	if err != nil {
		t.Fatal(err)
	}
	token, at, err := ask.Authority(t.Context(), http.DefaultClient, authority.URL, head, roots)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Stamp(proof.Stamp{Head: head, At: at, Token: token}); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	e := evidence{filepath.Join(dir, "ledger.jsonl.zst"), public, filepath.Join(dir, "site.pub"), filepath.Join(dir, "head"), authority.CA}
	for name, data := range map[string]string{e.file: file.String(), e.keyFile: public + "\n", e.head: head.Note} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func TestVerify(t *testing.T) {
	e, other := newEvidence(t), newEvidence(t)
	cut := filepath.Join(t.TempDir(), "cut")
	data, err := os.ReadFile(e.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, data[:len(data)-30], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"with the key":          {[]string{"verify", e.file, "--key", e.key}, sound, "no head from elsewhere was given"},
		"and a head":            {[]string{"verify", "--key", e.keyFile, e.file, "--head", e.head}, sound, "1 heads given; entries 1 to 50"},
		"as JSON":               {[]string{"verify", "--json", "--key", e.keyFile, e.file}, sound, `"sound":true`},
		"stamps, not believed":  {[]string{"verify", e.file, "--key", e.key}, sound, "1, none checked"},
		"stamps, believed":      {[]string{"verify", e.file, "--key", e.key, "--ca", e.ca}, sound, "over 50 entries, by CN=test stamps"},
		"another's stamps":      {[]string{"verify", e.file, "--key", e.key, "--ca", other.ca}, failed, "FINDING      the time-stamp of the head of 50 entries"},
		"no authority":          {[]string{"verify", e.file, "--key", e.key, "--ca", e.keyFile}, failed, "no certificate"},
		"with another key":      {[]string{"verify", e.file, "--key", other.key}, failed, "NOT VERIFIED: 1 findings"},
		"another ledger's head": {[]string{"verify", e.file, "--key", e.key, "--head", other.head}, failed, "--head"},
		"cut":                   {[]string{"verify", cut, "--key", e.key}, failed, "NOT VERIFIED: the file could not be read to its end"},
		"no file":               {[]string{"verify", "missing", "--key", e.key}, failed, "missing"},
		"no export":             {[]string{"verify", e.keyFile, "--key", e.key}, failed, "no export of a ledger"},
		"no key":                {[]string{"verify", e.file}, misuse, "--key"},
		"no such key":           {[]string{"verify", e.file, "--key", "nonsense"}, failed, "no public key"},
		"two files":             {[]string{"verify", e.file, e.file, "--key", e.key}, misuse, "name one FILE"},
		"no such option":        {[]string{"verify", e.file, "--hed", "x"}, misuse, "hed"},
		"no such command":       {[]string{"list"}, misuse, `no command "list"`},
		"nothing":               {nil, sound, "usage:"},
		"help":                  {[]string{"--help"}, sound, "usage:"},
		"version":               {[]string{"version"}, sound, "airlock-audit"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), c.args, &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit code %d, want %d and %q; it says\n%s", name, code, c.code, c.want, out.String())
		}
	}
	var out, complaints bytes.Buffer
	run(t.Context(), []string{"verify", "--json", "--key", e.key, cut}, &out, &complaints)
	var told struct{ Sound, Whole bool }
	if err := json.Unmarshal(out.Bytes(), &told); err != nil || told.Sound || told.Whole || complaints.Len() == 0 {
		t.Errorf("of a cut file it says %s and %s, %v", out.String(), complaints.String(), err)
	}
}

// An auditor's laptop has neither a C compiler nor Linux.
func TestBuildsWithoutC(t *testing.T) {
	if testing.Short() {
		t.Skip("builds whole programs")
	}
	for _, system := range []string{"windows/amd64", "darwin/arm64", "linux/amd64"} {
		target := strings.Split(system, "/")
		program := filepath.Join(t.TempDir(), "airlock-audit")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+target[0], "GOARCH="+target[1])
		if out, err := build.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", system, err, out)
		} else if system == "linux/amd64" {
			e := newEvidence(t)
			if out, err := exec.CommandContext(t.Context(), program, "verify", e.file, "--key", e.key, "--head", e.head).CombinedOutput(); err != nil || !strings.Contains(string(out), "result       verified\n") {
				t.Errorf("%v\n%s", err, out)
			}
		}
	}
}

// The proof that a ledger was put back stands by itself, on that laptop as well.
func TestContradiction(t *testing.T) {
	keys := notetest.New(t, "kitano")
	key, public := keys.Signer, keys.Public
	head, err := proof.SignHead(50, proof.Hash{1}, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := proof.SignContradiction(&proof.Conflict{Head: head, Size: 20, Root: proof.Hash{2}}, "vault secondary", time.Now(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ledger-50.proof")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	other := newEvidence(t)
	for name, c := range map[string]struct{ key, want string }{
		"with the key": {public, "proven       the ledger had 50 entries when vault secondary was given its head, and 20 on"}, "with another": {other.key, "no proof of a contradiction"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), []string{"verify", file, "--key", c.key}, &out, &out); code != failed || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit code %d; it says\n%s", name, code, out.String())
		}
	}
}
