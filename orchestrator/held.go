package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/notice"
	"airlock/policies"
	"airlock/vault"
	"airlock/wholefile"
)

// A vault holds heads of the ledger behind a shut door: each generation names the newest.
// The last one that it is known to hold lies here as well, outside the ledger, so that the
// ledger is held to it when an executor starts, each day and before each opening; inside a
// window the vault's own newest generation is asked. A ledger that contradicts one of them
// is not the one that it was (S11), and what it takes in proves nothing: no vault's door is
// opened by it (S1), until a person has begun a new one. Doors are shut all the same (S2).

const (
	heldFile  = "head.note" // in the folder of a vault's memory
	proofsDir = "proofs"    // of contradictions
	begunAnew = "renewed"   // what an entry of kind ledger is about after a person began a new one
)

// heldHead is a head that a vault is known to hold.
type heldHead struct{ vault, note string }

// heldHeads are the heads that vaults are known to hold.
func heldHeads(state string) ([]heldHead, error) {
	files, err := filepath.Glob(filepath.Join(state, "vaults", "*", heldFile))
	if err != nil {
		return nil, err
	}
	var all []heldHead
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("the head of the ledger that a vault holds: %w", err)
		}
		all = append(all, heldHead{filepath.Base(filepath.Dir(file)), string(text)})
	}
	return all, nil
}

// keepHead keeps the head that a vault holds.
func keepHead(state, vault, head string) error {
	dir := filepath.Join(state, "vaults", vault)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = wholefile.Replace(filepath.Join(dir, heldFile), []byte(head))
	}
	if err != nil {
		return fmt.Errorf("the head of the ledger that vault %s holds: %w", vault, err)
	}
	return nil
}

// ErrForeignHead: a vault holds a head that no key of this site has signed.
var ErrForeignHead = errors.New("the head of the ledger that the vault holds is signed by no key of this site")

// compare holds the ledger to a head that a vault holds: a *proof.Conflict if it is not the
// ledger that the head was signed for. Heads of a ledger that was set aside, and of the
// machine whose place this one took, say nothing of this ledger.
func compare(ctx context.Context, state string, r *ledger.Reader, head string) error {
	if _, err := proof.ReadHead([]byte(head)); err != nil {
		return fmt.Errorf("%w; a file %s that is damaged may be removed, for the next window asks the vault itself", err, heldFile)
	}
	keys, err := siteVerifiers(state)
	if errors.Is(err, fs.ErrNotExist) { // it signs none, and knows none
		return nil
	}
	if err != nil {
		return err
	}
	before, _, err := r.Replaces(ctx)
	if err != nil {
		return err
	}
	if head == before.Head || slices.Contains(before.Held, head) {
		return nil
	}
	outside, err := proof.OpenHead([]byte(head), keys[0])
	if err == nil {
		return r.Against(ctx, outside)
	}
	if _, former := proof.OpenHead([]byte(head), keys[1:]...); former == nil {
		return nil
	}
	return formerHint(fmt.Errorf("%w: %w", ErrForeignHead, err), state)
}

// doubted is a reason not to trust the ledger.
type doubted struct {
	vault string // which holds a head that contradicts it; "" if that is not it
	about string // by which it is known again, while the ledger grows
	err   error
}

// doubts are the reasons not to trust the ledger, as far as they are seen at once. Its error
// says what could not be compared: that is no reason, and no leave to open a door either
// (S15).
func doubts(ctx context.Context, state string, r *ledger.Reader) ([]doubted, error) {
	var all []doubted
	v, unread := readVerified(state)
	if v.Unsound != "" {
		all = append(all, doubted{about: v.Unsound, err: fmt.Errorf("the ledger was found changed or damaged on %s: %s", v.UnsoundAt.Format(time.RFC3339), v.Unsound)})
	}
	held, err := heldHeads(state)
	unread = errors.Join(unread, err)
	for _, h := range held {
		switch err := compare(ctx, state, r, h.note); {
		case err == nil:
		case contradicts(err):
			all = append(all, doubted{h.vault, h.note, fmt.Errorf("the ledger contradicts the head that vault %s holds: %w", h.vault, err)})
		default:
			unread = errors.Join(unread, fmt.Errorf("the ledger cannot be compared just now with the head that vault %s holds: %w", h.vault, err))
		}
	}
	return all, unread
}

// contradicts reports whether an error of compare is what it found, and not why it could
// not look.
func contradicts(err error) bool {
	_, conflict := errors.AsType[*proof.Conflict](err)
	return conflict || errors.Is(err, ErrForeignHead)
}

// joined is one error for all of them; nil for none.
func joined(all []doubted) error {
	errs := make([]error, len(all))
	for i, d := range all {
		errs[i] = d.err
	}
	return errors.Join(errs...)
}

// doubtIn says why a ledger that nobody runs is not to be trusted; "" for no reason.
func doubtIn(ctx context.Context, state string, r *ledger.Reader) (string, error) {
	all, err := doubts(ctx, state, r)
	if why := joined(all); why != nil {
		return why.Error(), err
	}
	return "", err
}

