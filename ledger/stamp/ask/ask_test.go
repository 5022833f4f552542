package ask

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
	"strings"
	"testing"
	"time"

	"airlock/ledger/stamp"
	"airlock/ledger/stamp/stamptest"

	"github.com/digitorus/timestamp"
)

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
	h := stamptest.Head(t, 7)
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
	if _, _, err := Authority(t.Context(), http.DefaultClient, posing.URL, h, pool); err == nil || !strings.Contains(err.Error(), "key usage") {
		t.Errorf("a web server's certificate stamps: %v", err)
	}
	replays := stamptest.New(t)
	var first []byte
	replays.Twist = func(_, answer []byte) []byte {
		if first == nil {
			first = bytes.Clone(answer)
		}
		return first
	}
	if _, _, err := Authority(t.Context(), http.DefaultClient, replays.URL, h, replays.Roots()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Authority(t.Context(), http.DefaultClient, replays.URL, h, replays.Roots()); err == nil || !strings.Contains(err.Error(), "nonce") {
		t.Errorf("an old answer: %v", err)
	}
	nonsense := stamptest.New(t)
	nonsense.Twist = func(query, _ []byte) []byte { return query }
	if _, _, err := Authority(t.Context(), http.DefaultClient, nonsense.URL, h, nonsense.Roots()); err == nil || !strings.Contains(err.Error(), "RFC 3161 service") {
		t.Errorf("nonsense: %v", err)
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(closed.Close)
	if _, _, err := Authority(t.Context(), http.DefaultClient, closed.URL, h, replays.Roots()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("not found: %v", err)
	}
	if _, err := stamp.Authorities(replays.Write("none", "no certificate")); err == nil {
		t.Error("a file without certificates was taken")
	}
}
