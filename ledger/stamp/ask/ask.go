// Package ask gets time-stamps of heads from an authority outside, over HTTP.
package ask

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"airlock/ledger/proof"
	"airlock/ledger/stamp"

	"github.com/digitorus/timestamp"
)

// longest bounds an authority's answer, in bytes.
const longest = 1 << 20

// Authority has the one at url, http or https, stamp a head, and returns the token and
// the time it says, checked as stamp.Check does.
func Authority(ctx context.Context, client *http.Client, url string, head proof.Head, roots *x509.CertPool) (token []byte, at time.Time, err error) {
	token, err = ask(ctx, client, url, head)
	if err == nil {
		at, err = stamp.Check(token, head, roots)
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("time-stamp by %s: %w", url, err)
	}
	return token, at, nil
}

func ask(ctx context.Context, client *http.Client, url string, head proof.Head) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(head.Note))
	query, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest[:], Certificates: true, Nonce: nonce}).Marshal()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/timestamp-query")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, longest))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", response.Status)
	}
	answer, err := timestamp.ParseResponse(body)
	if err != nil {
		return nil, fmt.Errorf("it does not answer as a time-stamp authority does: is that the address of its RFC 3161 service? (%w)", err)
	}
	if answer.Nonce == nil || answer.Nonce.Cmp(nonce) != 0 {
		return nil, errors.New("it answers another question: the nonce differs")
	}
	return answer.RawToken, nil
}
