package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/policies"
	"airlock/repository"
)

// fitsWithin bounds the question whether a passphrase fits: a mount may hang.
const fitsWithin = 20 * time.Second

// passphraseHere tells of a passphrase file that does not open the repository in a folder of
// this machine, which is found out without reaching anything. What else may be wrong with
// that folder is for a check that reaches things.
func passphraseHere(ctx context.Context, p policies.Policy) []finding {
	if p.Repository.URL.Scheme != "file" || p.Repository.Passphrase.File == "" {
		return nil // a variable is the service's
	}
	conf, err := repositoryConfig(p)
	if err != nil {
		return nil // told as a remark
	}
	ctx, cancel := context.WithTimeout(ctx, fitsWithin)
	defer cancel()
	fits := make(chan error, 1)
	go func() { fits <- conf.Fits(ctx) }()
	select {
	case err = <-fits:
	case <-ctx.Done():
	}
	if !errors.Is(err, repository.ErrPassphrase) {
		return nil
	}
	return []finding{{What: "repository " + p.Repository.URL.String(),
		Text: fmt.Sprintf("%s: %s in %s; the right one is on the recovery kit", p.Repository.Passphrase, repository.ErrPassphrase, conf.Place)}}
}
