package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/ledger/proof/notetest"
	"airlock/orchestrator"
)

// prover is a source with a real ledger.
type prover struct {
	told
	*ledger.Ledger
}

func (p *prover) Head(ctx context.Context) (proof.Head, error) { return p.Checkpoint(ctx) }

func (p *prover) Consistency(ctx context.Context, from, to int64) (proof.Consistency, error) {
	if n, err := p.Count(ctx); err != nil || max(from, to) > n {
		return proof.Consistency{}, fmt.Errorf("%w: %d", orchestrator.ErrBeyond, n)
	}
	return p.Proof(ctx, from, to)
}

// S11: who keeps a head can have it proven that the ledger still begins with what it
// was then, and keeps the next one.
func TestConsistencyProof(t *testing.T) {
	signer, key := notetest.Keys(t, "kitano")
	l, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	write := func(n int) {
		for range n {
			if _, err := l.Append(t.Context(), ledger.Entry{Time: time.Now(), Kind: ledger.KindStart, Actor: "test"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	h := Handler(&prover{told{status: night()}, l})
	answer := func(path string, into any) {
		t.Helper()
		code, body := get(t, h, "GET", path)
		if code != http.StatusOK {
			t.Fatalf("%s: status %d: %s", path, code, body)
		}
		if err := json.Unmarshal([]byte(body), into); err != nil {
			t.Fatal(err)
		}
	}
	write(5)
	var kept proof.Head
	answer("/v1/ledger/head", &kept)
	if _, err := proof.OpenHead([]byte(kept.Note), key); err != nil || kept.Size < 5 {
		t.Fatalf("head of %d entries: %v", kept.Size, err)
	}
	write(8)
	var p Proved
	answer(fmt.Sprintf("/v1/ledger/proof?from=%d", kept.Size), &p)
	next, err := proof.OpenHead([]byte(p.Head.Note), key)
	if err != nil || next.Size != kept.Size+8 {
		t.Fatalf("head of %d entries after one of %d: %v", next.Size, kept.Size, err)
	}
	if err := p.Check(kept.Root, next.Root); err != nil {
		t.Error(err)
	}
	other := kept.Root
	other[0] ^= 1
	if p.Check(other, next.Root) == nil {
		t.Error("a root that never was is proven")
	}
	for path, want := range map[string]int{
		fmt.Sprintf("/v1/ledger/proof?from=%d", next.Size+1): http.StatusConflict,
		"/v1/ledger/proof?from=3&to=99999":                   http.StatusConflict,
		"/v1/ledger/proof?from=4&to=3":                       http.StatusBadRequest,
		"/v1/ledger/proof?from=-1":                           http.StatusBadRequest,
		"/v1/ledger/proof?from=x":                            http.StatusBadRequest,
		"/v1/ledger/proof":                                   http.StatusOK,
	} {
		if code, body := get(t, h, "GET", path); code != want {
			t.Errorf("%s: status %d, want %d: %s", path, code, want, body)
		}
	}
}
