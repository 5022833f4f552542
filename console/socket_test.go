package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/orchestrator"
	"airlock/state"
)

// executor does what a test tells it.
type executor struct {
	told
	do func(context.Context, orchestrator.Order, orchestrator.Watch) (orchestrator.Outcome, error)
}

func (e *executor) Do(ctx context.Context, o orchestrator.Order, watch orchestrator.Watch) (orchestrator.Outcome, error) {
	return e.do(ctx, o, watch)
}

// open serves e on a socket until the test, or the function that it gives, ends it.
func open(t *testing.T, e *executor, state state.Folder) (*Remote, context.CancelFunc) {
	t.Helper()
	path := state.Socket()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, OrderHandler(e)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	r, err := Connect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return r, cancel
}

func silent(orchestrator.Progress) {}

func TestOrderGoesThrough(t *testing.T) {
	var got orchestrator.Order
	e := &executor{do: func(_ context.Context, o orchestrator.Order, watch orchestrator.Watch) (orchestrator.Outcome, error) {
		got = o
		watch(orchestrator.Progress{Task: "gather accounting", Stage: "connecting"})
		watch(orchestrator.Progress{Task: "gather accounting", Stage: "reading", Bytes: 5})
		watch(orchestrator.Progress{Task: "gather accounting", Stage: "done", Text: "accounting: 1 files"})
		return orchestrator.Outcome{Gathered: []orchestrator.Gathered{{System: "accounting", Failed: []orchestrator.FileError{{Path: "患者/一覧.csv", Error: "denied"}}}}}, nil
	}}
	r, _ := open(t, e, state.Folder(t.TempDir()))
	var stages []string
	out, err := r.Do(t.Context(), orchestrator.Order{Verb: "gather", Names: []string{"accounting"}, Caller: orchestrator.Caller{Actor: "user 山田", Reason: "訓練"}},
		func(p orchestrator.Progress) { stages = append(stages, p.Stage) })
	if err != nil {
		t.Fatal(err)
	}
	if got.Verb != "gather" || got.Actor != "user 山田" || got.Reason != "訓練" {
		t.Errorf("the executor got %+v", got)
	}
	if want := "connecting reading done"; strings.Join(stages, " ") != want {
		t.Errorf("stages %q, want %q: none may be left out", stages, want)
	}
	if len(out.Gathered) != 1 || out.Gathered[0].Failed[0].Path != "患者/一覧.csv" {
		t.Errorf("outcome %+v", out)
	}
}

// An exit code depends on these, and so they have to come through.
func TestErrorsKeepTheirKinds(t *testing.T) {
	all := []error{orchestrator.ErrNotShut, orchestrator.ErrRefused, orchestrator.ErrInPart, orchestrator.ErrUnknown}
	for i, kind := range all {
		e := &executor{do: func(context.Context, orchestrator.Order, orchestrator.Watch) (orchestrator.Outcome, error) {
			return orchestrator.Outcome{Window: &orchestrator.WindowRecord{Result: "failed"}}, fmt.Errorf("vault-door: %w: because", kind)
		}}
		r, _ := open(t, e, state.Folder(t.TempDir()))
		out, err := r.Do(t.Context(), orchestrator.Order{Verb: "window"}, silent)
		for j, other := range all {
			if errors.Is(err, other) != (i == j) {
				t.Errorf("%v arrives as %v", kind, err)
			}
		}
		if out.Window == nil || out.Window.Result != "failed" {
			t.Errorf("the outcome of an order that failed is lost: %+v", out)
		}
	}
}

