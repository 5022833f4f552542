package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"airlock/orchestrator"
	"airlock/policies"
)

// reading is a policy file as it was read. A program runs with that until its end.
type reading struct {
	file string
	text []byte
	of   time.Time // when it had been written
}

func readFile(name string) (r reading, err error) {
	f, err := os.Open(name)
	if err != nil {
		return r, err
	}
	info, err := f.Stat()
	var text bytes.Buffer
	if err == nil {
		_, err = text.ReadFrom(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return r, err
	}
	return reading{name, text.Bytes(), info.ModTime()}, nil
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
		case what == "":
			log.Info("goes on; the policy file is as it was read", "signal", sig.String(), "file", read.file, "of", read.of.Format(timeLayout))
		case raise == nil:
			log.Warn(what, "signal", sig.String(), "file", read.file, "error", err)
		default:
			why := sig.String()
			if err != nil {
				why = err.Error()
			}
			raise(orchestrator.Alarm{At: time.Now(), What: what, Why: why})
		}
	})
}

// compared says what has become of the file since it was read; "" for nothing.
func (r reading) compared(sound func(file string, text []byte) error) (string, error) {
	of := r.of.Format(timeLayout)
	now, err := readFile(r.file)
	if err == nil && bytes.Equal(now.text, r.text) {
		return "", nil
	}
	if err == nil {
		err = sound(r.file, now.text)
	}
	if err != nil {
		return fmt.Sprintf("the policy file has changed and cannot be used; airlock runs with that of %s; mend it before a restart", of), err
	}
	return fmt.Sprintf("the policy file has changed; airlock runs with that of %s; restart it", of), nil
}
