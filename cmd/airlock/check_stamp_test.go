package main

import (
	"bytes"
	"strings"
	"testing"

	"airlock/ledger/stamp/stamptest"
	"airlock/policies"
)

// A check tells on the day that the policy is written what would be an alarm days later.
func TestCheckAsksTheAuthority(t *testing.T) {
	a, other := stamptest.New(t), stamptest.New(t)
	if f := reachAuthority(t.Context(), policies.Timestamps{URL: a.URL, CA: a.CA}); !f.OK {
		t.Errorf("an authority that is sound: %s", f.Text)
	}
	if f := reachAuthority(t.Context(), policies.Timestamps{URL: a.URL, CA: other.CA}); f.OK || !strings.Contains(f.Text, "its certificates are to be named") {
		t.Errorf("an authority that nobody named: %+v", f)
	}
	a.Twist = func(_, _ []byte) []byte { return bytes.Repeat([]byte("<html>"), 9) }
	if f := reachAuthority(t.Context(), policies.Timestamps{URL: a.URL, CA: a.CA}); f.OK || !strings.Contains(f.Text, "RFC 3161 service") {
		t.Errorf("a web page: %+v", f)
	}
}