// S4: whoever ends an order gets its outcome, which says where the doors are.
func TestEndedOrderStillHasItsOutcome(t *testing.T) {
	begun := make(chan struct{})
	e := &executor{do: func(ctx context.Context, _ orchestrator.Order, _ orchestrator.Watch) (orchestrator.Outcome, error) {
		close(begun)
		<-ctx.Done()
		return orchestrator.Outcome{Window: &orchestrator.WindowRecord{Result: "failed", Error: context.Cause(ctx).Error()}}, errors.New("interrupted")
	}}
	r, _ := open(t, e, state.Folder(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	out, err := r.Do(ctx, orchestrator.Order{Verb: "window"}, silent)
	if err == nil || out.Window == nil || out.Window.Error != "the client asked for it" {
		t.Errorf("outcome %+v, error %v", out.Window, err)
	}
}

func TestOrderEndedBeforeItIsGiven(t *testing.T) {
	e := &executor{do: func(context.Context, orchestrator.Order, orchestrator.Watch) (orchestrator.Outcome, error) {
		t.Error("it was carried out")
		return orchestrator.Outcome{}, nil
	}}
	r, _ := open(t, e, state.Folder(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Do(ctx, orchestrator.Order{Verb: "window"}, silent); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestClientThatIsGoneEndsItsOrder(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	e := &executor{do: func(ctx context.Context, _ orchestrator.Order, _ orchestrator.Watch) (orchestrator.Outcome, error) {
		close(begun)
		<-ctx.Done()
		close(ended)
		return orchestrator.Outcome{}, ctx.Err()
	}}
	r, _ := open(t, e, state.Folder(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	response, err := r.ask(ctx, http.MethodPost, "lost", orchestrator.Order{Verb: "window"})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	cancel() // as the kernel does to a process that is killed
	<-ended
	response.Body.Close()
}

// S3: an executor that is gone leaves doors behind of which nobody knows anything.
func TestExecutorGoesAway(t *testing.T) {
	for _, c := range []struct {
		order   orchestrator.Order
		notShut bool
	}{
		{orchestrator.Order{Verb: "window"}, true},
		{orchestrator.Order{Verb: "shut"}, true},
		{orchestrator.Order{Verb: "restore", Restore: &orchestrator.Restore{From: "secondary"}}, true},
		{orchestrator.Order{Verb: "verify", Vault: "secondary"}, true},
		{orchestrator.Order{Verb: "verify"}, false},
		{orchestrator.Order{Verb: "gather"}, false},
		{orchestrator.Order{Verb: "restore", Restore: &orchestrator.Restore{}}, false},
	} {
		e := &executor{do: func(context.Context, orchestrator.Order, orchestrator.Watch) (orchestrator.Outcome, error) {
			panic(http.ErrAbortHandler) // the connection is cut, as by the end of a process
		}}
		r, _ := open(t, e, state.Folder(t.TempDir()))
		_, err := r.Do(t.Context(), c.order, silent)
		if err == nil || !strings.Contains(err.Error(), "the executor went away in the middle of the order") {
			t.Errorf("%+v: error %v", c.order, err)
		}
		if errors.Is(err, orchestrator.ErrNotShut) != c.notShut {
			t.Errorf("%+v: error %v: not shut: want %v", c.order, err, c.notShut)
		}
	}
}

func TestStatusWaitsForNoOrder(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	e := &executor{told: told{status: night()}}
	e.do = func(ctx context.Context, o orchestrator.Order, _ orchestrator.Watch) (orchestrator.Outcome, error) {
		if o.Verb == "status" {
			return orchestrator.Outcome{Status: &e.status}, nil
		}
		close(begun)
		<-finish
		return orchestrator.Outcome{}, nil
	}
	r, _ := open(t, e, state.Folder(t.TempDir()))
	done := make(chan error, 1)
	go func() {
		_, err := r.Do(context.Background(), orchestrator.Order{Verb: "window"}, silent)
		done <- err
	}()
	<-begun
	out, err := r.Do(t.Context(), orchestrator.Order{Verb: "status"}, silent)
	if err != nil || out.Status.Site != "test-hospital" {
		t.Errorf("%+v, %v", out.Status, err)
	}
	response, err := r.client.Get("http://airlock/v1/status")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("polled on the socket: %v, %v", response, err)
	}
	close(finish)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBadOrders(t *testing.T) {
	begun := make(chan struct{})
	e := &executor{do: func(ctx context.Context, _ orchestrator.Order, _ orchestrator.Watch) (orchestrator.Outcome, error) {
		close(begun)
		<-ctx.Done()
		return orchestrator.Outcome{}, nil
	}}
	r, _ := open(t, e, state.Folder(t.TempDir()))
	if _, err := r.ask(t.Context(), http.MethodDelete, "nothing", nil); err == nil || !strings.Contains(err.Error(), "no such order") {
		t.Errorf("an order that is not there was ended: %v", err)
	}
	response, err := r.client.Post("http://airlock/v1/orders/x", "", bytes.NewReader([]byte("開けゴマ")))
	if err != nil || response.StatusCode != http.StatusBadRequest {
		t.Errorf("%v, %v", response, err)
	}
	first, err := r.ask(t.Context(), http.MethodPost, "same", orchestrator.Order{Verb: "gather"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Body.Close()
	<-begun
	if _, err := r.ask(t.Context(), http.MethodPost, "same", orchestrator.Order{Verb: "gather"}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("two orders have one ID: %v", err)
	}
}

func TestSocketIsItsOwnersAlone(t *testing.T) {
	state := state.Folder(t.TempDir())
	open(t, &executor{}, state)
	info, err := os.Lstat(state.Socket())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != os.ModeSocket|0o600 {
		t.Errorf("mode %v", got)
	}
	if rest, err := filepath.Glob(filepath.Join(string(state), "*.new")); err != nil || len(rest) > 0 {
		t.Errorf("left behind: %v, %v", rest, err)
	}
}

func TestNobody(t *testing.T) {
	state := state.Folder(t.TempDir())
	if _, err := Connect(t.Context(), state.Socket()); !errors.Is(err, ErrNobody) {
		t.Errorf("without a socket: %v", err)
	}
	// A socket that a crash left over: nobody listens, and Listen takes its place.
	for _, name := range []string{state.Socket(), state.Socket() + ".new"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Connect(t.Context(), state.Socket()); !errors.Is(err, ErrNobody) {
		t.Errorf("with a socket left over: %v", err)
	}
	e := &executor{do: func(context.Context, orchestrator.Order, orchestrator.Watch) (orchestrator.Outcome, error) {
		return orchestrator.Outcome{}, nil
	}}
	r, _ := open(t, e, state)
	if _, err := r.Do(t.Context(), orchestrator.Order{Verb: "gather"}, silent); err != nil {
		t.Error(err)
	}
}

// A state folder's name may be longer than the address of a socket: in UTF-8 a kanji
// has three bytes.
func TestLongName(t *testing.T) {
	state := state.Folder(filepath.Join(t.TempDir(), strings.Repeat("医療法人社団 中央病院 情報システム室", 3), "状態"))
	if err := os.MkdirAll(string(state), 0o700); err != nil {
		t.Fatal(err)
	}
	if len(state.Socket()) <= longestAddress {
		t.Fatalf("%s is not too long", state.Socket())
	}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		if _, err := Listen(state.Socket()); err == nil || !strings.Contains(err.Error(), "choose a state folder with a shorter name") {
			t.Errorf("error %v", err)
		}
		return
	}
	e := &executor{do: func(context.Context, orchestrator.Order, orchestrator.Watch) (orchestrator.Outcome, error) {
		return orchestrator.Outcome{Snapshots: []orchestrator.Snapshot{{ID: "1"}}}, nil
	}}
	r, _ := open(t, e, state)
	out, err := r.Do(t.Context(), orchestrator.Order{Verb: "snapshots"}, silent)
	if err != nil || len(out.Snapshots) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if info, err := os.Lstat(state.Socket()); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
