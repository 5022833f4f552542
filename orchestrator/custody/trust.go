package custody

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/notice"
	"airlock/state"
	"airlock/wholefile"
)

// A vault holds heads of the ledger behind a shut door: each generation names the newest.
// The last one that it is known to hold lies here as well, outside the ledger, so that the
// ledger is held to it when an executor starts, each day and before each opening; inside a
// window the vault's own newest generation is asked. A ledger that contradicts one of them
// is not the one that it was (S11), and what it takes in proves nothing: no vault's door is
// opened by it (S1), until a person has begun a new one. Doors are shut all the same (S2).

// begunAnew is what an entry of kind ledger is about after a person began a new one.
const begunAnew = "renewed"

// heldHead is a head that a vault is known to hold.
type heldHead struct{ vault, note string }

// heldHeads are the heads that vaults are known to hold.
func heldHeads(state state.Folder) ([]heldHead, error) {
	vaults, err := os.ReadDir(state.Vaults())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the heads of the ledger that vaults hold: %w", err)
	}
	var all []heldHead
	for _, vault := range vaults {
		text, err := os.ReadFile(state.Head(vault.Name()))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the head of the ledger that vault %s holds: %w", vault.Name(), err)
		}
		all = append(all, heldHead{vault.Name(), string(text)})
	}
	return all, nil
}

// KeepHead keeps the head that a vault holds.
func KeepHead(state state.Folder, vault, head string) error {
	file := state.Head(vault)
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = wholefile.Replace(file, []byte(head), 0o600)
	}
	if err != nil {
		return fmt.Errorf("the head of the ledger that vault %s holds: %w", vault, err)
	}
	return nil
}

// errForeignHead: a vault holds a head that no key of this site has signed.
var errForeignHead = errors.New("the head of the ledger that the vault holds is signed by no key of this site")

// compare holds the ledger to a head that a vault holds: a *proof.Conflict if it is not the
// ledger that the head was signed for. Heads of a ledger that was set aside, and of the
// machine whose place this one took, say nothing of this ledger.
func compare(ctx context.Context, state state.Folder, r *ledger.Reader, head string) error {
	if _, err := proof.ReadHead([]byte(head)); err != nil {
		return fmt.Errorf("%w; a file %s that is damaged may be removed, for the next window asks the vault itself", err, state.Head("VAULT"))
	}
	keys, err := Verifiers(state)
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
	return FormerHint(fmt.Errorf("%w: %w", errForeignHead, err), state)
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
func doubts(ctx context.Context, state state.Folder, r *ledger.Reader) ([]doubted, error) {
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
	return conflict || errors.Is(err, errForeignHead)
}

// joined is one error for all of them; nil for none.
func joined(all []doubted) error {
	errs := make([]error, len(all))
	for i, d := range all {
		errs[i] = d.err
	}
	return errors.Join(errs...)
}

// Doubt says why a ledger that nobody runs is not to be trusted; "" for no reason.
func Doubt(ctx context.Context, state state.Folder, r *ledger.Reader) (string, error) {
	all, err := doubts(ctx, state, r)
	if why := joined(all); why != nil {
		return why.Error(), err
	}
	return "", err
}

// renewHint is what a person does about a ledger that is not trusted.
const renewHint = "shutting goes on, and no vault's door is opened; keep the proofs, find out who did it, and then begin a new ledger: airlock audit renew --reason TEXT"

// Trust holds the ledger to what is known of it elsewhere, and says why it is not to be
// trusted. A reason that is new in this run is an alarm.
func (c *Custody) Trust(ctx context.Context) error {
	if c.journal.openErr != nil {
		return nil // nothing can be appended, and so nothing opened
	}
	switch err := c.underneath(ctx); {
	case errors.Is(err, ledger.ErrMoved), errors.Is(err, ledger.ErrChanged):
		return c.doubtAll(err)
	case err != nil: // S15: a question that had no answer is no doubt
		return err
	}
	all, unread := doubts(ctx, c.Policy.State, &c.journal.Ledger.Reader)
	for _, d := range all {
		c.distrust(d)
	}
	why := joined(all)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case why != nil:
		c.doubt = why.Error()
		why = fmt.Errorf("%w; %s", why, renewHint)
	case unread == nil: // else it may be as it was
		c.doubt = ""
	}
	return errors.Join(why, unread)
}

// distrust calls a person, once in a run for each reason, and leaves a proof where there
// can be one.
func (c *Custody) distrust(d doubted) {
	c.mu.Lock()
	known := c.distrusted[d.about]
	c.distrusted[d.about] = true
	c.mu.Unlock()
	if known {
		return
	}
	why := d.err.Error()
	if conflict, ok := errors.AsType[*proof.Conflict](d.err); ok {
		file, err := c.keepProof(conflict, "vault "+d.vault)
		if err != nil {
			c.Log.Error("no proof could be made of it", "error", err)
		} else {
			why += "; the proof is " + file
		}
	}
	c.Alarm(d.vault, notice.LedgerNotTrusted.Of(), why+"; "+renewHint)
}

// keepProof leaves a proof of a conflict that stands by itself, and names its file. One
// that is there already is older, and better.
func (c *Custody) keepProof(conflict *proof.Conflict, keptBy string) (string, error) {
	dir := c.Policy.State.Proofs()
	file := filepath.Join(dir, fmt.Sprintf("ledger-%d-%x.proof", conflict.Head.Size, conflict.Head.Root[:4]))
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	key, err := Signer(c.Policy.State)
	if err != nil {
		return "", err
	}
	text, err := proof.SignContradiction(conflict, keptBy, time.Now(), key)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = wholefile.Replace(file, text, 0o600)
	}
	return file, err
}

// Met holds the ledger to the head that the vault's newest generation names; "" for none. It
// is asked while the door is open, and waits for nothing but the ledger's own file.
func (c *Custody) Met(ctx context.Context, vault string, generation int64, head string) error {
	if head == "" {
		return nil
	}
	err := compare(ctx, c.Policy.State, &c.journal.Ledger.Reader, head)
	if err == nil {
		return nil
	}
	if _, contradicted := errors.AsType[*proof.Conflict](err); contradicted {
		// From now on it is known without opening the door, and a person is called.
		if err = KeepHead(c.Policy.State, vault, head); err == nil {
			err = c.Trust(ctx)
		}
	}
	return fmt.Errorf("nothing was sent, for generation %d names another ledger: %w", generation, err)
}

// Doubt is why the ledger was not to be trusted when that was looked at last; "" for no
// reason.
func (c *Custody) Doubt() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doubt
}
