package policies_test

import (
	"encoding"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/policies"

	"pgregory.net/rapid"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"26h": 26 * time.Hour, "45m": 45 * time.Minute, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour,
		"1w2d": 9 * 24 * time.Hour, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond, "1m1s": 61 * time.Second,
	} {
		var d policies.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%s: got %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "30", "0s", "-5m", "+5m", "1y", "h", "1 h", "5 m", "1e3s", "99999999999999999999d", "1000w1000000w", "１h", "0.0000000001ms"} {
		var d policies.Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %v", text, d)
		}
	}
}

func TestDurationIsWrittenAsItIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := policies.Duration(rapid.Int64Range(1, 1e6).Draw(t, "ms") * int64(time.Millisecond))
		var back policies.Duration
		if err := back.UnmarshalText([]byte(d.String())); err != nil || back != d {
			t.Fatalf("%s read back as %v, %v", d, back, err)
		}
	})
	if got := policies.Duration(90 * time.Minute).String(); got != "1h30m" {
		t.Errorf("got %s", got)
	}
}

func TestRate(t *testing.T) {
	for text, want := range map[string]int64{
		"40MB/s": 40e6, "10MiB/s": 10 << 20, "300Mbit/s": 37.5e6, "1GB/s": 1e9, "1.5 MB/s": 1.5e6, "512KiB/s": 512 << 10,
		"800kB/s": 8e5, "1Gbit/s": 125e6, "7B/s": 7,
	} {
		var r policies.Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || int64(r) != want {
			t.Errorf("%s: got %d, %v", text, r, err)
		}
		var back policies.Rate
		if err := back.UnmarshalText([]byte(r.String())); err != nil || back != r {
			t.Errorf("%s is written as %s", text, r)
		}
	}
	for _, text := range []string{"", "40", "40MB", "40Mbps", "0MB/s", "0.1B/s", "-1MB/s", "9999999999999999GB/s", "40mb/s"} {
		var r policies.Rate
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %d", text, r)
		}
	}
}

func TestURL(t *testing.T) {
	for _, c := range []struct {
		text    string
		want    policies.URL
		address string
		written string // "" where it is the text
	}{
		{"file:///mnt/nas/airlock", policies.URL{Scheme: "file", Path: "/mnt/nas/airlock"}, "", ""},
		{"file:///mnt//nas/./a b/", policies.URL{Scheme: "file", Path: "/mnt/nas/a b"}, "", "file:///mnt/nas/a b"},
		{"sftp://svc@10.77.0.11/srv/imaging", policies.URL{Scheme: "sftp", User: "svc", Host: "10.77.0.11", Port: 22, Path: "/srv/imaging"}, "10.77.0.11:22", ""},
		{"sftp://svc@[fd00::1]:2222/srv", policies.URL{Scheme: "sftp", User: "svc", Host: "fd00::1", Port: 2222, Path: "/srv"}, "[fd00::1]:2222", ""},
		{"sftp://svc@[fd00::1]/srv", policies.URL{Scheme: "sftp", User: "svc", Host: "fd00::1", Port: 22, Path: "/srv"}, "[fd00::1]:22", ""},
		{"smb://svc-backup@10.77.0.11/backup$/accounting", policies.URL{Scheme: "smb", User: "svc-backup", Host: "10.77.0.11", Port: 445, Share: "backup$", Path: "accounting"}, "10.77.0.11:445", ""},
		{"smb://svc@nas.example.org:1445/共有/医事会計 #1?", policies.URL{Scheme: "smb", User: "svc", Host: "nas.example.org", Port: 1445, Share: "共有", Path: "医事会計 #1?"}, "nas.example.org:1445", ""},
		{"smb://svc@nas/backup$", policies.URL{Scheme: "smb", User: "svc", Host: "nas", Port: 445, Share: "backup$"}, "nas:445", ""},
		{"smb://HOSPITAL;svc@nas/a", policies.URL{Scheme: "smb", Domain: "HOSPITAL", User: "svc", Host: "nas", Port: 445, Share: "a"}, "nas:445", ""},
		{`smb://HOSPITAL\svc@nas/a`, policies.URL{Scheme: "smb", Domain: "HOSPITAL", User: "svc", Host: "nas", Port: 445, Share: "a"}, "nas:445", "smb://HOSPITAL;svc@nas/a"},
		{"sftp://svc%40hospital@nas/%E5%8C%BB%20%25", policies.URL{Scheme: "sftp", User: "svc@hospital", Host: "nas", Port: 22, Path: "/医 %"}, "nas:22", "sftp://svc%40hospital@nas/医 %25"},
	} {
		var u policies.URL
		if err := u.UnmarshalText([]byte(c.text)); err != nil || u != c.want {
			t.Errorf("%s: got %+v, %v", c.text, u, err)
			continue
		}
		if c.written == "" {
			c.written = c.text
		}
		if u.String() != c.written || u.Address() != c.address {
			t.Errorf("%s: written as %s, address %s", c.text, u, u.Address())
		}
	}
}

