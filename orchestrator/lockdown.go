package orchestrator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/notice"
	"airlock/state"
)

// ErrNotReleased: whoever asked may not end the lockdown.
var ErrNotReleased = errors.New("the lockdown stands")

// What the ledger says of lockdowns.
const (
	lockedDown  = "locked"
	released    = "released"
	notReleased = "refused"
	byLockdown  = "lockdown:" // begins the reason of what a lockdown does
)

// releaseWithin bounds how long a release waits for the ledger.
const releaseWithin = 10 * time.Second

// lockWatch is how often the executor looks whether somebody locked the site without it,
// as the command does when the executor does not answer.
const lockWatch = time.Second

// Lockdown shuts every door, ends every window, and refuses every opening until Release,
// across restarts. It returns once every door is proven shut, or stuck (ErrNotShut). The
// doors are told first (S2); an error other than ErrNotShut says that the lockdown would
// not outlive this executor. In a lockdown it proves every door shut anew.
func (s *Site) Lockdown(ctx context.Context, by Caller) error {
	at := time.Now()
	reason := strings.TrimSpace(byLockdown + " " + by.Reason)
	s.doors.Lock(at, by.Actor, reason)
	s.journal.Note(ledger.Entry{
		Time: at, Kind: ledger.KindLock, Actor: by.Actor, Reason: by.Reason, To: lockedDown,
		Detail: detail(lockDetail{UID: by.UID}),
	})
	err := lease.Lock(s.policy.State, lease.Lockdown{At: at, By: by.Actor, UID: by.UID, Reason: by.Reason})
	if err != nil {
		s.alarm(Alarm{At: time.Now(), Notice: notice.LockdownNotKept.Of(), Why: err.Error()})
	}
	return errors.Join(err, s.doors.Locked(ctx))
}

type lockDetail struct {
	UID int `json:"uid"`
}

// Release ends a lockdown, by another person than the one who began it, or with the key
// that init made. The doors that it shut of those that rest open are opened again. A
// release that is refused, or whose entry the ledger does not take, leaves all as it is.
func (s *Site) Release(ctx context.Context, by Caller, key string) error {
	standing, doubt := s.standing(ctx)
	switch {
	case standing == nil && doubt != nil: // nobody can tell who began it
		standing = &lease.Lockdown{UID: -1, By: "somebody whom nobody knows, for " + doubt.Error()}
	case standing == nil:
		return fmt.Errorf("there is no lockdown")
	}
	e := ledger.Entry{
		Time: time.Now(), Kind: ledger.KindRelease, Actor: by.Actor, Reason: by.Reason, From: lockedDown, To: released,
		Detail: detail(lockDetail{UID: by.UID}),
	}
	if err := s.mayRelease(*standing, by, key); err != nil {
		e.To = notReleased
		s.journal.Note(e)
		s.alarm(Alarm{At: e.Time, Notice: notice.ReleaseRefused.Of(), Why: by.Actor + ": " + err.Error()})
		return err
	}
	if err := s.unlock(ctx, e); err != nil {
		return fmt.Errorf("%w: %w", ErrNotReleased, err)
	}
	return s.Settle(ctx)
}

// unlock ends the lockdown once e is durable, for what it opens is logged before (S1).
func (s *Site) unlock(ctx context.Context, e ledger.Entry) error {
	s.unlocking.Lock()
	defer s.unlocking.Unlock()
	logging, cancel := context.WithTimeout(ctx, releaseWithin)
	defer cancel()
	if _, err := s.journal.Append(logging, e); err != nil {
		return fmt.Errorf("the ledger does not take its end: %w", err)
	}
	if err := lease.Unlock(s.policy.State); err != nil {
		return err
	}
	s.doors.Release()
	return nil
}

func (s *Site) mayRelease(standing lease.Lockdown, by Caller, key string) error {
	if key != "" {
		return rightKey(s.policy.State, key)
	}
	if by.UID == standing.UID || standing.UID < 0 || by.UID < 0 {
		return fmt.Errorf("%w: it was begun by %s, and another person has to end it; or give the release key of the recovery kit with --key", ErrNotReleased, standing.By)
	}
	return nil
}

// standing is the lockdown in force, nil if there is none. Its error says that nobody
// knows: no door is opened while that lasts, and nothing else follows from it (S15).
func (s *Site) standing(ctx context.Context) (l *lease.Lockdown, err error) {
	var r *ledger.Reader
	if s.journal.Err() == nil {
		r = &s.journal.Ledger.Reader
	}
	err = s.doors.Spend(func() error {
		l, err = standing(ctx, s.policy.State, r)
		return err
	})
	return l, err
}

