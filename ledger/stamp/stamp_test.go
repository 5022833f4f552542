package stamp_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"airlock/ledger/stamp"
	"airlock/ledger/stamp/ask"
	"airlock/ledger/stamp/stamptest"
)

func TestStamp(t *testing.T) {
	a := stamptest.New(t)
	h := stamptest.Head(t, 7)
	began := time.Now().Add(-2 * time.Second)
	token, at, err := ask.Authority(t.Context(), http.DefaultClient, a.URL, h, a.Roots())
	if err != nil {
		t.Fatal(err)
	}
	if at.Before(began) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("stamped at %v", at)
	}
	if again, err := stamp.Check(token, h, a.Roots()); err != nil || !again.Equal(at) {
		t.Errorf("checked later: %v, %v", again, err)
	}
	if _, err := stamp.Check(token, stamptest.Head(t, 8), a.Roots()); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("another head: %v", err)
	}
	if _, err := stamp.Check(token, h, stamptest.New(t).Roots()); err == nil {
		t.Error("a stamp of an authority that nobody named is believed")
	}
	// OpenSSL itself agrees.
	a.OpenSSL("ts", "-verify", "-token_in", "-in", a.Write("token", string(token)), "-data", a.Write("note", h.Note), "-CAfile", a.CA)
}

// Every byte of a token matters that says anything: whichever is changed, the token is
// refused, or says the same time of the same head.
func TestChangedTokens(t *testing.T) {
	a := stamptest.New(t)
	h, believed := stamptest.Head(t, 7), a.Roots()
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
