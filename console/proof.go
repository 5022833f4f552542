package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"airlock/ledger/proof"
	"airlock/orchestrator"
)

// Prover is a Source whose ledger proves itself to whoever keeps its heads.
type Prover interface {
	// Head is the newest signed head.
	Head(context.Context) (proof.Head, error)
	// Consistency shows that the first to entries begin with the first from;
	// orchestrator.ErrBeyond if there are not so many.
	Consistency(ctx context.Context, from, to int64) (proof.Consistency, error)
}

// Proved answers GET /v1/ledger/proof: that the tree of size to holds that of size from,
// whose root the asker knows, and the signed head of the tree as it stands.
type Proved struct {
	proof.Consistency
	Head proof.Head `json:"head"`
}

// serveProofs adds /v1/ledger/head, and /v1/ledger/proof?from=&to=, whose to is that of
// the head if it is left out.
func serveProofs(mux *http.ServeMux, p Prover) {
	mux.HandleFunc("GET /v1/ledger/head", func(w http.ResponseWriter, r *http.Request) {
		head, err := p.Head(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		reply(w, head)
	})
	mux.HandleFunc("GET /v1/ledger/proof", func(w http.ResponseWriter, r *http.Request) {
		head, err := p.Head(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		from, err := number(r, "from", 0)
		to, wrong := number(r, "to", head.Size)
		if err = errors.Join(err, wrong); err == nil && from > to && r.FormValue("to") != "" {
			err = errors.New("from is greater than to")
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		consistency, err := p.Consistency(r.Context(), from, to)
		switch {
		case errors.Is(err, orchestrator.ErrBeyond):
			http.Error(w, err.Error(), http.StatusConflict)
		case err != nil:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		default:
			reply(w, Proved{consistency, head})
		}
	})
}

// number reads a parameter that counts entries.
func number(r *http.Request, name string, otherwise int64) (int64, error) {
	text := r.FormValue(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New(name + " is not a number of entries")
	}
	return n, nil
}
