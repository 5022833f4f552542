package orchestrator

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"airlock/orchestrator/custody"
	"airlock/vault"
)

// knownBy fills in what the vault of a plan is known again by (S16): the last generation
// that it is remembered to hold, and, where nobody keeps it but airlock, every one that no
// window has dropped.
func (s *Site) knownBy(in *vault.PlanInput, memory *vault.Memory) (err error) {
	if last := memory.Last(); last != nil {
		in.Identity.Standing = []int64{last.Number}
	}
	if s.policy.Vaults[in.Vault].ReceiptKey == "" {
		register, err := vault.OpenRegister(s.policy.State.Vault(in.Vault))
		if err != nil {
			return err
		}
		in.Identity.Standing = append(register.Expected(), in.Identity.Standing...)
	}
	slices.Sort(in.Identity.Standing)
	in.Identity.Standing = slices.Compact(in.Identity.Standing)
	in.Identity.Trust, err = custody.Verifiers(s.policy.State)
	if errors.Is(err, fs.ErrNotExist) { // it signs none
		return nil
	}
	return err
}

// missing says which generations are gone from the vault; "" where none is, or where a
// person has said that this is right.
func (r WindowRecord) missing() string {
	if len(r.Gone) == 0 || r.Replaced {
		return ""
	}
	return fmt.Sprintf("; %d generations are gone from the vault (%d first), and airlock did not drop them: find out who did; if it is right: airlock window %s --replaced --reason TEXT",
		len(r.Gone), r.Gone[0], r.Vault)
}

// losses follow, window by window, which generations are gone from a vault.
type losses struct {
	now     map[int64]bool // as the last window saw it
	forGood map[int64]bool // that a person gave up
}

// take takes a window in; earlier are the numbers of the generations before it.
func (l *losses) take(w WindowRecord, earlier []int64) {
	gone := w.Gone
	switch {
	case w.Another:
		gone = earlier
	case w.Generation == 0 && len(gone) == 0: // it did not come so far as to look
		return
	}
	if l.forGood == nil {
		l.forGood = map[int64]bool{}
	}
	l.now = map[int64]bool{}
	for _, n := range gone {
		l.now[n] = true
		l.forGood[n] = l.forGood[n] || w.Replaced
	}
}

// seen takes in what a window, whatever it was for, saw to stand there.
func (l *losses) seen(w WindowRecord) {
	for _, n := range w.Seen {
		delete(l.now, n)
		delete(l.forGood, n)
	}
}

func (l *losses) has(n int64) bool { return l.now[n] || l.forGood[n] }
