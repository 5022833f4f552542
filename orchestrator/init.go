package orchestrator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/orchestrator/custody"
	"airlock/policies"
	"airlock/repository"

	"golang.org/x/mod/sumdb/note"
)

// Made says what Init made, and what it found.
type Made struct {
	State      bool   `json:"state"`      // the state folder
	Key        bool   `json:"key"`        // the site's key
	Passphrase bool   `json:"passphrase"` // the repository's, in its file
	Repository bool   `json:"repository"`
	PublicKey  string `json:"public_key"` // of the site, in the form of golang.org/x/mod/sumdb/note
	// ReleaseKey ends a lockdown. It is told once, when it is made, and kept nowhere.
	ReleaseKey string `json:"release_key,omitempty"`
}

// Init makes what a site lacks, and keeps what it has: the state folder, the site's
// key, the repository's passphrase where its file is missing, and the repository. It
// touches no door, and may be repeated.
func Init(ctx context.Context, p policies.Policy, parts Parts, o Options) (made Made, err error) {
	if _, err := os.Stat(string(p.State)); errors.Is(err, fs.ErrNotExist) {
		made.State = true
	}
	lock, err := takeLock(p.State)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if made.PublicKey, made.Key, err = siteKey(p); err != nil {
		return made, err
	}
	if made.Passphrase, err = passphrase(p.Repository.Passphrase); err != nil {
		return made, err
	}
	conf, err := parts.Repository(p)
	if err != nil {
		return made, err
	}
	if err := typeable(ctx, p, conf); err != nil {
		return made, err
	}
	switch err := repository.Create(ctx, conf); {
	case err == nil:
		made.Repository = true
	case !errors.Is(err, repository.ErrExist):
		return made, err
	}
	r, err := repository.Open(ctx, conf) // whether the passphrase opens it shows now, not in the night
	if err != nil {
		return made, err
	}
	if err := r.Close(ctx); err != nil {
		return made, err
	}
	key, err := custody.Signer(p.State)
	if err != nil {
		return made, err
	}
	l, err := ledger.Open(ctx, p.State.Ledger(), ledger.Options{Signer: key})
	if err != nil {
		return made, err
	}
	_, err = l.Append(ctx, ledger.Entry{
		Time: time.Now(), Kind: ledger.KindInit, Actor: o.Actor, Reason: "airlock init",
		Detail: detail(made),
	})
	if err = errors.Join(err, l.Close()); err != nil {
		return made, err
	}
	made.ReleaseKey, err = releaseKey(p.State) // last, since it is told but once
	return made, err
}

// typeable refuses a new repository whose passphrase nobody could type from paper. One that
// exists is opened by the bytes that it has.
func typeable(ctx context.Context, p policies.Policy, conf repository.Config) error {
	fault := policies.Oddity(conf.Passphrase)
	if fault == "" {
		return nil
	}
	r, err := repository.Open(ctx, conf)
	switch {
	case errors.Is(err, repository.ErrNoRepository):
		return fmt.Errorf("the passphrase for the new repository, %s: %s; whoever types it from the recovery kit would not get in; nothing was made", p.Repository.Passphrase, fault)
	case err != nil:
		return err
	}
	return r.Close(ctx)
}

// siteKey gives the public half of the site's Ed25519 key, and makes the key if there
// is none.
func siteKey(p policies.Policy) (public string, made bool, err error) {
	if err := os.MkdirAll(p.State.Keys(), 0o700); err != nil {
		return "", false, fmt.Errorf("the site's key: %w", err)
	}
	text, err := os.ReadFile(p.State.PublicKey())
	if err == nil {
		return strings.TrimSpace(string(text)), false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("the site's key: %w", err)
	}
	private, public, err := note.GenerateKey(rand.Reader, p.Site)
	if err != nil {
		return "", false, fmt.Errorf("the site's key: %w", err)
	}
	// The public half comes last: while it is missing, the key is not made.
	if err := os.WriteFile(p.State.SiteKey(), []byte(private+"\n"), 0o600); err != nil {
		return "", false, fmt.Errorf("the site's key: %w", err)
	}
	if err := os.WriteFile(p.State.PublicKey(), []byte(public+"\n"), 0o644); err != nil {
		return "", false, fmt.Errorf("the site's key: %w", err)
	}
	return public, true, nil
}

// passphrase makes the file of a passphrase if that is missing.
func passphrase(s policies.Secret) (made bool, err error) {
	if s.File == "" {
		return false, nil
	}
	f, err := os.OpenFile(s.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the repository's passphrase: %w", err)
	}
	_, err = f.WriteString(rand.Text() + "\n")
	return true, errors.Join(err, f.Sync(), f.Close())
}
