package policies_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // bare machines have none

	"airlock/policies"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files and the schema anew")

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	return files
}

func mustParse(t testing.TB, file string) *policies.Policy {
	t.Helper()
	p, err := policies.Parse(filepath.Base(file), read(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// golden compares got with the file, or writes it with -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := read(t, file); !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

func TestMistakes(t *testing.T) {
	for _, file := range glob(t, "testdata/bad/*.yaml") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			p, err := policies.Parse(filepath.Base(file), read(t, file))
			if _, ok := errors.AsType[policies.Mistakes](err); !ok || p != nil {
				t.Fatalf("got %v, %v; want Mistakes", p, err)
			}
			// S13: the files have this one secret, in every place where a person might write it.
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2@") {
				t.Errorf("the secret is shown:\n%v", err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", []byte(err.Error()+"\n"))
		})
	}
}

func TestExamplesParse(t *testing.T) {
	for _, file := range glob(t, "../examples/*.yaml") {
		if filepath.Base(file) != "vault.yaml" {
			mustParse(t, file)
		}
	}
	if _, err := policies.ParseVaultHost("vault.yaml", exampleVault(t)); err != nil {
		t.Error(err)
	}
}

func TestLineEndsAndByteOrderMark(t *testing.T) {
	data := read(t, "testdata/good/every-key.yaml")
	for name, form := range map[string][]byte{
		"byte-order mark": append([]byte("\ufeff"), data...),
		"CRLF":            bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")),
		"CR":              bytes.ReplaceAll(data, []byte("\n"), []byte("\r")),
	} {
		if _, err := policies.Parse(name, form); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := policies.Parse("f", []byte("\ufeffsite: lab\r\nstat: 1\r\n"))
	if err == nil || !strings.Contains(err.Error(), "f:2:1: unknown key \"stat\"") {
		t.Errorf("positions moved: %v", err)
	}
}

func TestSizeLimit(t *testing.T) {
	_, err := policies.Parse("f", bytes.Repeat([]byte("#"), 1<<20+1))
	if err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestDefaults(t *testing.T) {
	p := mustParse(t, "testdata/good/every-key.yaml")
	def := policies.Keep{Last: 10, Daily: 14, Weekly: 8, Monthly: 12}
	old, imaging := p.Doors["old-door"], p.Systems["imaging"]
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"open_within", old.OpenWithin, policies.Duration(30 * time.Second)},
		{"prove_within", old.ProveWithin, policies.Duration(time.Minute)},
		{"given open_within", p.Doors["vault-door"].OpenWithin, policies.Duration(20 * time.Second)},
		{"concurrency", imaging.Limits.Concurrency, 4},
		{"bandwidth", imaging.Limits.Bandwidth, policies.Rate(0)},
		{"system's keep", imaging.Keep, def},
		{"vault's keep", p.Vaults["mounted"].Keep, def},
		{"given keep", p.Systems["accounting"].Keep, policies.Keep{Last: 3, Daily: 7, Weekly: 4}},
		{"port called by a number", old.Port.Name, "10"},
		{"cli's port", p.Switches["core-cli"].Address, "10.78.0.1:22"},
		{"patrol", p.Patrol, policies.Patrol{Every: policies.Duration(30 * time.Second), Misses: 5}},
		{"no patrol", mustParse(t, "../examples/airlock.yaml").Patrol, policies.Patrol{Every: policies.Duration(time.Minute), Misses: 3}},
		{"traps' port", p.Traps.Listen, "10.78.0.10:162"},
		{"traps of an snmp switch", p.TrapSenders()["core"], policies.TrapSender{From: "10.78.0.1", SNMP: p.Switches["core"].SNMP}},
		{"traps with their own user", p.TrapSenders()["core-cli"].From + " " + p.TrapSenders()["core-cli"].SNMP.User, "10.78.0.254 traps"},
		{"syslog", *p.Ledger.Syslog, policies.Syslog{URL: "tls://siem.example.org:6514", CA: "/etc/airlock/siem-ca.pem", Facility: "local3", AlarmAfter: policies.Duration(30 * time.Minute)}},
		{"no syslog", mustParse(t, "../examples/airlock.yaml").Ledger.Syslog, (*policies.Syslog)(nil)},
		{"time-stamps", *p.Ledger.Timestamps, policies.Timestamps{URL: "http://tsa.example.org/rfc3161", CA: "/etc/airlock/tsa-ca.pem", Every: policies.Duration(12 * time.Hour)}},
		{"guard's interval", p.Guard.Interval, policies.Duration(2 * time.Second)},
		{"guard's own way", p.Guard.Switches["core-cli"].Address, "10.78.0.1:22"},
		{"fallback's port", p.Doors["vault-door"].FallbackPort.Name, "swp3"},
		{"fallback without a port", p.Doors["departments-door"].FallbackPort.Name, "p1"},
		{"no fallback", old.FallbackPort, policies.Port{}},
		{"guard", mustParse(t, "../examples/airlock.yaml").Guard, guarded(5*time.Second, 15*time.Second, "/var/lib/airlock/guard/ledger.db")},
		{"version", p.Switches["core"].SNMP.Version, "3"},
		{"state", string(p.State), "/var/lib/airlock"},
		{"title", imaging.Title, "画像診断"},
		{"path", imaging.Source.URL.Path, "/srv/画像 2026%25"},
		{"IPv6", p.Repository.URL.Address(), "[fd00::12]:2222"},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
}

func guarded(interval, ttl time.Duration, ledger string) policies.Guard {
	return policies.Guard{Interval: policies.Duration(interval), LeaseTTL: policies.Duration(ttl), Ledger: ledger}
}

// Lines of the template that begin with # and no single space are examples.
var exampleLine = regexp.MustCompile(`(?m)^#(\S|  )`)

func TestTemplateParses(t *testing.T) {
	text := policies.Template("lab-hospital")
	p, err := policies.Parse("template", text)
	if err != nil || p.Site != "lab-hospital" {
		t.Fatalf("as it stands: %v, %v", p, err)
	}
	p, err = policies.Parse("template", exampleLine.ReplaceAll(text, []byte("$1")))
	if err != nil {
		t.Fatalf("with its examples: %v", err)
	}
	if len(p.Systems) != 3 || len(p.Vaults) != 1 || len(p.Doors) != 2 || len(p.Switches) != 2 || p.Status.Listen == "" {
		t.Errorf("not all examples were taken: %+v", p)
	}
}

func TestSchemaIsCurrent(t *testing.T) {
	got, err := policies.Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "airlock.schema.json", got)
	if got, err = policies.VaultSchema(); err != nil {
		t.Fatal(err)
	}
	golden(t, "vault.schema.json", got)
}

// Parse promises mistakes that lie within the file, and no panic.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.yaml", "../examples/*.yaml"} {
		for _, file := range glob(f, pattern) {
			f.Add(read(f, file))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policies.Parse("f", data)
		if err == nil {
			if p == nil {
				t.Fatal("neither a policy nor an error")
			}
			now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			p.Plan(now, now.Add(time.Hour))
			return
		}
		all, ok := errors.AsType[policies.Mistakes](err)
		if !ok || len(all) == 0 || p != nil {
			t.Fatalf("got %v, %v", p, err)
		}
		text := strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n"), "\r", "\n")
		lines := strings.Split(text, "\n")
		for i, m := range all {
			if m.Line < 1 || m.Line > len(lines) || m.Column < 1 || m.Column > len([]rune(lines[m.Line-1]))+1 {
				t.Errorf("%d:%d is not in the file: %v", m.Line, m.Column, m)
			}
			if m.What == "" || m.Fix == "" || !strings.HasSuffix(m.Excerpt, "^") {
				t.Errorf("a mistake without its parts: %+v", m)
			}
			if i > 0 && (m.Line < all[i-1].Line || m.Line == all[i-1].Line && m.Column < all[i-1].Column) {
				t.Errorf("out of order: %v", all)
			}
		}
	})
}