// S13: whatever is wrong with a URL, the error does not quote it, for it may hold a password.
func TestRefusedURLIsNotQuoted(t *testing.T) {
	for _, text := range []string{
		"sftp://svc:hunter2@nas/x", "smb://svc:hunter2@nas/x", "sftp://svc:hun/hunter2@nas/x", "svc:hunter2@nas/x", "https://svc:hunter2@nas/x",
		"file://svc:hunter2@nas/x", "sftp://svc@nas:hunter2/x", "sftp://svc@hunter2:/x", "sftp://svc@hunter2!/x", "sftp://svc@nas/hunter2%", "sftp://svc@nas/hunter2%zz",
		"sftp://svc@nas/hunter2/..", "sftp://svc@10.78.0.300/hunter2", "sftp://svc@10.78.0/hunter2", "sftp://svc@[hunter2]/x", "sftp://svc@nas/hunter2%00", "sftp://hunter2/x", "sftp://svc@nas:0/hunter2", "sftp://svc@nas:+22/hunter2",
		"sftp://svc@nas:70000/hunter2", `smb://svc@nas/hunter2\x`, "sftp://svc@nas%hunter2/", "sftp://@hunter2/x", "smb://D;@nas/hunter2",
	} {
		var u policies.URL
		err := u.UnmarshalText([]byte(text))
		if err == nil {
			t.Errorf("%s was taken as %+v", text, u)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s is quoted: %v", text, err)
		}
	}
}

func TestURLIsWrittenAsItIsRead(t *testing.T) {
	name := rapid.StringMatching(`[a-zA-Z0-9$%@:;?#  .医事_-]{0,8}[a-z医%$]`)
	rapid.Check(t, func(t *rapid.T) {
		u := policies.URL{Scheme: rapid.SampledFrom([]string{"file", "sftp", "smb"}).Draw(t, "scheme")}
		u.Path = strings.Join(rapid.SliceOfN(name, 1, 4).Draw(t, "path"), "/")
		if u.Scheme != "smb" {
			u.Path = "/" + u.Path
		}
		if u.Scheme != "file" {
			u.Host = rapid.SampledFrom([]string{"nas", "10.0.0.1", "fd00::1", "a-b.example"}).Draw(t, "host")
			u.Port = rapid.IntRange(1, 65535).Draw(t, "port")
			u.User = name.Draw(t, "user")
		}
		if u.Scheme == "smb" {
			u.Share = name.Draw(t, "share")
			u.Domain = strings.ReplaceAll(rapid.SampledFrom([]string{"", "D", "医"}).Draw(t, "domain"), ";", "")
		}
		var back policies.URL
		if err := back.UnmarshalText([]byte(u.String())); err != nil || back != u {
			t.Fatalf("%+v is written %s and read back as %+v, %v", u, u, back, err)
		}
	})
}

func TestClockRange(t *testing.T) {
	for _, c := range []struct{ text, inside, outside string }{
		{"08:30-17:30", "08:30 12:00 17:29", "08:29 17:30 00:00"},
		{"22:00-05:30", "22:00 23:59 00:00 05:29", "05:30 12:00 21:59"},
		{"00:00-24:00", "00:00 12:00 23:59", ""},
		{"20:00-24:00", "20:00 23:59", "00:00 19:59"},
		{"20:00-00:00", "20:00 23:59", "00:00 19:59"},
	} {
		var r policies.ClockRange
		if err := r.UnmarshalText([]byte(c.text)); err != nil || r.String() != c.text {
			t.Fatalf("%s: got %v, %v", c.text, r, err)
		}
		for want, list := range map[bool]string{true: c.inside, false: c.outside} {
			for _, clock := range strings.Fields(list) {
				at, err := time.Parse("15:04", clock)
				if err != nil {
					t.Fatal(err)
				}
				if r.Contains(at) != want {
					t.Errorf("%s contains %s: got %v", c.text, clock, !want)
				}
			}
		}
	}
}

