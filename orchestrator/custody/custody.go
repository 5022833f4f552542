package custody

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"airlock/ledger"
	"airlock/ledger/syslog"
	"airlock/notice"
	"airlock/policies"
	"airlock/state"
)

// Config is what custody needs of whoever runs the site.
type Config struct {
	Policy policies.Policy
	Log    *slog.Logger
	Begun  time.Time // when the executor began: an authority is missed from then on
	// Alarm calls a person; vault is "" where it is about none. It is never called with a lock
	// of custody's held.
	Alarm func(vault string, n notice.Notice, why string)
	// Busy reports whether a window is planned or in progress: verifying makes way for it.
	Busy func() bool
}

// Custody holds a site's ledger to what is known of it elsewhere.
type Custody struct {
	Config
	journal *Journal

	mu         sync.Mutex        // never held while anything is waited for: the status takes it
	forwarder  *syslog.Forwarder // to the SIEM; nil unless serve runs with one
	doubt      string            // why the ledger was not to be trusted when that was looked at last
	distrusted map[string]bool   // what of that was an alarm in this run

	unread unread // with a mutex of its own
}

// New is the custody of what j writes to. It looks at nothing yet.
func New(c Config, j *Journal) *Custody {
	return &Custody{Config: c, journal: j, distrusted: map[string]bool{}}
}

// Description is what a ledger, and the state folder in which it lies, tell of it.
type Description struct {
	Entries    int64
	Root       string    // of the tree over the entries, in base64
	Head       string    // the newest signed one, a note; "" for none
	Key        string    // the public key by which it is signed; "" for none
	VerifiedAt time.Time // when all of it was last found sound; zero for never
}

// Describe reads it, whoever runs the ledger. With an error it has what could be read.
func Describe(ctx context.Context, state state.Folder, r *ledger.Reader) (d Description, err error) {
	v, err := readVerified(state)
	if err != nil {
		return d, err
	}
	d.VerifiedAt, d.Key = v.At, publicKey(state)
	if d.Entries, err = r.Count(ctx); err != nil {
		return d, err
	}
	root, err := r.Root(ctx, d.Entries)
	if err != nil {
		return d, err
	}
	d.Root = root.String()
	head, ok, err := r.LastHead(ctx)
	if ok {
		d.Head = head.Note
	}
	return d, err
}
