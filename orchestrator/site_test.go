package orchestrator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"airlock/collectors"
	collectlocal "airlock/collectors/local"
	"airlock/ledger"
	"airlock/notice"
	"airlock/policies"
	"airlock/repository"
	"airlock/switchctl"
	"airlock/switchctl/snmp"
	"airlock/switchctl/switchtest/snmpswitch"
	"airlock/vault"
	vaultlocal "airlock/vault/local"
)

// secrets that must be seen nowhere (S13).
const (
	authSecret = "auth-hemlig-4711"
	privSecret = "priv-hemlig-0815"
	passSecret = "pass-hemlig-9001"
)

// hospital is a site of real parts on this machine: a switch that speaks SNMPv3, two
// systems in folders, a repository, a vault.
type hospital struct {
	*testing.T
	dir    string
	sw     *snmpswitch.Switch
	policy policies.Policy
	file   policies.File
	parts  Parts
	log    bytes.Buffer // of the executor; read it after Close

	mu         sync.Mutex
	moves      []string // of the ports, as they went
	nights     int
	toldByTest bool // some of the ledger is the test's own story
}

const airlockYAML = `
site: test-hospital
timezone: Asia/Tokyo
state: DIR/state
repository:
  url: file://DIR/repository
  passphrase: {env: TEST_PASSPHRASE}
switches:
  core:
    driver: snmp
    address: ADDRESS
    snmp: {user: airlock, auth: SHA-256, auth_password: {env: TEST_AUTH}, privacy: AES, privacy_password: {env: TEST_PRIV}}
doors:
  vault-door: {switch: core, port: {name: p3}}
  departments-door: {switch: core, port: {name: p1}}
vaults:
  secondary:
    url: file://DIR/vault
    door: vault-door
    inner_door: departments-door
    window: {schedule: "30 2 * * *", max_open: 45m}
systems:
  accounting:
    source: {url: file://DIR/accounting}
    schedule: "15 22 * * *"
  imaging:
    source: {url: file://DIR/imaging}
    schedule: "@hourly"
`

