package orchestrator

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"airlock/repository"
)

// passphrases knows by which passphrase the repository was opened last, so that a change of
// its file is found at once and not at the next start, when it may be too late to ask. It
// keeps a keyed hash and never the passphrase.
type passphrases struct {
	key [32]byte
	sum []byte
}

func newPassphrases() *passphrases {
	var p passphrases
	rand.Read(p.key[:])
	return &p
}

func (p *passphrases) of(passphrase string) []byte {
	h := hmac.New(sha256.New, p.key[:])
	h.Write([]byte(passphrase))
	return h.Sum(nil)
}

// openable gives the repository for what adds to it or copies it, once it is certain that
// the passphrase's file still opens it. What is restored needs no such thing: a repository
// that is open already may be the last way to what it holds.
func (s *Site) openable(ctx context.Context) (*repository.Repository, error) {
	repo, err := s.Repository(ctx)
	if err != nil {
		return nil, err
	}
	conf, err := s.parts.Repository(s.policy)
	if err != nil {
		return nil, fmt.Errorf("the repository is open, and could not be opened again: %w", err)
	}
	select {
	case s.opening <- struct{}{}:
		defer func() { <-s.opening }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if sum := s.passphrases.of(conf.Passphrase); !hmac.Equal(sum, s.passphrases.sum) {
		switch err := repo.Opens(ctx, conf.Passphrase); {
		case errors.Is(err, repository.ErrPassphrase):
			return nil, fmt.Errorf("%w any more: %s was changed while the repository was open; put back what the recovery kit says, before this program is started again", err, s.policy.Repository.Passphrase)
		case err != nil:
			return nil, err
		}
		s.passphrases.sum = sum
	}
	return repo, nil
}
