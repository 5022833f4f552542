package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/lease"
	"airlock/notice"
	"airlock/orchestrator"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// told is a Source that tells what it was given.
type told struct {
	status orchestrator.Status
	err    error
}

func (t *told) Status(context.Context) (orchestrator.Status, error) { return t.status, t.err }

// night is a site on which all is well.
func night() orchestrator.Status {
	at := time.Date(2026, 11, 21, 2, 30, 0, 0, time.FixedZone("JST", 9*3600))
	return orchestrator.Status{
		Site: "test-hospital", Time: at, Version: "v1", Serving: true,
		Doors: map[string]orchestrator.DoorStatus{
			"vault-door":       {State: "shut", Since: at, Proof: "ifAdminStatus 2", Rests: "shut", Vault: "secondary"},
			"departments-door": {State: "open", Since: at, Proof: "ifAdminStatus 1", Rests: "open", Vault: "secondary"},
		},
		Systems: map[string]orchestrator.SystemStatus{
			"accounting": {Title: "医事会計", LastSuccess: &at, LastResult: "done", RPOMet: true, Snapshots: 3, NextRun: at.Add(time.Hour)},
		},
		Vaults: map[string]orchestrator.VaultStatus{
			"secondary": {LastWindow: &orchestrator.WindowRecord{
				ID: "w1", Result: "done", OpenedAt: at, ShutAt: at.Add(time.Second), ProvenAt: at.Add(2 * time.Second),
				Exposure: 1.5, Wire: 0.25, Blobs: 7, Bytes: 9000,
			}, NextWindow: at.AddDate(0, 0, 1), Generations: 12},
		},
		Ledger: orchestrator.LedgerStatus{Entries: 42},
		Guard: &orchestrator.GuardStatus{HeardAt: at, Age: 2.5, PID: 7, Doors: map[string]lease.Look{
			"vault-door": {At: at, State: "shut", Way: "core", Lease: "door vault-door has no lease"},
		}},
		Running: []orchestrator.Progress{}, Alarms: []orchestrator.Alarm{},
	}
}

