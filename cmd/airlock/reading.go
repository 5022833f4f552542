package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"airlock/notice"
	"airlock/orchestrator"
	"airlock/policies"
)

// reading is a policy file as it was read. A program runs with that until its end.
type reading struct {
	policies.File
	text []byte
}

func readFile(name string) (reading, error) {
	text, is, err := policies.ReadFile(name)
	return reading{is, text}, err
}

func soundSite(file string, text []byte) error {
	_, err := policies.Parse(file, text)
	return counted(err)
}

func soundHost(file string, text []byte) error {
	_, err := policies.ParseVaultHost(file, text)
	return counted(err)
}

// counted says how many mistakes there are, and quotes none of the file (S13).
func counted(err error) error {
	var mistakes policies.Mistakes
	if errors.As(err, &mistakes) {
		return fmt.Errorf("mistakes in it: %d; airlock check names them", len(mistakes))
	}
	return err
}

// stays has a service go on when it gets SIGHUP or its like: it looks at its policy file,
// and says what a restart would change. raise, if not nil, calls a person where it would.
func (a *app) stays(ctx context.Context, log *slog.Logger, sound func(file string, text []byte) error, raise func(orchestrator.Alarm)) {
	read := a.read
	a.signals.hear(ctx, func(sig os.Signal) {
		what, err := read.compared(sound)
		switch {
		case what.Code == "":
			log.Info("goes on; the policy file is as it was read", "signal", sig.String(), "file", read.Name, "of", read.Of.Format(timeLayout))
		case raise == nil:
			log.Warn(what.What, "signal", sig.String(), "file", read.Name, "error", err)
		default:
			why := sig.String()
			if err != nil {
				why = err.Error()
			}
			raise(orchestrator.Alarm{At: time.Now(), Notice: what, Why: why})
		}
	})
}

// compared says what has become of the file since it was read; the zero Notice for nothing.
func (r reading) compared(sound func(file string, text []byte) error) (notice.Notice, error) {
	of := r.Of.Format(timeLayout)
	now, err := readFile(r.Name)
	if err == nil && bytes.Equal(now.text, r.text) {
		return notice.Notice{}, nil
	}
	if err == nil {
		err = sound(r.Name, now.text)
	}
	if err != nil {
		return notice.PolicyBroken.Of(of), err
	}
	return notice.PolicyChanged.Of(of), nil
}

// sayRuns tells whoever gave an order that the executor which has it runs by another policy
// file than the one that this command read, or runs another site.
func (a *app) sayRuns(p policies.Policy, runs *orchestrator.Runs) {
	switch {
	case runs == nil: // an older executor, or none
	case p.Site != "" && runs.Site != p.Site:
		fmt.Fprintf(a.errs, "airlock: %s\n", a.text("note: the executor at %s runs the site %s, and this policy file is of %s", p.State, runs.Site, p.Site))
	case runs.File.Digest == "" || a.read.Digest == "" || runs.File.Digest == a.read.Digest:
	default:
		at := func(t time.Time) string { return t.In(zoneOf(p)).Format(timeLayout) }
		fmt.Fprintf(a.errs, "airlock: %s\n", a.text("note: the executor runs with the policy file of %s (%s), and not with that of %s (%s): restart it to have the newer one in force", at(runs.File.Of), runs.File.Name, at(a.read.Of), a.read.Name))
	}
}

// zoneOf is a site's time zone; the machine's where the policy is not known.
func zoneOf(p policies.Policy) *time.Location {
	if p.Timezone.Location == nil {
		return time.Local
	}
	return p.Timezone.Location
}
