package stamp_test

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"airlock/ledger/proof"
	"airlock/ledger/stamp"
	"airlock/ledger/stamp/ask"
	"airlock/ledger/stamp/stamptest"

	"golang.org/x/mod/sumdb/note"
)

func roots(t *testing.T, a *stamptest.Authority) *x509.CertPool {
	t.Helper()
	pool, err := stamp.Authorities(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func head(t *testing.T, size int64) proof.Head {
	t.Helper()
	private, _, err := note.GenerateKey(nil, "kitano")
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	h, err := proof.SignHead(size, proof.Hash{1, 2, 3}, key)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestStamp(t *testing.T) {
	a := stamptest.New(t)
	h := head(t, 7)
	began := time.Now().Add(-2 * time.Second)
	token, at, err := ask.Authority(t.Context(), http.DefaultClient, a.URL, h, roots(t, a))
	if err != nil {
		t.Fatal(err)
	}
	if at.Before(began) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("stamped at %v", at)
	}
	if again, err := stamp.Check(token, h, roots(t, a)); err != nil || !again.Equal(at) {
		t.Errorf("checked later: %v, %v", again, err)
	}
	if _, err := stamp.Check(token, head(t, 8), roots(t, a)); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("another head: %v", err)
	}
	if _, err := stamp.Check(token, h, roots(t, stamptest.New(t))); err == nil {
		t.Error("a stamp of an authority that nobody named is believed")
	}
	// OpenSSL itself agrees.
	a.OpenSSL("ts", "-verify", "-token_in", "-in", a.Write("token", string(token)), "-data", a.Write("note", h.Note), "-CAfile", a.CA)
}

// Every byte of a token matters that says anything: whichever is changed, the token is
// refused, or says the same time of the same head.
func TestChangedTokens(t *testing.T) {
	a := stamptest.New(t)
	h, believed := head(t, 7), roots(t, a)
	token, at, err := ask.Authority(t.Context(), http.DefaultClient, a.URL, h, believed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		changed := bytes.Clone(token)
		changed[i] ^= 1 << (i % 8)
		if got, err := stamp.Check(changed, h, believed); err == nil && !got.Equal(at) {
			t.Fatalf("byte %d changed: %v is believed", i, got)
		}
	}
}