// standing looks for a lockdown by its file, or by the ledger where the file went away
// without a release, or cannot be read; r is nil where there is no ledger.
func standing(ctx context.Context, state state.Folder, r *ledger.Reader) (*lease.Lockdown, error) {
	l, doubt := lease.Locked(state)
	if l != nil || r == nil {
		return l, doubt
	}
	e, stands, err := lockEntry(ctx, r)
	if err != nil {
		return nil, errors.Join(doubt, fmt.Errorf("the ledger cannot be asked for a lockdown: %w", err))
	}
	if !stands {
		return nil, doubt
	}
	var d lockDetail
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		d.UID = -1
	}
	return &lease.Lockdown{At: e.Time, By: e.Actor, UID: d.UID, Reason: e.Reason}, nil
}

// lockEntry is the ledger's entry of a lockdown that no release ended.
func lockEntry(ctx context.Context, r *ledger.Reader) (began ledger.Entry, stands bool, err error) {
	began, stands, err = r.Last(ctx, ledger.Filter{Kind: ledger.KindLock})
	if err != nil || !stands {
		return began, false, err
	}
	ended, over, err := r.Last(ctx, ledger.Filter{Kind: ledger.KindRelease, To: released})
	return began, err == nil && !(over && ended.Seq > began.Seq), err
}

// knowsNoLockdown is why nothing is opened, where nobody knows whether there is a lockdown.
func (s *Site) knowsNoLockdown(ctx context.Context) error {
	if l, err := s.standing(ctx); l == nil && err != nil {
		return lease.LockdownUnknown(err)
	}
	return nil
}

// followLock holds to the lockdown in force, if there is one: its file and its entry are
// made where they are missing, and doors are told that do not know. One of which nobody
// knows is told to people, once each time (S15).
func (s *Site) followLock(ctx context.Context) {
	s.unlocking.Lock()
	defer s.unlocking.Unlock()
	l, err := s.standing(ctx)
	if ctx.Err() == nil {
		s.doubtLock(l == nil && err != nil, err)
	}
	if l == nil {
		return
	}
	s.doors.KeepLocked(l.By, strings.TrimSpace(byLockdown+" "+l.Reason))
	if s.journal.Err() != nil {
		return
	}
	if _, known, err := lockEntry(ctx, &s.journal.Ledger.Reader); err == nil && !known {
		s.journal.Note(ledger.Entry{Time: l.At, Kind: ledger.KindLock, Actor: l.By, Reason: l.Reason, To: lockedDown, Detail: detail(lockDetail{l.UID})})
	}
	if known, err := lease.Locked(s.policy.State); known == nil && err == nil {
		why := "its file was taken away without a release"
		if err := lease.Lock(s.policy.State, *l); err != nil {
			why += ", and cannot be made anew: " + err.Error()
		}
		s.alarm(Alarm{At: time.Now(), Notice: notice.LockdownStands.Of(), Why: why})
	}
}

// doubtLock calls a person once for each time that nobody knows of a lockdown. The caller
// holds unlocking.
func (s *Site) doubtLock(doubted bool, why error) {
	switch {
	case doubted && !s.lockDoubted:
		s.alarm(Alarm{At: time.Now(), Notice: notice.LockdownUnknown.Of(), Why: lease.LockdownUnknown(why).Error()})
	case !doubted && s.lockDoubted:
		s.options.Log.Info("it is known again whether there is a lockdown")
	}
	s.lockDoubted = doubted
}

// releaseKey makes the key that ends a lockdown without another person, unless there is
// one. Only its hash is kept; "" means that it was made before, and cannot be had again.
func releaseKey(state state.Folder) (string, error) {
	f, err := os.OpenFile(state.ReleaseKey(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("the release key: %w", err)
	}
	key := rand.Text()
	_, err = f.WriteString(hashOf(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("the release key: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return key, nil
}

func rightKey(state state.Folder, key string) error {
	kept, err := os.ReadFile(state.ReleaseKey())
	if err != nil {
		return fmt.Errorf("%w: the release key cannot be compared: %w", ErrNotReleased, err)
	}
	if subtle.ConstantTimeCompare([]byte(strings.TrimSpace(string(kept))), []byte(hashOf(strings.TrimSpace(key)))) != 1 {
		return fmt.Errorf("%w: this is not the release key; it stands in the recovery kit that init printed", ErrNotReleased)
	}
	return nil
}

// hashOf needs no salt and no time: the key is 128 random bits.
func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
