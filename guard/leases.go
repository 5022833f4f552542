package guard

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"airlock/lease"
	"airlock/policies"
	"airlock/state"

	"golang.org/x/mod/sumdb/note"
)

// errLockdown: no lease is valid.
var errLockdown = errors.New("lockdown")

// folder is the executor's state folder, on this machine.
type folder struct{ state.Folder }

// read gives the lease of a door, unless nobody has leave.
func (f folder) read(door string) (lease.Lease, error) {
	l, err := lease.In(f.Folder).Read(door)
	locked, doubt := lease.Locked(f.Folder)
	if locked != nil {
		return l, inLockdown(*locked)
	}
	return l, errors.Join(err, doubt) // the guard errs to shutting: in doubt no lease is valid (S2)
}

// port is the one that counts as a door's own.
func (f folder) port(door string) (lease.Port, error) { return lease.ReadPort(f.Folder, door) }

func inLockdown(l lease.Lockdown) error {
	return fmt.Errorf("%w by %s since %s: %s", errLockdown, l.By, l.At.Format(time.RFC3339), l.Reason)
}

// remote is the executor's status listener, on another machine. A lease that it told lives
// on until it runs out, as one in a file does, while the executor does not answer.
type remote struct {
	url     string
	version string
	key     note.Verifier
	own     note.Signer // nil: nobody signs the questions
	client  *http.Client
	now     func() (lease.Instant, error)

	mu   sync.Mutex
	last map[string]lease.Lease // by door
	told []lease.Port           // ports of doors, by the executor's last word
}

func newRemote(l policies.Leases, version string, own note.Signer) (*remote, error) {
	key, err := note.NewVerifier(l.Key)
	if err != nil {
		return nil, fmt.Errorf("guard.leases.key: %w", err)
	}
	return &remote{
		url: l.URL, version: version, key: key, own: own, now: lease.Now, last: map[string]lease.Lease{},
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
// Where no answer can be had, it gives the lease that was told last, if there is one; an
// answer that is not the executor's ends it.
func (r *remote) read(door string) (lease.Lease, error) {
	l, err := r.fetch(door)
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.last[door]; ok && errors.Is(err, errNoAnswer) {
		return last, nil
	}
	delete(r.last, door)
	if err == nil {
		r.last[door] = l
	}
	return l, err
}

// port is the one that counts as a door's own, as the executor told last.
func (r *remote) port(door string) (lease.Port, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.told {
		if p.Door == door {
			return p, nil
		}
	}
	return lease.Port{}, fmt.Errorf("door %s: the executor has not told its port", door)
}

// errNoAnswer: the executor was not heard.
var errNoAnswer = errors.New("the executor does not tell its leases")

func (r *remote) fetch(door string) (lease.Lease, error) {
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
	r.mu.Lock()
	r.told = s.Ports
	r.mu.Unlock()
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
	if r.own != nil {
		signed, err := lease.SignQuestion(nonce, time.Now(), r.own)
		if err != nil {
			return nil, err
		}
		q.Header.Set(lease.QuestionHeader, signed)
	}
	a, err := r.client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	data, err := io.ReadAll(io.LimitReader(a.Body, lease.StatementLimit))
	if err = errors.Join(err, a.Body.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if a.StatusCode >= http.StatusInternalServerError { // it has no time, or cannot read what it knows
		return nil, fmt.Errorf("%w: it answers %s", errNoAnswer, a.Status)
	}
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the executor answers %s", a.Status)
	}
	return data, nil
}