func TestQuiet(t *testing.T) {
	p, err := policies.Parse("f", []byte(`
site: lab
timezone: Europe/Berlin
state: /s
repository: {url: file:///r, passphrase: {env: P}}
systems:
  a:
    source: {url: file:///a}
    schedule: "@hourly"
    limits: {quiet_hours: ["08:00-12:00", "12:00-13:00", "22:00-02:30", "14:00-14:01"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ now, until string }{
		{"2026-06-01T07:59:59+02:00", ""},
		{"2026-06-01T08:00:00+02:00", "2026-06-01T13:00:00+02:00"},
		{"2026-06-01T06:00:00Z", "2026-06-01T13:00:00+02:00"}, // the site's zone, not now's
		{"2026-06-01T13:00:00+02:00", ""},
		{"2026-06-01T23:00:00+02:00", "2026-06-02T02:30:00+02:00"},
		{"2026-06-02T01:00:00+02:00", "2026-06-02T02:30:00+02:00"},
		{"2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"}, // 02:30 is skipped
		{"2026-10-25T02:15:00+02:00", "2026-10-25T02:30:00+02:00"}, // 02:30 comes twice
		{"2026-10-25T02:15:00+01:00", "2026-10-25T02:30:00+01:00"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		until, quiet := p.Systems["a"].Quiet(now)
		if got := until.Format(time.RFC3339); quiet != (c.until != "") || quiet && got != c.until {
			t.Errorf("%s: got %v until %s, want %s", c.now, quiet, got, c.until)
		}
	}
}

func TestSecretFromFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ content, want string }{
		"plain": {"hunter2", "hunter2"}, "newline": {"hunter2\n", "hunter2"}, "windows": {"hunter2\r\n", "hunter2"},
		"two newlines": {"hunter2\n\n", "hunter2\n"}, "spaces": {" hunter2 ", " hunter2 "}, "key": {"-----\nabc\n-----\n", "-----\nabc\n-----"},
	} {
		got, err := policies.Secret{File: file(name, c.content, 0o600)}.Read()
		if err != nil || got != c.want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for want, path := range map[string]string{
		"chmod 600 ":            file("group", "hunter2", 0o640),
		"mode 0604":             file("others", "hunter2", 0o604),
		"is empty":              file("empty", "\n", 0o400),
		"larger than 64 KiB":    file("large", strings.Repeat("hunter2", 10000), 0o600),
		"does not exist":        filepath.Join(dir, "nowhere"),
		"is not a regular file": dir,
	} {
		got, err := policies.Secret{File: path}.Read()
		if err == nil || got != "" || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %q, %v", want, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("S13: %v", err)
		}
	}
}

func TestSecretFromEnvironment(t *testing.T) {
	t.Setenv("AIRLOCK_TEST_SECRET", "hunter2\n")
	if got, err := (policies.Secret{Env: "AIRLOCK_TEST_SECRET"}).Read(); err != nil || got != "hunter2\n" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, s := range []policies.Secret{{Env: "AIRLOCK_TEST_UNSET"}, {}} {
		if _, err := s.Read(); err == nil || !strings.Contains(err.Error(), s.Env) {
			t.Errorf("%v: %v", s, err)
		}
	}
	if got := fmt.Sprintf("%v %v", policies.Secret{Env: "A"}, &policies.Secret{File: "/a"}); got != "environment variable A file /a" {
		t.Errorf("got %s", got)
	}
}

// Each leaf's written form is what JSON shows.
var (
	_ encoding.TextMarshaler = policies.URL{}
	_ encoding.TextMarshaler = policies.Duration(0)
	_ encoding.TextMarshaler = policies.Rate(0)
	_ encoding.TextMarshaler = policies.Schedule{}
	_ encoding.TextMarshaler = policies.Zone{}
	_ encoding.TextMarshaler = policies.ClockRange{}
)