// S13: a secret that was written into the file is in no message, in whatever place
// and form it was written, whatever else is wrong with the file.
func TestLiteralSecretIsNeverShown(t *testing.T) {
	const secret = "hunter2"
	lines := strings.Split(string(read(t, "testdata/good/every-key.yaml")), "\n")
	secretKey := regexp.MustCompile(`(password|passphrase|key|community|enable): (\{(?:file|env): [^}]*\})`)
	var places []int
	for i, line := range lines {
		if secretKey.MatchString(line) {
			places = append(places, i)
		}
	}
	forms := rapid.SampledFrom([]string{
		secret, `"` + secret + `"`, "'" + secret + " x'", "[" + secret + "]", "{value: " + secret + "}", "{file: " + secret + "}",
		"{env: '" + secret + "!'}", "|\n          " + secret + "\n          " + secret, ">-\n          x\n\n          " + secret, "\n          " + secret,
		"&a " + secret, "!tag " + secret, "*" + secret, "&" + secret, "!" + secret, "@" + secret, "%" + secret, `"` + secret, "'" + secret, "{" + secret, "[" + secret,
		"x: " + secret, "{a: {b: [" + secret + "]}}", "x # " + secret, `"x\n` + "\n          " + secret + `"`, "{env: A} # " + secret, "x, user: " + secret, "\n          - " + secret,
	})
	corruptions := rapid.SampledFrom([]string{"", "", "\t", "}", "]", ": ", `"`, "- ", "&x ", "　", "x", " ", "{", "\n", "#", "：", "---\n", "? "})
	rapid.Check(t, func(t *rapid.T) {
		file := append([]string(nil), lines...)
		for range rapid.IntRange(1, 3).Draw(t, "secrets") {
			i := rapid.SampledFrom(places).Draw(t, "line")
			found := secretKey.FindStringSubmatch(file[i])
			if found == nil {
				continue
			}
			name := rapid.SampledFrom([]string{found[1], found[1], found[1] + "s", "pasword", "secret"}).Draw(t, "key")
			file[i] = strings.Replace(file[i], found[0], name+": "+forms.Draw(t, "form"), 1)
		}
		for range rapid.IntRange(0, 2).Draw(t, "corruptions") {
			i := rapid.IntRange(0, len(file)-1).Draw(t, "corrupt")
			if strings.Contains(file[i], secret) { // what is cut out of its key is no longer known as a secret
				continue
			}
			at := rapid.IntRange(0, len(file[i])).Draw(t, "at")
			file[i] = strings.ToValidUTF8(file[i][:at]+corruptions.Draw(t, "with")+file[i][at:], "")
		}
		text := strings.Join(file, "\n")
		_, err := policies.Parse("f", []byte(text))
		if err == nil {
			return // a comment
		}
		if strings.Contains(err.Error(), secret) {
			t.Fatalf("the secret is shown:\n%v\n\nin:\n%s", err, text)
		}
	})
}
