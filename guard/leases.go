package guard

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"airlock/lease"
	"airlock/policies"

	"golang.org/x/mod/sumdb/note"
)

// errLockdown: no lease is valid.
var errLockdown = errors.New("lockdown")

// folder is the executor's state folder, on this machine.
type folder string

// read gives the lease of a door, unless nobody has leave.
func (f folder) read(door string) (lease.Lease, error) {
	l, err := lease.In(string(f)).Read(door)
	locked, doubt := lease.Locked(string(f))
	if locked != nil && doubt == nil {
		return l, inLockdown(*locked)
	}
	return l, errors.Join(err, doubt)
}

func inLockdown(l lease.Lockdown) error {
	return fmt.Errorf("%w by %s since %s: %s", errLockdown, l.By, l.At.Format(time.RFC3339), l.Reason)
}

// remote is the executor's status listener, on another machine.
type remote struct {
	url     string
	version string
	key     note.Verifier
	client  *http.Client
	now     func() (lease.Instant, error)
}

func newRemote(l policies.Leases, version string) (*remote, error) {
	key, err := note.NewVerifier(l.Key)
	if err != nil {
		return nil, fmt.Errorf("guard.leases.key: %w", err)
	}
	return &remote{
		url: l.URL, version: version, key: key, now: lease.Now,
		client: &http.Client{
			Timeout: leaseWithin * 9 / 10, // so that no answer waits for the next look
			Transport: &http.Transport{ // and no proxy
				MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// read asks for the lease of a door, and gives it with its times on this machine's clock.
func (r *remote) read(door string) (lease.Lease, error) {
	asked, err := r.now()
	if err != nil {
		return lease.Lease{}, err
	}
	nonce := rand.Text()
	data, err := r.ask(nonce)
	if err != nil {
		return lease.Lease{}, err
	}
	s, err := lease.OpenStatement(data, r.key, nonce)
	if err != nil {
		return lease.Lease{}, err
	}
	l, err := s.Lease(door, asked)
	if s.Lockdown != nil {
		return l, inLockdown(*s.Lockdown)
	}
	return l, err
}

func (r *remote) ask(nonce string) ([]byte, error) {
	q, err := http.NewRequest(http.MethodGet, r.url+"/v1/leases?nonce="+url.QueryEscape(nonce), nil)
	if err != nil {
		return nil, fmt.Errorf("ask the executor for its leases: %w", err)
	}
	q.Header.Set("User-Agent", "airlock-guard/"+r.version)
	a, err := r.client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("ask the executor for its leases: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(a.Body, lease.StatementLimit))
	if err = errors.Join(err, a.Body.Close()); err != nil {
		return nil, fmt.Errorf("the executor's answer: %w", err)
	}
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the executor answers %s", a.Status)
	}
	return data, nil
}
