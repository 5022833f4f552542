// Package stamptest is a time-stamp authority for tests: OpenSSL's, behind HTTP.
package stamptest

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"airlock/ledger/proof"
	"airlock/ledger/stamp"

	"golang.org/x/mod/sumdb/note"
)

// Authority stamps what it is asked to.
type Authority struct {
	URL string
	CA  string // the file of its certificate, in PEM
	// Twist changes what a client is answered; nil is honest.
	Twist func(query, answer []byte) []byte

	t   testing.TB
	dir string
}

const settings = `
[tsa]
default_tsa = one
[one]
dir = DIR
serial = DIR/serial
crypto_device = builtin
signer_cert = DIR/tsa.pem
certs = DIR/ca.pem
signer_key = DIR/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
[usage]
extendedKeyUsage = critical,timeStamping
`

// New starts an authority that ends with the test. Where openssl is not installed the test
// is skipped, or fails with CI=true.
func New(t testing.TB) *Authority {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed; lab/install.sh installs it")
		}
		t.Skip("openssl is not installed; lab/install.sh installs it")
	}
	a := &Authority{t: t, dir: t.TempDir()}
	a.CA = a.path("ca.pem")
	a.Write("conf", strings.ReplaceAll(settings, "DIR", a.dir))
	a.Write("serial", "01\n")
	a.OpenSSL("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", a.path("ca.key"), "-out", a.CA, "-subj", "/CN=test authority", "-days", "2")
	a.OpenSSL("req", "-newkey", "rsa:2048", "-nodes", "-keyout", a.path("tsa.key"), "-out", a.path("tsa.csr"), "-subj", "/CN=test stamps")
	a.OpenSSL("x509", "-req", "-in", a.path("tsa.csr"), "-CA", a.CA, "-CAkey", a.path("ca.key"), "-CAcreateserial", "-days", "1", "-extfile", a.path("conf"), "-extensions", "usage", "-out", a.path("tsa.pem"))
	server := httptest.NewServer(http.HandlerFunc(a.answer))
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

// Roots is its certificate, to believe it by.
func (a *Authority) Roots() *x509.CertPool {
	a.t.Helper()
	pool, err := stamp.Authorities(a.CA)
	if err != nil {
		a.t.Fatal(err)
	}
	return pool
}

// Head is a head of that many entries, signed by a key that nobody knows.
func Head(t testing.TB, size int64) proof.Head {
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

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

// Write puts a file into the authority's folder, and gives its name.
func (a *Authority) Write(name, text string) string {
	a.t.Helper()
	if err := os.WriteFile(a.path(name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return a.path(name)
}

// OpenSSL runs openssl, which must agree.
func (a *Authority) OpenSSL(args ...string) {
	a.t.Helper()
	if out, err := exec.CommandContext(a.t.Context(), "openssl", args...).CombinedOutput(); err != nil {
		a.t.Fatalf("openssl %s: %v\n%s", args[0], err, out)
	}
}

func (a *Authority) answer(w http.ResponseWriter, r *http.Request) {
	var query bytes.Buffer
	if _, err := query.ReadFrom(r.Body); err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "no query", http.StatusBadRequest)
		return
	}
	reply := exec.CommandContext(r.Context(), "openssl", "ts", "-reply", "-config", a.path("conf"), "-queryfile", a.Write("query", query.String()))
	answer, err := reply.Output()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if a.Twist != nil {
		answer = a.Twist(query.Bytes(), answer)
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.Write(answer)
}
