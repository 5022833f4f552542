// Package console answers those who ask how a site stands, and takes orders from
// those who may give them.
//
// Everybody who reaches the address that the policy names may read: GET /v1/status
// (JSON), /healthz and /metrics (Prometheus), /v1/leases?nonce=…, by which a guard
// on another machine learns what the executor allows, and /v1/ledger/head and
// /v1/ledger/proof?from=&to=, by which whoever keeps the ledger's signed heads holds it
// to them. Orders are taken on a socket in the state folder, which only its owner can
// open. Reading waits for nothing that is being done.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"airlock/lease"
	"airlock/orchestrator"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Source tells how things stand.
type Source interface {
	Status(context.Context) (orchestrator.Status, error)
}

// Lessor is a Source that tells a guard on another machine what the executor allows.
type Lessor interface {
	// Leases answers with a signed lease.Statement; orchestrator.ErrNoGuard where the
	// policy names no guard on another machine.
	Leases(orchestrator.Question) ([]byte, error)
}

const leasesPath = "/v1/leases"

// Handler answers polls. It changes nothing.
func Handler(source Source) http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{source})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		st, err := source.Status(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		reply(w, st)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		st, err := source.Status(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		problems := Problems(st) // worst first
		if len(problems) > 0 && problems[0].Severity == Critical {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else {
			w.Write([]byte("ok\n")) // the poller is gone if this fails
		}
		for _, p := range problems {
			w.Write([]byte(p.String() + "\n"))
		}
	})
	if lessor, ok := source.(Lessor); ok {
		mux.HandleFunc("GET "+leasesPath, func(w http.ResponseWriter, r *http.Request) { leases(w, r, lessor) })
	}
	if prover, ok := source.(Prover); ok {
		serveProofs(mux, prover)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	return mux
}

func leases(w http.ResponseWriter, r *http.Request, lessor Lessor) {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil { // by the socket
		from = ""
	}
	program := r.UserAgent()
	program = program[:min(len(program), 80)]
	answer, err := lessor.Leases(orchestrator.Question{
		Nonce: r.URL.Query().Get("nonce"), From: from, Program: program, Signed: r.Header.Get(lease.QuestionHeader),
	})
	switch {
	case errors.Is(err, orchestrator.ErrNoGuard):
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	case errors.Is(err, lease.ErrNonce):
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(answer) // the guard is gone if this fails
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// fetchWithin bounds how long a status takes to come, and fetchLimit its bytes.
const (
	fetchWithin = 15 * time.Second
	fetchLimit  = 16 << 20
)

// Fetch asks the status address at url, http://HOST:PORT, as monitoring does. ErrNobody if
// nobody answers there.
func Fetch(ctx context.Context, url string) (st orchestrator.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	url = strings.TrimSuffix(strings.TrimSuffix(url, "/"), "/v1/status") + "/v1/status"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return st, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return st, fmt.Errorf("%w: %w", ErrNobody, err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, fetchLimit))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return st, err
	}
	if response.StatusCode != http.StatusOK {
		return st, fmt.Errorf("%s answers %s: %s", url, response.Status, strings.TrimSpace(string(body[:min(len(body), 200)])))
	}
	if err := json.Unmarshal(body, &st); err != nil || st.Site == "" {
		return st, fmt.Errorf("%s answers with what is no status of airlock", url)
	}
	return st, nil
}

// Serve answers requests on l, of people who may give orders, until ctx ends, and then lets
// those that are under way finish for a while.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	return serve(ctx, l, &http.Server{Handler: h, ReadHeaderTimeout: headerWithin, IdleTimeout: 2 * time.Minute})
}

func serve(ctx context.Context, l net.Listener, server *http.Server) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(ctx), server.Close())
	})
	err := server.Serve(l)
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-stopped
	return nil
}