func get(t *testing.T, h http.Handler, method, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

// keysOf lists the keys of a JSON value as paths; a name that the policy file gives is *.
func keysOf(prefix string, v any, named bool) []string {
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(object)) {
		path := prefix + "." + key
		if named {
			path = prefix + ".*"
		} else {
			all = append(all, path)
		}
		all = append(all, keysOf(path, object[key], path == ".doors" || path == ".guard.doors" || path == ".systems" || path == ".vaults")...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// The monitoring center reads these: fields are added, never renamed.
func TestStatusKeepsItsContract(t *testing.T) {
	code, body := get(t, Handler(&told{status: night()}), "GET", "/v1/status")
	if code != http.StatusOK {
		t.Fatalf("status %d: %s", code, body)
	}
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	got := keysOf("", v, false)
	for _, want := range strings.Fields(`.site .time
		.doors .doors.*.state .doors.*.since .doors.*.proof
		.systems .systems.*.last_success .systems.*.last_error .systems.*.rpo_met .systems.*.snapshots .systems.*.next_run
		.vaults .vaults.*.last_window .vaults.*.last_window.id .vaults.*.last_window.result .vaults.*.last_window.opened_at
		.vaults.*.last_window.shut_at .vaults.*.last_window.exposure_seconds .vaults.*.last_window.blobs .vaults.*.last_window.bytes
		.vaults.*.next_window .vaults.*.generations
		.guard .guard.heard_at .guard.age_seconds .guard.doors .guard.doors.*.at .guard.doors.*.state
		.ledger .ledger.entries .ledger.root .ledger.verified_at`) {
		if !slices.Contains(got, want) {
			t.Errorf("the status lacks %s; it has %s", want, strings.Join(got, " "))
		}
	}
	if !strings.Contains(body, `"time": "2026-11-21T02:30:00+09:00"`) || !strings.Contains(body, "医事会計") {
		t.Errorf("times are RFC 3339 with their zone, and titles as they are written:\n%s", body)
	}
}

func TestHealthz(t *testing.T) {
	long := time.Date(2026, 11, 1, 22, 15, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*told)
		code   int
		says   string
	}{
		"well":             {func(*told) {}, 200, "ok"},
		"window open":      {func(s *told) { s.door("vault-door", "open"); s.pass("window secondary") }, 200, "ok"},
		"window shutting":  {func(s *told) { s.door("vault-door", "shutting"); s.pass("window secondary") }, 200, "ok"},
		"found open":       {func(s *told) { s.door("vault-door", "open") }, 503, "CRITICAL: door vault-door is open"},
		"another window":   {func(s *told) { s.door("vault-door", "open"); s.pass("window tertiary") }, 503, "vault-door is open"},
		"stuck in window":  {func(s *told) { s.door("vault-door", "stuck"); s.pass("window secondary") }, 503, "vault-door is stuck"},
		"unknown":          {func(s *told) { s.door("departments-door", "unknown") }, 503, "departments-door is unknown"},
		"nobody shuts it":  {func(s *told) { s.door("vault-door", "shutting"); s.status.Serving = false }, 503, "vault-door is shutting"},
		"ledger":           {func(s *told) { s.status.Ledger.Error = "disk full" }, 503, "CRITICAL: ledger: disk full"},
		"no guard":         {func(s *told) { s.status.Guard.Missing = "no guard was heard of for 1m0s" }, 503, "CRITICAL: no guard was heard of for 1m0s"},
		"never a guard":    {func(s *told) { s.status.Guard = &orchestrator.GuardStatus{Missing: "no guard was heard of yet"} }, 200, "WARNING: no guard was heard of yet"},
		"no executor":      {func(s *told) { s.status.Guard.Missing, s.status.Serving = "no guard was heard of", false }, 503, "CRITICAL: neither an executor nor a guard runs"},
		"overdue":          {func(s *told) { s.overdue("") }, 503, "CRITICAL: the guard reads door vault-door as open, without leave (stuck)"},
		"overdue long ago": {func(s *told) { s.overdue("no guard was heard of for 1m0s") }, 503, "CRITICAL: no guard was heard of for 1m0s\n"},
		"nothing to guard": {func(s *told) { s.status.Guard = nil }, 200, "ok"},
		"RPO": {func(s *told) {
			s.status.Systems["accounting"] = orchestrator.SystemStatus{LastSuccess: &long}
		}, 503, "its RPO is not met (last gathered whole 2026-11-01 22:15)"},
		"never gathered": {func(s *told) { s.status.Systems["accounting"] = orchestrator.SystemStatus{} }, 503, "never gathered whole"},
		"in part": {func(s *told) {
			s.status.Systems["accounting"] = orchestrator.SystemStatus{RPOMet: true, LastResult: "in part", LastError: "1 file"}
		}, 200, "ok\nWARNING: system accounting: last gathering in part: 1 file"},
		"window failed": {func(s *told) {
			s.status.Vaults["secondary"] = orchestrator.VaultStatus{LastWindow: &orchestrator.WindowRecord{Result: "failed", Error: "disk full"}}
		}, 503, "CRITICAL: vault secondary: last window failed: disk full"},
		"executor gone": {func(s *told) { s.status.Serving = false }, 503, "CRITICAL: no executor runs, so nothing is gathered or copied by schedule"},
		"opened by hand": {func(s *told) {
			s.alarm(0, orchestrator.Alarm{Door: "vault-door", Notice: notice.OpenedByAnother.Of(), Grave: true})
		}, 503, "CRITICAL: alarm of 2026-11-21 02:30: door vault-door was opened by another hand"},
		"two days ago": {func(s *told) {
			s.alarm(48*time.Hour, orchestrator.Alarm{Door: "vault-door", Notice: notice.OpenedByAnother.Of(), Grave: true})
		}, 200, "ok"},
		"damaged": {func(s *told) {
			s.alarm(48*time.Hour, orchestrator.Alarm{Notice: notice.DamageFound.Of(), Lasts: true, Grave: true})
		}, 503, "CRITICAL: alarm of 2026-11-19 02:30: verification found damage"},
		"the vault's host": {func(s *told) {
			s.alarm(0, orchestrator.Alarm{Vault: "secondary", Notice: notice.HostAlarms.Of(), Why: "damaged: 2", Lasts: true, Grave: true})
		}, 503, "CRITICAL: alarm of 2026-11-21 02:30: vault secondary the vault's host raises an alarm: damaged: 2"},
		"no retention": {func(s *told) {
			s.alarm(0, orchestrator.Alarm{Vault: "secondary", Notice: notice.VaultNotTended.Of(), Lasts: true})
		}, 200, "ok\nWARNING: alarm of 2026-11-21 02:30: vault secondary nothing is dropped"},
		"said before": {func(s *told) {
			s.status.Systems["accounting"] = orchestrator.SystemStatus{RPOMet: true, LastResult: "failed", LastError: "gone"}
			s.alarm(0, orchestrator.Alarm{System: "accounting", Notice: notice.NotGathered.Of(), Lasts: true})
		}, 200, "ok\nWARNING: system accounting: last gathering failed: gone\n"},
		"no status": {func(s *told) { s.err = errors.New("ledger entry 7: damaged") }, 503, "entry 7: damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &told{status: night()}
			c.change(s)
			code, body := get(t, Handler(s), "GET", "/healthz")
			if code != c.code || !strings.Contains(body, c.says) {
				t.Errorf("got %d %q, want %d and %q", code, body, c.code, c.says)
			}
		})
	}
}

func (s *told) alarm(ago time.Duration, a orchestrator.Alarm) {
	a.At = s.status.Time.Add(-ago)
	a.Since = a.At
	s.status.Alarms = append(s.status.Alarms, a)
}

func (s *told) door(name, state string) {
	d := s.status.Doors[name]
	d.State = state
	s.status.Doors[name] = d
}

func (s *told) overdue(missing string) {
	s.status.Guard = &orchestrator.GuardStatus{HeardAt: time.Now(), Missing: missing, Doors: map[string]lease.Look{"vault-door": {State: "open", Overdue: "stuck"}}}
}

func (s *told) pass(task string) {
	s.status.Running = append(s.status.Running, orchestrator.Progress{Task: task})
}

func TestWorstProblemComesFirst(t *testing.T) {
	s := &told{status: night()}
	s.status.Systems["accounting"] = orchestrator.SystemStatus{RPOMet: true, LastError: "1 file"}
	s.status.Systems["imaging"] = orchestrator.SystemStatus{}
	s.door("vault-door", "stuck")
	var got []Severity
	for _, p := range Problems(s.status) {
		got = append(got, p.Severity)
	}
	if !slices.Equal(got, []Severity{Critical, Critical, Warning}) {
		t.Errorf("severities %v", got)
	}
}

// S3: what nobody measured is told as a bound by those, too, whose numbers cannot say so.
func TestBoundIsTold(t *testing.T) {
	for result, told := range map[string]bool{"cut": true, "failed": false} {
		st := night()
		w := st.Vaults["secondary"].LastWindow
		w.Result, w.AtMost, w.Exposure = result, told, 6.0731
		text := fmt.Sprint(Problems(st))
		if got := strings.Contains(text, "its door stood open for at most 6.073 s"); got != told {
			t.Errorf("a window that was %s: a bound is told: %t; want %t: %s", result, got, told, text)
		}
	}
}

func TestSilentSIEMIsAWarning(t *testing.T) {
	s := &told{status: night()}
	s.status.Ledger.Syslog = &orchestrator.SyslogStatus{Failing: time.Now(), Error: "connection refused"}
	if got := Problems(s.status); len(got) != 1 || got[0].Severity != Warning || !strings.Contains(got[0].Text, "connection refused") {
		t.Errorf("problems %v", got)
	}
}

func TestMetrics(t *testing.T) {
	s := &told{status: night()}
	code, body := get(t, Handler(s), "GET", "/metrics")
	if code != http.StatusOK {
		t.Fatalf("status %d:\n%s", code, body)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, want := range []string{
		"airlock_up 1",
		`airlock_door_amiss{door="departments-door"} 0`,
		`airlock_door_amiss{door="vault-door"} 0`,
		`airlock_patrol_misses{door="vault-door"} 0`,
		`airlock_door_state{door="vault-door",state="shut"} 1`,
		`airlock_door_state{door="vault-door",state="open"} 0`,
		"airlock_guard_up 1",
		"airlock_guard_age_seconds 2.5",
		`airlock_guard_door_overdue{door="vault-door"} 0`,
		"airlock_ledger_entries 42",
		`airlock_system_last_success_timestamp_seconds{system="accounting"} 1.7951958e+09`, // 2026-11-20T17:30Z
		`airlock_system_rpo_met{system="accounting"} 1`,
		`airlock_vault_generations{vault="secondary"} 12`,
		`airlock_window_bytes{vault="secondary"} 9000`,
		`airlock_window_exposure_seconds{vault="secondary"} 1.5`,
		`airlock_window_ok{vault="secondary"} 1`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("there is no line %s", want)
		}
	}
	failed := s.status.Systems["accounting"]
	failed.LastResult, failed.LastError, failed.RPO = "failed", "the source is gone", 26*3600
	failed.LastRun = &orchestrator.LastRun{Start: s.status.Time, End: s.status.Time.Add(3 * time.Second), Files: 2, Bytes: 9, NotRead: 1}
	s.status.Systems["accounting"] = failed
	s.status.Totals = &orchestrator.Totals{
		Gathers: map[orchestrator.Tally]int64{{Of: "accounting", Result: "failed"}: 2},
		Windows: map[orchestrator.Tally]int64{{Of: "secondary", Result: "in part"}: 1}, Alarms: 3,
	}
	_, body = get(t, Handler(s), "GET", "/metrics")
	for _, want := range []string{
		`airlock_system_last_result{result="failed",system="accounting"} 1`,
		`airlock_system_last_result{result="done",system="accounting"} 0`,
		`airlock_system_last_attempt_timestamp_seconds{system="accounting"} 1.7951958e+09`,
		`airlock_system_last_duration_seconds{system="accounting"} 3`,
		`airlock_system_files_not_read{system="accounting"} 1`,
		`airlock_system_rpo_seconds{system="accounting"} 93600`,
		`airlock_gathers_total{result="failed",system="accounting"} 2`,
		`airlock_windows_total{result="in part",vault="secondary"} 1`,
		"airlock_alarms_total 3",
		`airlock_build_info{goversion="` + runtime.Version() + `",version="v1"} 1`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("there is no line %s", want)
		}
	}
	s.door("vault-door", "open")
	if _, body := get(t, Handler(s), "GET", "/metrics"); !strings.Contains(body, `airlock_door_amiss{door="vault-door"} 1`) {
		t.Error("an open door is not amiss")
	}
	s.err = errors.New("no ledger")
	if code, _ := get(t, Handler(s), "GET", "/metrics"); code != http.StatusInternalServerError {
		t.Errorf("without a status, /metrics answers %d", code)
	}
}

