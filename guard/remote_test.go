package guard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airlock/console"
	"airlock/lease"
	"airlock/ledger/proof/notetest"
	"airlock/orchestrator"
	"airlock/policies"
	"airlock/state"

	"golang.org/x/mod/sumdb/note"
)

// executor is one on another machine, with a boot and a clock of its own.
type executor struct {
	state state.Folder
	key   note.Signer
	since atomic.Int64
	asked atomic.Int64
	last  atomic.Pointer[orchestrator.Question]
}

func (e *executor) Status(context.Context) (orchestrator.Status, error) {
	return orchestrator.Status{}, nil
}

func (e *executor) clock() lease.Instant {
	return lease.Instant{Boot: "boot-of-executor", Since: time.Duration(e.since.Load())}
}

func (e *executor) Leases(q orchestrator.Question) ([]byte, error) {
	e.asked.Add(1)
	e.last.Store(&q)
	s, err := lease.State(e.state, q.Nonce, e.clock())
	if err != nil {
		return nil, err
	}
	return s.Sign(e.key)
}

// faraway is an executor that has leased vault-door for 45 min, and a guard whose
// questions go to what wrap makes of its handler. The guard's clock shows 70 h, the
// executor's 2 h.
func faraway(t *testing.T, wrap func(http.Handler) http.Handler) (*executor, *remote, *time.Duration) {
	t.Helper()
	key := notetest.New(t, "test")
	signer, public := key.Signer, key.Public
	e := &executor{state: state.Folder(t.TempDir()), key: signer}
	e.since.Store(int64(2 * time.Hour))
	if _, err := lease.In(e.state).Issue("vault-door", "w1", e.clock(), ttl, 45*time.Minute); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(wrap(console.Handler(e)))
	t.Cleanup(server.Close)
	r, err := newRemote(policies.Leases{URL: server.URL, Key: public}, "v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.CloseIdleConnections)
	own := 70 * time.Hour
	r.now = func() (lease.Instant, error) { return lease.Instant{Boot: "boot-of-guard", Since: own}, nil }
	return e, r, &own
}

func asItIs(h http.Handler) http.Handler { return h }

// left is for how long the guard lets the door stand open.
func left(r *remote, own time.Duration) (time.Duration, error) {
	l, err := r.read("vault-door")
	if err != nil {
		return 0, err
	}
	return l.Left("vault-door", lease.Instant{Boot: "boot-of-guard", Since: own}, ttl)
}

func TestRemoteLease(t *testing.T) {
	e, r, own := faraway(t, asItIs)
	e.since.Add(int64(5 * time.Second))
	if d, err := left(r, *own); d != 10*time.Second || err != nil {
		t.Errorf("5 s after it was renewed it has %s left, %v", d, err)
	}
	if _, err := r.read("second-door"); err == nil {
		t.Error("a door without a lease has one")
	}
	if d, err := left(r, *own+10*time.Second); err == nil {
		t.Errorf("the answer was under way for 10 s, and the lease has %s left", d)
	}
	if err := lease.Lock(e.state, lease.Lockdown{By: "operator", Reason: "ransomware"}); err != nil {
		t.Fatal(err)
	}
	if _, err := left(r, *own); !errors.Is(err, errLockdown) || !strings.Contains(err.Error(), "ransomware") {
		t.Errorf("in a lockdown: %v", err)
	}
}

// A lease that was told lives on while the executor does not answer, or cannot read what it
// knows (S15), until it runs out: a stall of the network is not the executor's end.
func TestExecutorThatDoesNotAnswer(t *testing.T) {
	silent, busy := false, false
	_, r, own := faraway(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if busy {
				http.Error(w, "no descriptors", http.StatusServiceUnavailable)
				return
			}
			if silent {
				panic(http.ErrAbortHandler) // the connection breaks
			}
			h.ServeHTTP(w, q)
		})
	})
	if d, err := left(r, *own); d != ttl || err != nil {
		t.Fatalf("%s left, %v", d, err)
	}
	busy = true
	if d, err := left(r, *own+time.Second); d != ttl-time.Second || err != nil {
		t.Errorf("while it has no time there is %s left, %v", d, err)
	}
	silent, busy = true, false
	if d, err := left(r, *own+ttl-time.Second); d != time.Second || err != nil {
		t.Errorf("a second before its end it has %s left, %v", d, err)
	}
	if d, err := left(r, *own+ttl); err == nil {
		t.Errorf("at its end it has %s left", d)
	}
	if _, err := r.read("second-door"); err == nil {
		t.Error("a door of which nothing was told has a lease")
	}
}

