package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/blob"
	"airlock/ledger/proof/notetest"
	"airlock/vault"

	"golang.org/x/mod/sumdb/note"
)

// vouchingStore is the vault of a host in memory that gives receipts, and of blobs knows
// only where they lie.
type vouchingStore struct {
	*mapStore
	host note.Signer

	mu    sync.Mutex
	holds map[string]bool // blobs, by path
	asked []int           // how many blobs each receipt lacked
}

func (s *vouchingStore) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	if !vault.IsBlobFile(name) {
		return s.mapStore.Put(ctx, name, size, r)
	}
	_, err := io.Copy(io.Discard, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds[name] = true
	return err
}

func (s *vouchingStore) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	number := vault.ReceiptOf(name)
	if number == 0 {
		return s.mapStore.Open(ctx, name, off, n)
	}
	manifest := s.get(vault.GenerationPath(number))
	g, err := vault.Decode(manifest)
	if err != nil {
		return nil, err
	}
	r := vault.Receipt{Vault: "host", Site: g.Site, Generation: number, Hash: sha256.Sum256(manifest), Blobs: len(g.Blobs)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range g.Blobs {
		if !s.holds[e.At()] && len(r.Lacks) < vault.MaxLacks {
			r.Lacks = append(r.Lacks, blob.Fault{Name: e.Name, Why: "missing"})
		}
	}
	s.asked = append(s.asked, len(r.Lacks))
	file, err := r.Sign(s.host)
	return io.NopCloser(bytes.NewReader(file)), err
}

// A vault that lost more blobs than one receipt can name gets all of them again in the
// same window: each receipt names others.
func TestMoreLacksThanFit(t *testing.T) {
	signer, verifier := notetest.Keys(t, "host")
	w := newWorld(t)
	s := &vouchingStore{mapStore: newMapStore(), host: signer, holds: map[string]bool{}}
	const lost = vault.MaxLacks + 5
	for n := range lost {
		w.write(fmt.Sprintf("p%030d", n), []byte{byte(n), byte(n >> 8)})
	}
	send := func() vault.Report {
		t.Helper()
		in := w.input()
		in.HostKey = verifier
		plan, err := vault.NewPlan(in)
		if err != nil {
			t.Fatal(err)
		}
		report, err := plan.Send(t.Context(), s, w, nil)
		if err != nil || report.Receipt == nil || !report.Receipt.Whole() {
			t.Fatalf("%+v, %v", report.Receipt, err)
		}
		return report
	}
	send()
	clear(s.holds)
	s.asked = nil
	w.nights++
	report := send()
	if fmt.Sprint(s.asked) != fmt.Sprint([]int{vault.MaxLacks, lost - vault.MaxLacks, 0}) || report.Resent != lost || len(s.holds) != lost {
		t.Errorf("receipts lacked %v; %d blobs were sent again, and %d are there", s.asked, report.Resent, len(s.holds))
	}
}

// The longest receipt that a host can give is one that a site reads.
func TestLongestReceipt(t *testing.T) {
	signer, _ := notetest.Keys(t, "host")
	var zero blob.Sum
	r := vault.Receipt{Vault: "host", Site: "lab", Generation: 1, Time: time.Now(), Ledger: strings.Repeat("x", 4<<10)}
	for range vault.MaxLacks {
		r.Lacks = append(r.Lacks, blob.Fault{Name: strings.Repeat("p", 200), Why: fmt.Sprintf("SHA-256 %s instead of %s", zero, zero)})
	}
	file, err := r.Sign(signer)
	if err != nil || len(file) > 8<<20 { // maxReceipt
		t.Errorf("%d bytes, %v", len(file), err)
	}
}
