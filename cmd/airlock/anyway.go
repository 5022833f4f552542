package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"airlock/policies"
	"airlock/state"
	"airlock/wholefile"

	"github.com/spf13/cobra"
)

// Whoever shuts doors, locks down, releases or looks may find the policy file broken, in
// the middle of an edit perhaps. These commands need no more than the state folder: the
// executor that runs has its policy, and where none runs, the policy by which one ran last
// lies there.

// usualState is where a state folder is looked for that nobody names.
const usualState = "/var/lib/airlock"

// rememberPolicy keeps the text of the policy by which this process is the executor. A
// state folder that cannot be written keeps the one before.
func rememberPolicy(state state.Folder, text []byte) error {
	file := state.LastPolicy()
	if last, err := os.ReadFile(file); err == nil && bytes.Equal(last, text) {
		return nil
	}
	if err := wholefile.Replace(file, text, 0o600); err != nil {
		return fmt.Errorf("the policy is not remembered: %w", err)
	}
	return nil
}

// stateFlag adds --state to a command that policyAnyway serves.
func (a *app) stateFlag(c *cobra.Command) {
	c.Flags().StringVar(&a.state, "state", "", "state `folder`, where the policy file cannot be used")
}

// policyAnyway is the policy, or where the policy file cannot be used, the one that was
// used last; one with nothing but a state folder, if an executor runs there. Why, is in
// a.amiss then.
func (a *app) policyAnyway() (policies.Policy, error) {
	p, err := a.policy()
	if err == nil {
		return p, nil
	}
	state := a.stateFolder()
	last, at, unread := readLastPolicy(state)
	if unread == nil {
		a.amiss = fmt.Errorf("%s; used is the policy of %s, %s", broken(err), at.Format(timeLayout), state.LastPolicy())
		a.read, err = readFile(state.LastPolicy())
		return last, err
	}
	if _, gone := os.Stat(state.Socket()); gone == nil {
		a.amiss = fmt.Errorf("%s; the executor at %s has its own", broken(err), state)
		return policies.Policy{State: state, Timezone: policies.Zone{Location: time.Local}}, nil
	}
	if errors.Is(unread, fs.ErrPermission) {
		err = errors.Join(err, unread)
	}
	return policies.Policy{}, err
}

// broken says in a line what is wrong with the policy file.
func broken(err error) string {
	var mistakes policies.Mistakes
	if errors.As(err, &mistakes) {
		return "the policy file has mistakes, which airlock check tells"
	}
	return strings.TrimPrefix(err.Error(), errUsage.Error()+": ")
}

var stateLine = regexp.MustCompile(`(?m)^state:[ \t]*["']?(/[^"'#\r\n]*?)["']?[ \t]*(?:#.*)?\r?$`)

// stateFolder is where the state folder may be: as said, as far as the policy file can be
// read, or where it usually is.
func (a *app) stateFolder() state.Folder {
	if a.state != "" {
		return state.Folder(a.state)
	}
	if text, err := os.ReadFile(a.file); err == nil {
		if found := stateLine.FindSubmatch(text); found != nil {
			return state.Folder(found[1])
		}
	}
	return usualState
}

func readLastPolicy(state state.Folder) (p policies.Policy, at time.Time, err error) {
	file := state.LastPolicy()
	info, err := os.Stat(file)
	if err != nil {
		return p, at, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return p, at, err
	}
	last, err := policies.Parse(file, text)
	if err != nil {
		return p, at, err
	}
	return *last, info.ModTime(), nil
}

// sayAmiss tells a person, beside what the command prints, by which policy it acts.
func (a *app) sayAmiss() {
	if a.amiss != nil {
		fmt.Fprintf(a.errs, "airlock: %s\n", a.words.tell(a.amiss.Error()))
	}
}

// policyAnywayFor is policyFor where a broken policy file must not be in the way.
func (a *app) policyAnywayFor(reason string) (policies.Policy, error) {
	p, err := a.policyFor(reason)
	if err == nil || strings.TrimSpace(reason) == "" {
		return p, err
	}
	return a.policyAnyway()
}