// renewHint is what a person does about a ledger that is not trusted.
const renewHint = "shutting goes on, and no vault's door is opened; keep the proofs, find out who did it, and then begin a new ledger: airlock audit renew --reason TEXT"

// trust holds the ledger to what is known of it elsewhere, and says why it is not to be
// trusted. A reason that is new in this run is an alarm.
func (s *Site) trust(ctx context.Context) error {
	if s.journal.openErr != nil {
		return nil // nothing can be appended, and so nothing opened
	}
	switch err := s.underneath(ctx); {
	case errors.Is(err, ledger.ErrMoved), errors.Is(err, ledger.ErrChanged):
		return s.doubtAll(err)
	case err != nil: // S15: a question that had no answer is no doubt
		return err
	}
	all, unread := doubts(ctx, s.policy.State, &s.journal.Ledger.Reader)
	for _, d := range all {
		s.distrust(d)
	}
	why := joined(all)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case why != nil:
		s.doubt = why.Error()
		why = fmt.Errorf("%w; %s", why, renewHint)
	case unread == nil: // else it may be as it was
		s.doubt = ""
	}
	return errors.Join(why, unread)
}

// distrust calls a person, once in a run for each reason, and leaves a proof where there
// can be one.
func (s *Site) distrust(d doubted) {
	s.mu.Lock()
	known := s.distrusted[d.about]
	s.distrusted[d.about] = true
	s.mu.Unlock()
	if known {
		return
	}
	why := d.err.Error()
	if c, ok := errors.AsType[*proof.Conflict](d.err); ok {
		file, err := s.keepProof(c, "vault "+d.vault)
		if err != nil {
			s.options.Log.Error("no proof could be made of it", "error", err)
		} else {
			why += "; the proof is " + file
		}
	}
	s.alarm(Alarm{At: time.Now(), Vault: d.vault, Notice: notice.LedgerNotTrusted.Of(), Why: why + "; " + renewHint})
}

// keepProof leaves a proof of a conflict that stands by itself, and names its file. One
// that is there already is older, and better.
func (s *Site) keepProof(c *proof.Conflict, keptBy string) (string, error) {
	dir := filepath.Join(s.policy.State, proofsDir)
	file := filepath.Join(dir, fmt.Sprintf("ledger-%d-%x.proof", c.Head.Size, c.Head.Root[:4]))
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	key, err := siteSigner(s.policy.State)
	if err != nil {
		return "", err
	}
	text, err := proof.SignContradiction(c, keptBy, time.Now(), key)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = wholefile.Replace(file, text)
	}
	return file, err
}

// meet holds the ledger to the head that the vault's newest generation names. It is asked
// while the door is open, and waits for nothing but the ledger's own file.
func (s *Site) meet(ctx context.Context, vaultName string, g *vault.Generation) error {
	if g.Ledger == "" {
		return nil
	}
	err := compare(ctx, s.policy.State, &s.journal.Ledger.Reader, g.Ledger)
	if err == nil {
		return nil
	}
	if _, contradicted := errors.AsType[*proof.Conflict](err); contradicted {
		// From now on it is known without opening the door, and a person is called.
		if err = keepHead(s.policy.State, vaultName, g.Ledger); err == nil {
			err = s.trust(ctx)
		}
	}
	return fmt.Errorf("nothing was sent, for generation %d names another ledger: %w", g.Number, err)
}

// Renew sets a ledger aside that cannot be trusted, and begins a new one that names it, its
// last head and those that vaults hold. It is a person's decision, for which a reason is
// needed. No executor may run (ErrBusy). A ledger against which nothing speaks stays.
func Renew(ctx context.Context, p policies.Policy, by Caller) (moved string, err error) {
	lock, err := takeLock(p.State)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	path := filepath.Join(p.State, ledgerFile)
	why, err := untrustedFor(ctx, p.State, path)
	if err != nil {
		return "", err
	}
	if why == nil {
		return "", errors.New("nothing speaks against the ledger, so it stays: airlock audit verify looks at all of it")
	}
	key, err := siteSigner(p.State)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if moved, err = setAside(path, why); err != nil {
		return "", err
	}
	l, err := ledger.Open(ctx, path, ledger.Options{Signer: key})
	if err != nil {
		return moved, err
	}
	_, err = l.Append(ctx, ledger.Entry{
		Time: time.Now(), Kind: ledger.KindLedger, Actor: by.Actor, Reason: by.Reason, To: begunAnew,
		Detail: detail(map[string]string{"file": filepath.Base(moved)}),
	})
	return moved, errors.Join(err, l.Close(), forgetVerified(p.State))
}

// untrustedFor is why the ledger is not to be trusted; nil for no reason.
func untrustedFor(ctx context.Context, state, path string) (why, err error) {
	r, err := ledger.OpenReader(ctx, path)
	if errors.Is(err, ledger.ErrDamaged) {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := doubts(ctx, state, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return joined(all), nil
}

// setAside moves the ledger out of the way; the next one names the heads that vaults hold.
func setAside(path string, why error) (moved string, err error) {
	held, err := heldHeads(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	var notes []string
	for _, h := range held {
		notes = append(notes, h.note)
	}
	moved, _, err = ledger.SetAside(path, why, notes...)
	return moved, err
}