// lessor is told, and answers guards.
type lessor struct {
	told
	orchestrator.Question
	err error
}

func (l *lessor) Leases(q orchestrator.Question) ([]byte, error) {
	l.Question = q
	return []byte("signed"), l.err
}

func TestLeases(t *testing.T) {
	if code, _ := get(t, Handler(&told{status: night()}), "GET", "/v1/leases?nonce=x"); code != http.StatusNotFound {
		t.Errorf("who has no leases answers %d", code)
	}
	l := &lessor{}
	q := httptest.NewRequest("GET", "/v1/leases?nonce=0123456789abcdef", nil)
	q.Header.Set("User-Agent", "airlock-guard/v1"+strings.Repeat("x", 1000))
	w := httptest.NewRecorder()
	Handler(l).ServeHTTP(w, q)
	if w.Code != http.StatusOK || w.Body.String() != "signed" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if l.Nonce != "0123456789abcdef" || l.From != "192.0.2.1" || len(l.Program) > 80 {
		t.Errorf("it was told of %+v", l)
	}
	for _, c := range []struct {
		err  error
		code int
	}{{lease.ErrNonce, http.StatusBadRequest}, {errors.New("the site's key is damaged"), http.StatusInternalServerError}} {
		l.err = c.err
		if code, body := get(t, Handler(l), "GET", "/v1/leases"); code != c.code || !strings.Contains(body, c.err.Error()) {
			t.Errorf("%v: it answers %d %q", c.err, code, body)
		}
	}
}

// Whoever polls can only read: orders are taken on the socket.
func TestPollersOnlyRead(t *testing.T) {
	h := Handler(&told{status: night()})
	for _, path := range []string{"/v1/status", "/healthz", "/metrics", "/v1/orders/x", "/"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
			if code, _ := get(t, h, method, path); code != http.StatusMethodNotAllowed && code != http.StatusNotFound {
				t.Errorf("%s %s answers %d", method, path, code)
			}
		}
	}
}

// Whoever writes an alert finds each metric in the documents, and none that is no more.
func TestMetricsAreDocumented(t *testing.T) {
	name := regexp.MustCompile("(?m)^\\| `(airlock_[a-z_]+)` \\|")
	var want []string
	for _, g := range slices.Concat(gauges(), counters()) {
		want = append(want, g.name)
	}
	slices.Sort(want)
	for _, file := range []string{"../docs/metrics.md", "../docs/metrics.ja.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, found := range name.FindAllSubmatch(text, -1) {
			got = append(got, string(found[1]))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has\n%s\nand there are\n%s", file, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