// An answer that is late, replayed, forged, cut or of another kind is no lease.
func TestHostileAnswers(t *testing.T) {
	record := func(h http.Handler, q *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		return w
	}
	answer := func(change func(body string) string) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				io.WriteString(w, change(record(h, q).Body.String()))
			})
		}
	}
	other, _ := notetest.Keys(t, "test")
	var first string
	for name, c := range map[string]struct {
		wrap func(http.Handler) http.Handler
		why  string
	}{
		"nobody": {func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err == nil {
					conn.Close()
				}
			})
		}, "EOF"},
		"replayed": {answer(func(body string) string {
			if first == "" {
				first = body
			}
			return first
		}), "another question"},
		"a byte changed": {answer(func(body string) string { return strings.Replace(body, `"until_ns":7`, `"until_ns":9`, 1) }), "not signed"},
		"unsigned":       {answer(func(body string) string { text, _, _ := strings.Cut(body, "\n\n"); return text + "\n" }), "not signed"},
		"signed by another": {answer(func(body string) string {
			text, _, _ := strings.Cut(body, "\n\n")
			forged, err := note.Sign(&note.Note{Text: text + "\n"}, other)
			if err != nil {
				t.Error(err)
			}
			return string(forged)
		}), "not signed"},
		"cut":     {answer(func(body string) string { return body[:len(body)/2] }), "not signed"},
		"endless": {answer(func(body string) string { return strings.Repeat(" ", 2*lease.StatementLimit) + body }), "not signed"},
		"empty":   {answer(func(string) string { return "" }), "not signed"},
		"an error with a lease": {func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				w.WriteHeader(http.StatusInternalServerError)
				w.Write(record(h, q).Body.Bytes())
			})
		}, "500"},
		"sent elsewhere": {func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if q.URL.Path == "/v1/leases" {
					http.Redirect(w, q, "/elsewhere?"+q.URL.RawQuery, http.StatusFound)
					return
				}
				q.URL.Path = "/v1/leases"
				h.ServeHTTP(w, q)
			})
		}, "302"},
		"hangs": {func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
		}, "Timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, r, own := faraway(t, c.wrap)
			if name == "replayed" {
				if d, err := left(r, *own); d <= 0 || err != nil {
					t.Fatalf("the first answer is good, and leaves %s, %v", d, err)
				}
			}
			if d, err := left(r, *own); err == nil || !strings.Contains(err.Error(), c.why) {
				t.Errorf("it has %s left, %v; want an error with %q", d, err, c.why)
			}
		})
	}
}

// A signed text about something else, and a lease of the executor's last boot.
func TestAnswersOfAnotherKind(t *testing.T) {
	e, r, own := faraway(t, func(http.Handler) http.Handler { return nil })
	for name, c := range map[string]struct {
		text func(nonce string) ([]byte, error)
		why  string
	}{
		"a checkpoint": {func(nonce string) ([]byte, error) {
			return note.Sign(&note.Note{Text: "test\n42\n" + nonce + "\n"}, e.key)
		}, "something else"},
		"no JSON": {func(nonce string) ([]byte, error) {
			return note.Sign(&note.Note{Text: "airlock leases\n" + nonce + "\n"}, e.key)
		}, "cannot be read"},
		"of another boot": {func(nonce string) ([]byte, error) {
			s, err := lease.State(e.state, nonce, lease.Instant{Boot: "a later boot", Since: 3 * time.Hour})
			if err != nil {
				return nil, err
			}
			return s.Sign(e.key)
		}, "another boot"},
		"renewed in the future": {func(nonce string) ([]byte, error) {
			s, err := lease.State(e.state, nonce, lease.Instant{Boot: "boot-of-executor", Since: time.Hour})
			if err != nil {
				return nil, err
			}
			return s.Sign(e.key)
		}, "another boot"},
		"none": {func(string) ([]byte, error) { return nil, lease.ErrNonce }, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(console.Handler(signs{e, c.text}))
			defer server.Close()
			r.url = server.URL
			if d, err := left(r, *own); err == nil || !strings.Contains(err.Error(), c.why) {
				t.Errorf("it has %s left, %v; want an error with %q", d, err, c.why)
			}
		})
	}
}

// signs answers as it was told to.
type signs struct {
	*executor
	text func(nonce string) ([]byte, error)
}

func (s signs) Leases(q orchestrator.Question) ([]byte, error) { return s.text(q.Nonce) }

func TestNoncesAreNotRepeated(t *testing.T) {
	seen := map[string]bool{}
	_, r, _ := faraway(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			n := q.URL.Query().Get("nonce")
			if seen[n] || len(n) < 16 {
				t.Errorf("nonce %q", n)
			}
			seen[n] = true
			h.ServeHTTP(w, q)
		})
	})
	for range 20 {
		if _, err := r.read("vault-door"); err != nil {
			t.Fatal(err)
		}
	}
}

// The guard signs its questions with its own key, so that an executor can tell it from a
// stranger.
func TestQuestionsAreSigned(t *testing.T) {
	e, r, _ := faraway(t, asItIs)
	pair := notetest.New(t, "guard")
	own, public := pair.Signer, pair.Public
	r.own = own
	if _, err := r.read("vault-door"); err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	q := e.last.Load()
	if at, err := lease.OpenQuestion(q.Signed, q.Nonce, key); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("the question is of %s, %v", at, err)
	}
}