func word(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func newHospital(t *testing.T) *hospital {
	t.Helper()
	t.Setenv("TEST_PASSPHRASE", passSecret)
	t.Setenv("TEST_AUTH", authSecret)
	t.Setenv("TEST_PRIV", privSecret)
	h := &hospital{T: t, dir: t.TempDir()}
	moved := func(port string) func(bool) {
		return func(up bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.moves = append(h.moves, port+" "+word(up))
		}
	}
	var err error
	h.sw, err = snmpswitch.New(snmpswitch.Config{
		User: "airlock", AuthPassword: authSecret, PrivacyPassword: privSecret,
		Ports: []snmpswitch.Port{
			{Index: 1, Name: "p1", Up: true, OnAdmin: moved("p1")},
			{Index: 2, Name: "p2", Up: true},
			{Index: 3, Name: "p3", OnAdmin: moved("p3")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.sw.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(filepath.Join(h.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"accounting/会計.dump": "ledgers of the hospital", "accounting/DONE": "",
		"imaging/ct/1.dcm": strings.Repeat("scan ", 1000), "imaging/ct/2.dcm": "another",
	} {
		h.write(name, text)
	}
	yaml := strings.NewReplacer("DIR", h.dir, "ADDRESS", h.sw.Addr()).Replace(airlockYAML)
	p, err := policies.Parse("airlock.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	h.policy = *p
	h.write("airlock.yaml", yaml)
	if _, h.file, err = policies.ReadFile(filepath.Join(h.dir, "airlock.yaml")); err != nil {
		t.Fatal(err)
	}
	h.parts = Parts{
		Switch: func(ctx context.Context, _ string, s policies.Switch, _ func(Recording)) (switchctl.Switch, error) {
			return snmp.Dial(ctx, snmp.Config{
				Address: s.Address, User: s.SNMP.User, Auth: s.SNMP.Auth, AuthPassword: read(t, s.SNMP.AuthPassword),
				Privacy: s.SNMP.Privacy, PrivacyPassword: read(t, s.SNMP.PrivacyPassword),
			})
		},
		Source: func(ctx context.Context, s policies.Source) (collectors.Source, error) {
			return collectlocal.Open(ctx, collectlocal.Config{Root: s.URL.Path})
		},
		Vault: func(_ context.Context, v policies.Vault) (vault.Store, error) { return vaultlocal.Open(v.URL.Path) },
		Repository: func(p policies.Policy) (repository.Config, error) {
			return repository.Config{Passphrase: read(t, p.Repository.Passphrase), StateDir: string(p.State), Place: repository.Place{Path: p.Repository.URL.Path}}, nil
		},
	}
	made, err := emptyRepository()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(h.dir, "repository"), made); err != nil {
		t.Fatal(err)
	}
	return h
}

// emptyRepository is made once: deriving its keys takes seconds.
var emptyRepository = sync.OnceValues(func() (made fstest.MapFS, err error) {
	dir, err := os.MkdirTemp("", "repository-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	place := filepath.Join(dir, "repository")
	conf := repository.Config{Passphrase: passSecret, StateDir: filepath.Join(dir, "state"), Place: repository.Place{Path: place}}
	if err := repository.Create(context.Background(), conf); err != nil {
		return nil, err
	}
	made = fstest.MapFS{}
	return made, filepath.WalkDir(place, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		made[filepath.ToSlash(strings.TrimPrefix(path, place+string(filepath.Separator)))] = &fstest.MapFile{Data: data, Mode: 0o600}
		return err
	})
})

// moved are the ports' moves so far.
func (h *hospital) moved() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.moves)
}

func read(t *testing.T, s policies.Secret) string {
	text, err := s.Read()
	if err != nil {
		t.Error(err)
	}
	return text
}

func (h *hospital) write(name, text string) {
	h.Helper()
	path := filepath.Join(h.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		h.Fatal(err)
	}
}

// hasten gives the doors little time.
func (h *hospital) hasten(within time.Duration) {
	for _, d := range h.policy.Doors {
		d.OpenWithin, d.ProveWithin = policies.Duration(within), policies.Duration(within)
	}
}

// open opens the site and waits until its doors are at rest.
func (h *hospital) open() *Site {
	h.Helper()
	s, err := Open(h.Context(), h.policy, h.parts, Options{Command: "test", Actor: "user test", Version: "test", File: h.file, Log: slog.New(slog.NewTextHandler(&h.log, nil))})
	if err != nil {
		h.Fatal(err)
	}
	return s
}

// within opens the site, runs f, and closes the site, whose ledger is then audited.
func (h *hospital) within(f func(*Site)) {
	h.Helper()
	s := h.open()
	defer func() {
		if err := s.Close(); err != nil {
			h.Error(err)
		}
		h.audit()
	}()
	if err := s.Settle(h.Context()); err != nil {
		h.Fatal(err)
	}
	f(s)
}

// audit holds what the ledger tells to what can have happened.
func (h *hospital) audit() {
	h.Helper()
	r, err := OpenLedger(h.Context(), h.policy.State)
	if err != nil || r == nil || h.toldByTest {
		return
	}
	report, err := r.Verify(h.Context(), nil, nil, nil)
	if err := errors.Join(err, r.Close()); err != nil {
		h.Error(err)
	}
	for _, f := range report.Findings {
		if f.Grave {
			h.Error(f)
		}
	}
}

// entries are the ledger's, once the site is closed.
func (h *hospital) entries(f ledger.Filter) []ledger.Entry {
	h.Helper()
	r, err := OpenLedger(h.Context(), h.policy.State)
	if err != nil || r == nil {
		h.Fatal(r, err)
	}
	defer r.Close()
	var all []ledger.Entry
	for e, err := range r.Entries(h.Context(), f) {
		if err != nil {
			h.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// died leaves the ledger as a process that was killed in a window leaves it.
func (h *hospital) died(entries ...ledger.Entry) {
	h.Helper()
	h.toldByTest = true
	l, err := ledger.Open(h.Context(), h.policy.State.Ledger(), ledger.Options{})
	if err != nil {
		h.Fatal(err)
	}
	for _, e := range entries {
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		e.Actor, e.Reason = "schedule", "schedule 30 2 * * *"
		if _, err := l.Append(h.Context(), e); err != nil {
			h.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		h.Fatal(err)
	}
}

var (
	byTest = Caller{Actor: "user test", Reason: "a test"}
	silent = func(Progress) {}
)

// A whole night on real parts: gathered, sent while the vault's port alone is up,
// restored from behind the door.
func TestNight(t *testing.T) {
	h := newHospital(t)
	if err := os.RemoveAll(filepath.Join(h.dir, "repository")); err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} { // what is there is kept
		made, err := Init(t.Context(), h.policy, h.parts, Options{Command: "init", Actor: "test"})
		if err != nil || made.Key != first || made.Repository != first || made.PublicKey == "" {
			t.Fatalf("made %+v: %v", made, err)
		}
	}
	h.within(func(s *Site) {
		if _, err := s.Gather(t.Context(), nil, byTest, silent); err != nil {
			t.Fatal(err)
		}
		r, err := s.Window(t.Context(), "secondary", byTest, silent)
		if err != nil || r.Generation != 1 || r.Blobs == 0 || r.Exposure <= 0 {
			t.Fatalf("window %+v: %v", r, err)
		}
		to := filepath.Join(h.dir, "restored")
		if _, err := s.Restore(t.Context(), Restore{System: "accounting", To: to, From: "secondary"}, byTest, silent); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(to, "会計.dump")); string(got) != "ledgers of the hospital" {
			t.Errorf("restored %q, %v", got, err)
		}
		if v, err := s.Verify(t.Context(), "secondary", 1, byTest, silent); err != nil || v.Result != "sound" || v.Blobs == 0 {
			t.Errorf("verified %+v: %v", v, err)
		}
	})
	// S6: never both, three times over.
	one := []string{"p1 down", "p3 up", "p3 down", "p1 up"}
	if want := slices.Concat(one, one, one); !slices.Equal(h.moved(), want) {
		t.Errorf("the ports moved %v, want %v", h.moved(), want)
	}
	// S1: each opening's intent stands in the ledger, and all entries in their order.
	var told []string
	for _, e := range h.entries(ledger.Filter{Kind: ledger.KindDoor, Door: "vault-door"}) {
		told = append(told, e.To)
	}
	once := []string{"opening", "open", "shutting", "shut"}
	if want := slices.Concat([]string{"shut"}, once, once, once); !slices.Equal(told, want) {
		t.Errorf("the ledger tells %v of the vault's door, want %v", told, want)
	}
}

// One unreadable file fails that file, one system that is gone fails that system, and
// neither stops another.
func TestGatherInPart(t *testing.T) {
	h := newHospital(t)
	open := h.parts.Source
	h.parts.Source = func(ctx context.Context, s policies.Source) (collectors.Source, error) {
		src, err := open(ctx, s)
		return refusing{src, "ct/2.dcm"}, err
	}
	h.within(func(s *Site) {
		all, err := s.Gather(t.Context(), nil, byTest, silent)
		if !errors.Is(err, ErrInPart) || len(all) != 2 {
			t.Fatalf("gathered %+v: %v; want two, and ErrInPart", all, err)
		}
		if a := all[0]; a.Result != resultDone || a.Files != 2 {
			t.Errorf("accounting: %+v", a)
		}
		if i := all[1]; i.Result != resultInPart || i.NotRead != 1 || len(i.Failed) != 1 || i.Failed[0].Path != "ct/2.dcm" {
			t.Errorf("imaging: %+v", i)
		}
		if err := os.Rename(filepath.Join(h.dir, "accounting"), filepath.Join(h.dir, "gone")); err != nil {
			t.Fatal(err)
		}
		all, err = s.Gather(t.Context(), nil, byTest, silent)
		if !errors.Is(err, ErrInPart) || all[0].Result != resultFailed || all[1].Result != resultInPart {
			t.Errorf("gathered %+v: %v", all, err)
		}
		if _, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent); err == nil || errors.Is(err, ErrInPart) {
			t.Errorf("accounting alone: %v; want an error that is not ErrInPart", err)
		}
		if _, err := s.Gather(t.Context(), []string{"cafeteria"}, byTest, silent); !errors.Is(err, ErrUnknown) {
			t.Errorf("no such system: %v", err)
		}
	})
	results := map[string][]string{}
	for _, e := range h.entries(ledger.Filter{Kind: ledger.KindGather}) {
		results[e.System] = append(results[e.System], e.To)
	}
	if a, i := fmt.Sprint(results["accounting"]), fmt.Sprint(results["imaging"]); a != "[done failed failed]" || i != "[in part in part]" {
		t.Errorf("the ledger tells %s of accounting and %s of imaging", a, i)
	}
}

// refusing cannot read one file.
type refusing struct {
	collectors.Source
	name string
}

func (r refusing) Open(ctx context.Context, name string) (collectors.File, error) {
	if name == r.name {
		return nil, collectors.PathError("open", name, fs.ErrPermission)
	}
	return r.Source.Open(ctx, name)
}

// holding waits before it reads a file, until it is let go.
type holding struct {
	collectors.Source
	barrier
}

func (s holding) Open(ctx context.Context, name string) (collectors.File, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Source.Open(ctx, name)
}

// barrier is where something waits until it is let go.
type barrier struct{ reached, until chan struct{} }

func newBarrier() barrier { return barrier{make(chan struct{}, 1), make(chan struct{})} }

func (b barrier) wait(ctx context.Context) error {
	select {
	case b.reached <- struct{}{}:
	default:
	}
	select {
	case <-b.until:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// hold makes every source wait.
func (h *hospital) hold() (reached, until chan struct{}) {
	b := newBarrier()
	open := h.parts.Source
	h.parts.Source = func(ctx context.Context, s policies.Source) (collectors.Source, error) {
		src, err := open(ctx, s)
		return holding{src, b}, err
	}
	return b.reached, b.until
}

// While a system is being gathered, a second gathering of it is refused, the status
// answers and tells of the first, and a second executor is refused.
func TestWhileGathering(t *testing.T) {
	h := newHospital(t)
	reached, until := h.hold()
	h.within(func(s *Site) {
		first := make(chan error, 1)
		go func() {
			_, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent)
			first <- err
		}()
		<-reached
		all, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent)
		if err == nil || !strings.Contains(all[0].Error, "already") {
			t.Errorf("a second gathering: %+v, %v", all, err)
		}
		st, err := s.Status(t.Context())
		if err != nil || len(st.Running) != 1 || st.Running[0].Task != "gather accounting" || !st.Serving {
			t.Errorf("status %+v: %v", st, err)
		}
		if _, err := Open(t.Context(), h.policy, h.parts, Options{Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrBusy) {
			t.Errorf("a second executor: %v, want ErrBusy", err)
		}
		close(until)
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

// A repository that does not answer holds up neither the status nor an alarm, and with
// them no door (S2), nor another order that is told to end.
func TestRepositoryThatHangs(t *testing.T) {
	h := newHospital(t)
	reached, until := make(chan struct{}, 1), make(chan struct{})
	conf := h.parts.Repository
	h.parts.Repository = func(p policies.Policy) (repository.Config, error) {
		reached <- struct{}{}
		<-until
		return conf(p)
	}
	h.within(func(s *Site) {
		first := make(chan error, 1)
		go func() {
			_, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent)
			first <- err
		}()
		<-reached
		done := make(chan error)
		go func() {
			_, err := s.Status(t.Context())
			s.alarm(Alarm{At: time.Now(), Notice: notice.Defect.Of()})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, second := s.Gather(ctx, []string{"imaging"}, byTest, silent)
			if !strings.Contains(fmt.Sprint(second), context.Canceled.Error()) {
				err = errors.Join(err, fmt.Errorf("an order that was cancelled ended with %v", second))
			}
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Minute): // it hangs
			t.Error("status, alarm and order wait for the repository")
		}
		close(until)
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

// A gathering that waits for its turn ends when it is told to.
func TestCancelWhileWaitingForATurn(t *testing.T) {
	h := newHospital(t)
	reached, until := h.hold()
	h.within(func(s *Site) {
		s.slots = make(chan struct{}, 1)
		first := make(chan error, 1)
		go func() {
			_, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent)
			first <- err
		}()
		<-reached
		ctx, cancel := context.WithCancel(t.Context())
		second := make(chan error, 1)
		go func() {
			_, err := s.Gather(ctx, []string{"imaging"}, byTest, func(p Progress) {
				if p.Stage == "waiting for its turn" {
					cancel()
				}
			})
			second <- err
		}()
		select {
		case err := <-second:
			if !strings.Contains(fmt.Sprint(err), context.Canceled.Error()) {
				t.Errorf("the second ended with %v", err)
			}
		case <-time.After(5 * time.Minute): // it hangs
			t.Error("the second still waits for the first")
		}
		close(until)
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

// hanging is a store whose first call waits, until it is let go.
type hanging struct {
	vault.Store
	barrier
}

func (s hanging) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Store.Put(ctx, name, size, r)
}

// hang makes the vault wait.
func (h *hospital) hang() (reached, until chan struct{}) {
	b := newBarrier()
	open := h.parts.Vault
	h.parts.Vault = func(ctx context.Context, v policies.Vault) (vault.Store, error) {
		store, err := open(ctx, v)
		return hanging{store, b}, err
	}
	return b.reached, b.until
}

// While a window is open, a second one is refused, the status answers and says open,
// and gatherings wait.
func TestWhileAWindowIsOpen(t *testing.T) {
	h := newHospital(t)
	reached, until := h.hang()
	h.within(func(s *Site) {
		if _, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent); err != nil {
			t.Fatal(err)
		}
		first := make(chan error, 1)
		go func() {
			_, err := s.Window(t.Context(), "secondary", byTest, silent)
			first <- err
		}()
		<-reached
		if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) {
			t.Errorf("a second window: %v, want ErrRefused", err)
		}
		st, err := s.Status(t.Context())
		if d := st.Doors["vault-door"]; err != nil || d.State != "open" || st.Doors["departments-door"].State != "shut" {
			t.Errorf("status %+v: %v", st.Doors, err)
		}
		gathered := make(chan error, 1)
		go func() {
			_, err := s.Gather(t.Context(), []string{"imaging"}, byTest, silent)
			gathered <- err
		}()
		close(until)
		if err := errors.Join(<-first, <-gathered); err != nil {
			t.Error(err)
		}
	})
	if h.sw.Up(3) || !h.sw.Up(1) {
		t.Error("the doors are not where they belong")
	}
}

// Closing while a window is open ends it, shuts the doors, and has it in the ledger. A
// window that was only being planned is not held any more.
func TestCloseInAWindow(t *testing.T) {
	h := newHospital(t)
	reached, _ := h.hang()
	s := h.open()
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() {
		_, err := s.Window(t.Context(), "secondary", byTest, silent)
		over <- err
	}()
	<-reached
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-over; err == nil || !strings.Contains(err.Error(), "the executor is ending") {
		t.Errorf("the window ended with %v", err)
	}
	if h.sw.Up(3) || !h.sw.Up(1) {
		t.Error("the doors are not where they belong")
	}
	all := h.entries(ledger.Filter{Kind: ledger.KindWindow})
	if last := all[len(all)-1]; last.To != resultFailed {
		t.Errorf("the last entry of the window is %+v", last)
	}
}

func TestCloseWhileAWindowIsPlanned(t *testing.T) {
	h := newHospital(t)
	s := h.open()
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended, over := make(chan error, 1), make(chan error, 1)
	go func() {
		var once sync.Once
		_, err := s.Window(t.Context(), "secondary", byTest, func(p Progress) {
			if p.Stage == "ready" {
				once.Do(func() {
					go func() { ended <- s.Close() }()
					for !s.isClosing() {
						time.Sleep(time.Millisecond)
					}
					s.doors.Settle(t.Context(), "secondary") // what End asked of it was taken
				})
			}
		})
		over <- err
	}()
	if err := <-over; !errors.Is(err, ErrRefused) {
		t.Errorf("the window: %v, want ErrRefused", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(h.moved()) > 2 || slices.Contains(h.moved(), "p3 up") {
		t.Errorf("the ports moved: %v", h.moved())
	}
}

// A window that was cut by a crash, with the vault's port up: on the next start the
// port is shut (S5), the window gets an end in the ledger, and the inner door, whose
// opening is owed, opens again (S6).
func TestRecovery(t *testing.T) {
	h := newHospital(t)
	up, down := func(p *snmpswitch.Port) { p.Up = true }, func(p *snmpswitch.Port) { p.Up = false }
	if err := errors.Join(h.sw.Edit(3, up), h.sw.Edit(1, down)); err != nil {
		t.Fatal(err)
	}
	h.died(
		ledger.Entry{Kind: ledger.KindWindow, Vault: "secondary", Window: "w1", To: copying, Detail: json.RawMessage(`{"id":"w1","vault":"secondary","purpose":"copying"}`)},
		ledger.Entry{Kind: ledger.KindDoor, Door: "departments-door", Window: "w1", From: "open", To: "shutting"},
		ledger.Entry{Kind: ledger.KindDoor, Door: "departments-door", Window: "w1", From: "shutting", To: "shut"},
		ledger.Entry{Kind: ledger.KindDoor, Door: "vault-door", Window: "w1", From: "shut", To: "opening"},
	)
	began := time.Now()
	h.within(func(s *Site) {
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the doors were at rest %s after the start", took)
		}
		if h.sw.Up(3) || !h.sw.Up(1) {
			t.Error("the doors are not where they belong")
		}
		st, err := s.Status(t.Context())
		if err != nil {
			t.Error(err)
		}
		if len(st.Alarms) != 1 || st.Alarms[0].What != "was found open" {
			t.Errorf("alarms %+v", st.Alarms)
		}
	})
	if want := []string{"p3 down", "p1 up"}; !slices.Equal(h.moved(), want) {
		t.Errorf("the ports moved %v, want %v", h.moved(), want)
	}
	h.within(func(s *Site) { // and a second start has nothing to mend
		st, err := s.Status(t.Context())
		w := st.Vaults["secondary"].LastWindow
		if err != nil || w == nil || w.Result != resultCut || w.ID != "w1" {
			t.Errorf("the status tells of %+v: %v", w, err)
		} else if w.OpenedAt.IsZero() || w.Exposure <= 0 || !w.AtMost || w.ShutBy != "start-up" || w.ProvenAt.IsZero() {
			t.Errorf("the opening of the window that was cut has no bound: %+v", w)
		}
	})
	var cut int
	for _, e := range h.entries(ledger.Filter{Kind: ledger.KindWindow}) {
		if e.To == resultCut && e.Window == "w1" && e.From == copying {
			cut++
		}
	}
	if cut != 1 {
		t.Errorf("%d entries say that the window was cut, want one", cut)
	}
}

// S2, S6: the executor died after it had told the inner door to shut and before the ledger
// heard of it. The next start opens it again, and so does the one after a start that died
// as well; but not where the window had its end, and another hand shut the door.
func TestRecoveryOfAnUnloggedShutting(t *testing.T) {
	open := ledger.Entry{Kind: ledger.KindDoor, Door: "departments-door", From: "unknown", To: "open"}
	begun := ledger.Entry{Kind: ledger.KindWindow, Vault: "secondary", Window: "w1", To: copying}
	cut := ledger.Entry{Kind: ledger.KindWindow, Vault: "secondary", Window: "w1", From: copying, To: resultCut}
	refused := ledger.Entry{Kind: ledger.KindWindow, Vault: "secondary", Window: "w1", From: copying, To: "refused"}
	found := ledger.Entry{Kind: ledger.KindDoor, Door: "departments-door", From: "unknown", To: "shut"}
	byOther := ledger.Entry{Kind: ledger.KindDoor, Door: "departments-door", From: "open", To: "shut"}
	for _, test := range []struct {
		name  string
		left  []ledger.Entry
		opens bool
	}{
		{"at once", []ledger.Entry{open, begun}, true},
		{"by the start after the next", []ledger.Entry{open, begun, cut, found}, true},
		{"the door's entry came first", []ledger.Entry{open, begun, found, cut}, true},
		{"the window had its end", []ledger.Entry{open, begun, refused, byOther}, false},
		{"it was shut before", []ledger.Entry{open, byOther, begun}, false},
		{"no window", []ledger.Entry{open, found}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHospital(t)
			if err := h.sw.Edit(1, func(p *snmpswitch.Port) { p.Up = false }); err != nil {
				t.Fatal(err)
			}
			h.died(test.left...)
			h.within(func(*Site) {})
			if h.sw.Up(1) != test.opens {
				t.Errorf("the inner door is up: %t", h.sw.Up(1))
			}
		})
	}
}

// An inner door that a person shut is not opened at the next start.
func TestInnerDoorShutByHand(t *testing.T) {
	h := newHospital(t)
	h.within(func(s *Site) {
		if err := s.Shut(t.Context(), []string{"departments-door"}, byTest); err != nil {
			t.Fatal(err)
		}
	})
	h.within(func(s *Site) {
		const who = "departments-door rests open, and was shut by user test on "
		if st, err := s.Status(t.Context()); err != nil || !strings.HasPrefix(st.Doors["departments-door"].Kept, who) {
			t.Errorf("the status says %q, %v", st.Doors["departments-door"].Kept, err)
		}
		if err := os.RemoveAll(filepath.Join(h.dir, "accounting")); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Gather(t.Context(), []string{"accounting"}, byTest, silent); err == nil || !strings.Contains(got[0].Error, who) {
			t.Errorf("a gathering that fails says %+v, %v", got, err)
		}
		if err := s.Lockdown(t.Context(), byTest); err != nil {
			t.Fatal(err)
		}
		other := byTest
		other.UID++
		out, err := s.Do(t.Context(), Order{Verb: "release", Caller: other}, silent)
		if err != nil || len(out.Kept) != 1 || !strings.HasPrefix(out.Kept[0], who) {
			t.Errorf("the release says %+v, %v", out, err)
		}
	})
	if h.sw.Up(1) {
		t.Error("the inner door was opened again")
	}
}

// S1, S2: with no ledger, the doors are shut all the same, windows are refused, and
// what happened lies in the emergency file until there is one again.
func TestNoLedger(t *testing.T) {
	h := newHospital(t)
	h.within(func(*Site) {}) // makes the ledger
	if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
		t.Fatal(err)
	}
	file := h.policy.State.Ledger()
	if err := errors.Join(os.Rename(file, file+".away"), os.Mkdir(file, 0o700)); err != nil {
		t.Fatal(err)
	}
	h.hasten(time.Second) // the inner door cannot be opened again either
	h.within(func(s *Site) {
		if h.sw.Up(3) {
			t.Error("the vault's port is up")
		}
		if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) {
			t.Errorf("a window: %v, want ErrRefused", err)
		}
		st, err := s.Status(t.Context())
		if err != nil || st.Ledger.Error == "" || st.Doors["vault-door"].State != "shut" {
			t.Errorf("status %+v: %v", st, err)
		}
	})
	if slices.Contains(h.moved(), "p3 up") {
		t.Errorf("the ports moved: %v", h.moved())
	}
	if err := errors.Join(os.Remove(file), os.Rename(file+".away", file)); err != nil {
		t.Fatal(err)
	}
	h.within(func(*Site) {})
	var found bool
	for _, e := range h.entries(ledger.Filter{Kind: ledger.KindDoor, Door: "vault-door"}) {
		found = found || e.From == "unknown" && e.To == "shutting" && e.Late
	}
	if !found {
		t.Error("the ledger does not tell, late, that the port was found open")
	}
}

// S1, S2, S11: a damaged ledger is kept and a new one begun, with an alarm; the doors are
// shut meanwhile, and a window finds its ledger again.
func TestDamagedLedger(t *testing.T) {
	h := newHospital(t)
	h.within(func(*Site) {}) // makes the ledger
	file := h.policy.State.Ledger()
	damage := []byte("this was a ledger")
	if err := os.WriteFile(file, damage, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
		t.Fatal(err)
	}
	h.within(func(s *Site) {
		if h.sw.Up(3) {
			t.Error("the vault's port is up")
		}
		if _, err := s.Window(t.Context(), "secondary", byTest, silent); err != nil {
			t.Errorf("a window with the new ledger: %v", err)
		}
	})
	all := h.entries(ledger.Filter{})
	if all[0].Kind != ledger.KindLedger || !slices.ContainsFunc(all, func(e ledger.Entry) bool {
		return e.Kind == ledger.KindAlarm && strings.HasPrefix(e.Reason, "the ledger was damaged")
	}) {
		t.Errorf("the new ledger begins with %+v, or has no alarm", all[0])
	}
	kept, err := filepath.Glob(filepath.Join(string(h.policy.State), "ledger.damaged-*.db"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	if data, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(data, damage) {
		t.Errorf("the damaged ledger is %q now, %v", data, err)
	}
}

// S2, S5: a ledger that does not open for a while holds up no door.
func TestLedgerThatIsSlowToOpen(t *testing.T) {
	h := newHospital(t)
	if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
		t.Fatal(err)
	}
	emergency := filepath.Join(string(h.policy.State), "ledger.late.jsonl")
	if err := syscall.Mkfifo(emergency, 0o600); err != nil { // whoever reads it waits
		t.Skip(err)
	}
	opened := make(chan *Site, 1)
	go func() { opened <- h.open() }()
	for began := time.Now(); h.sw.Up(3); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Error("the port is still up: the doors wait for the ledger")
			break
		}
	}
	f, err := os.OpenFile(emergency, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s := <-opened
	if err := errors.Join(s.Settle(t.Context()), s.Close()); err != nil {
		t.Error(err)
	}
}

// S12: a door that is stuck is told by Settle, Shut, Window and Close, and in the status.
func TestStuckSite(t *testing.T) {
	h := newHospital(t)
	if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
		t.Fatal(err)
	}
	h.hasten(300 * time.Millisecond)
	h.sw.SetFaults(snmpswitch.Faults{SwallowSet: true})
	s := h.open()
	if err := s.Settle(t.Context()); !errors.Is(err, ErrNotShut) {
		t.Errorf("Settle = %v, want ErrNotShut", err)
	}
	if err := s.Shut(t.Context(), nil, byTest); !errors.Is(err, ErrNotShut) {
		t.Errorf("Shut = %v, want ErrNotShut", err)
	}
	if _, err := s.Window(t.Context(), "secondary", byTest, silent); !errors.Is(err, ErrRefused) {
		t.Errorf("Window = %v, want ErrRefused", err)
	}
	st, err := s.Status(t.Context())
	if d := st.Doors["vault-door"]; err != nil || d.State != "stuck" || !d.Amiss() {
		t.Errorf("status %+v: %v", d, err)
	}
	if err := s.Close(); !errors.Is(err, ErrNotShut) {
		t.Errorf("Close = %v, want ErrNotShut", err)
	}
}

// The vault's door of one vault and a door that no vault names are both watched over,
// and the status of a site without an executor tells of them.
func TestObserve(t *testing.T) {
	h := newHospital(t)
	if err := h.sw.Edit(3, func(p *snmpswitch.Port) { p.Up = true }); err != nil {
		t.Fatal(err)
	}
	r, err := OpenLedger(t.Context(), h.policy.State)
	if err != nil {
		t.Fatal(err)
	}
	if r != nil { // it has no ledger yet
		defer r.Close()
	}
	st, err := Observe(t.Context(), h.policy, h.parts, r)
	if d := st.Doors["vault-door"]; err != nil || st.Serving || d.State != "open" || !d.Amiss() || st.Doors["departments-door"].Amiss() {
		t.Errorf("status %+v: %v", st, err)
	}
	if h.sw.Sets() != 0 {
		t.Error("looking changed something")
	}
}

// S13: no secret in the ledger, the status, an error or the log, also where the
// passwords are wrong.
func TestNoSecretShows(t *testing.T) {
	h := newHospital(t)
	var shown strings.Builder
	show := func(v any, err error) {
		text, _ := json.Marshal(v)
		fmt.Fprintf(&shown, "%s %v\n", text, err)
	}
	night := func(s *Site) {
		show(s.Gather(t.Context(), nil, byTest, silent))
		show(s.Window(t.Context(), "secondary", byTest, silent))
		show(s.Restore(t.Context(), Restore{System: "imaging", To: filepath.Join(h.dir, "to"), From: "secondary"}, byTest, silent))
		show(s.Status(t.Context()))
	}
	h.within(night)
	h.hasten(time.Second)
	for name, secret := range map[string]string{"TEST_AUTH": authSecret, "TEST_PASSPHRASE": passSecret} {
		t.Setenv(name, secret+"-wrong")
		s := h.open()
		night(s)
		t.Setenv(name, secret) // lest ending takes as long as a stuck door does
		show(nil, s.Settle(t.Context()))
		show(nil, s.Close())
	}
	shown.WriteString(h.log.String())
	err := filepath.WalkDir(string(h.policy.State), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, secret := range []string{authSecret, privSecret, passSecret} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("S13: %s holds %q", path, secret)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{authSecret, privSecret, passSecret} {
		if at := strings.Index(shown.String(), secret); at >= 0 {
			t.Errorf("S13: %q is shown: …%s…", secret, shown.String()[max(0, at-200):at+50])
		}
	}
	for _, wrong := range []string{"credentials", "passphrase"} {
		if !strings.Contains(shown.String(), wrong) {
			t.Errorf("nothing was said of %s, so nothing was tested: %s", wrong, shown.String())
		}
	}
}
