package stamp_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"airlock/ledger/proof"
	"airlock/ledger/stamp"
)

// kept reads a file of testdata, which OpenSSL wrote: a head's note, the token of it, and
// the authority's certificate.
func kept(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A token comes out of an export that anybody may have written: whatever it is, it is
// refused, or says the time that the authority said. It is believed long after its
// certificate ran out.
func FuzzCheck(f *testing.F) {
	token, h := kept(f, "token"), proof.Head{Note: string(kept(f, "note"))}
	roots, err := stamp.Authorities(filepath.Join("testdata", "ca.pem"))
	if err != nil {
		f.Fatal(err)
	}
	at, err := stamp.Check(token, h, roots)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(token[:len(token)/2])
	f.Add([]byte{0x30, 0x80, 0x30, 0x80, 0x30, 0x80, 0, 0, 0, 0, 0, 0}) // lengths that are told at the end
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := stamp.Check(data, h, roots); err == nil && !got.Equal(at) {
			t.Fatalf("%v is believed, and the authority said %v", got, at)
		}
		if _, err := stamp.Check(data, h, x509.NewCertPool()); err == nil {
			t.Fatal("a token is believed that nobody's certificate vouches for")
		}
	})
}

// An export may hold as many time-stamps that are worth nothing as it likes.
func TestWrongStampsAreBounded(t *testing.T) {
	var a stamp.Audit
	for range 1500 {
		a.Take(proof.Stamp{Token: kept(t, "token")}, nil, x509.NewCertPool(), nil)
	}
	if a.All != 1500 || len(a.Wrong) != 1000 || a.Checked != 0 || len(a.Held) != 0 {
		t.Errorf("%d stamps, %d wrong, %d hold", a.All, len(a.Wrong), a.Checked)
	}
}
