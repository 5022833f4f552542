package stamp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/ledger/proof"

	"github.com/digitorus/timestamp"
	"golang.org/x/mod/sumdb/note"
)

// authority is OpenSSL's time-stamp authority behind HTTP.
type authority struct {
	t   *testing.T
	dir string
	url string
	// twist changes what a client is answered; nil is honest.
	twist func(query, answer []byte) []byte
}

const authorityConf = `
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

func newAuthority(t *testing.T) *authority {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed; lab/install.sh installs it")
		}
		t.Skip("openssl is not installed; lab/install.sh installs it")
	}
	a := &authority{t: t, dir: t.TempDir()}
	a.write("conf", strings.ReplaceAll(authorityConf, "DIR", a.dir))
	a.write("serial", "01\n")
	a.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", a.path("ca.key"), "-out", a.path("ca.pem"), "-subj", "/CN=test authority", "-days", "2")
	a.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", a.path("tsa.key"), "-out", a.path("tsa.csr"), "-subj", "/CN=test stamps")
	a.openssl("x509", "-req", "-in", a.path("tsa.csr"), "-CA", a.path("ca.pem"), "-CAkey", a.path("ca.key"), "-CAcreateserial", "-days", "1", "-extfile", a.path("conf"), "-extensions", "usage", "-out", a.path("tsa.pem"))
	server := httptest.NewServer(http.HandlerFunc(a.answer))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(a.path(name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) openssl(args ...string) {
	a.t.Helper()
	if out, err := exec.CommandContext(a.t.Context(), "openssl", args...).CombinedOutput(); err != nil {
		a.t.Fatalf("openssl %s: %v\n%s", args[0], err, out)
	}
}

func (a *authority) answer(w http.ResponseWriter, r *http.Request) {
	var query bytes.Buffer
	if _, err := query.ReadFrom(r.Body); err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "no query", http.StatusBadRequest)
		return
	}
	a.write("query", query.String())
	a.openssl("ts", "-reply", "-config", a.path("conf"), "-queryfile", a.path("query"), "-out", a.path("answer"))
	answer, err := os.ReadFile(a.path("answer"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if a.twist != nil {
		answer = a.twist(query.Bytes(), answer)
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.Write(answer)
}

func (a *authority) roots() *x509.CertPool {
	a.t.Helper()
	pool, err := Authorities(a.path("ca.pem"))
	if err != nil {
		a.t.Fatal(err)
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
	a := newAuthority(t)
	h := head(t, 7)
	began := time.Now().Add(-2 * time.Second)
	token, at, err := Ask(t.Context(), http.DefaultClient, a.url, h, a.roots())
	if err != nil {
		t.Fatal(err)
	}
	if at.Before(began) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("stamped at %v", at)
	}
	if again, err := Check(token, h, a.roots()); err != nil || !again.Equal(at) {
		t.Errorf("checked later: %v, %v", again, err)
	}
	if _, err := Check(token, head(t, 8), a.roots()); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("another head: %v", err)
	}
	if _, err := Check(token, h, newAuthority(t).roots()); err == nil {
		t.Error("a stamp of an authority that nobody named is believed")
	}
	// OpenSSL itself agrees.
	a.write("token", string(token))
	a.write("note", h.Note)
	a.openssl("ts", "-verify", "-token_in", "-in", a.path("token"), "-data", a.path("note"), "-CAfile", a.path("ca.pem"))
}

// Every byte of a token matters that says anything: whichever is changed, the token is
// refused, or says the same time of the same head.
func TestChangedTokens(t *testing.T) {
	a := newAuthority(t)
	h, roots := head(t, 7), a.roots()
	token, at, err := Ask(t.Context(), http.DefaultClient, a.url, h, roots)
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		changed := bytes.Clone(token)
		changed[i] ^= 1 << (i % 8)
		if got, err := Check(changed, h, roots); err == nil && !got.Equal(at) {
			t.Fatalf("byte %d changed: %v is believed", i, got)
		}
	}
}

// webServer makes a certificate of an authority that is not for time-stamping.
func webServer(t *testing.T) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func TestAuthorityThatCannotBeBelieved(t *testing.T) {
	h := head(t, 7)
	web, key := webServer(t)
	pool := x509.NewCertPool()
	pool.AddCert(web)
	posing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked, err := timestamp.ParseRequest(query)
		if err != nil {
			t.Error(err)
			return
		}
		answer, err := (&timestamp.Timestamp{
			HashAlgorithm: asked.HashAlgorithm, HashedMessage: asked.HashedMessage, Nonce: asked.Nonce, Time: time.Now(), Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true,
		}).CreateResponseWithOpts(web, key, crypto.SHA256)
		if err != nil {
			t.Error(err)
		}
		w.Write(answer)
	}))
	t.Cleanup(posing.Close)
	if _, _, err := Ask(t.Context(), http.DefaultClient, posing.URL, h, pool); err == nil || !strings.Contains(err.Error(), "key usage") {
		t.Errorf("a web server's certificate stamps: %v", err)
	}
	replays := newAuthority(t)
	var first []byte
	replays.twist = func(_, answer []byte) []byte {
		if first == nil {
			first = bytes.Clone(answer)
		}
		return first
	}
	if _, _, err := Ask(t.Context(), http.DefaultClient, replays.url, h, replays.roots()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Ask(t.Context(), http.DefaultClient, replays.url, h, replays.roots()); err == nil || !strings.Contains(err.Error(), "nonce") {
		t.Errorf("an old answer: %v", err)
	}
	nonsense := newAuthority(t)
	nonsense.twist = func(query, _ []byte) []byte { return query }
	if _, _, err := Ask(t.Context(), http.DefaultClient, nonsense.url, h, nonsense.roots()); err == nil {
		t.Error("nonsense is believed")
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(closed.Close)
	if _, _, err := Ask(t.Context(), http.DefaultClient, closed.URL, h, replays.roots()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("not found: %v", err)
	}
	if _, err := Authorities(replays.path("conf")); err == nil {
		t.Error("a file without certificates was taken")
	}
}
