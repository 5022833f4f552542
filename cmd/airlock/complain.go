package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"airlock/ledger/proof"
	"airlock/orchestrator"
	"airlock/policies"
	"airlock/repository"
)

// The exit codes of every command.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitNotShut = 3 // outranks all others
	exitInPart  = 4
)

// errUsage: the command line is wrong.
var errUsage = errors.New("usage")

// complain says what went wrong and what to do next.
func (a *app) complain(err error) {
	var mistakes policies.Mistakes
	if errors.As(err, &mistakes) {
		fmt.Fprintf(a.errs, "%s\n%s\n", err, a.count(len(mistakes), "%d mistake", "%d mistakes"))
		return
	}
	for _, line := range errorLines(err) {
		fmt.Fprintf(a.errs, "airlock: %s\n", a.words.tell(line))
	}
	if hint := hint(err); hint != "" {
		fmt.Fprintf(a.errs, "  %s\n", a.words.tell(hint))
	}
}

// errorLines are the errors that were joined, a line each; what several doors or
// systems have in common is said once.
func errorLines(err error) []string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = plain(strings.TrimSpace(line)); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// exitStatus is an exit code that says all there is to say.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func exitCode(err error) int {
	var mistakes policies.Mistakes
	var status exitStatus
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, orchestrator.ErrNotShut):
		return exitNotShut
	case errors.Is(err, orchestrator.ErrInPart):
		return exitInPart
	case errors.As(err, &mistakes), errors.Is(err, errUsage), errors.Is(err, orchestrator.ErrUnknown), errors.Is(err, proof.ErrKey):
		return exitUsage
	}
	return exitFailed
}

// The next steps after errors.
const (
	hintNotShut      = "A DOOR MAY BE OPEN. Pull its cable or shut the port at the switch, then run: airlock shut"
	hintBusy         = "Another airlock command is at work on this site; wait for it, or run: airlock status"
	hintRefused      = "No door was opened. Put right what is named above, and give the command again."
	hintNoRepository = "If the place is the right one, make the repository with: airlock init"
	hintLocked       = "Another person than the one who locked ends it: airlock release --reason TEXT; alone, with --key FILE and the key of the recovery kit"
	hintPermission   = "Run airlock as the user to whom the state folder belongs, as root perhaps: sudo airlock …"
)

// hint is the next step after an error, "" where the error says it all.
func hint(err error) string {
	switch {
	case errors.Is(err, orchestrator.ErrNotShut):
		return hintNotShut
	case errors.Is(err, orchestrator.ErrBusy):
		return hintBusy
	case errors.Is(err, orchestrator.ErrNotReleased):
		return hintLocked
	case errors.Is(err, orchestrator.ErrRefused):
		return hintRefused
	case errors.Is(err, repository.ErrNoRepository):
		return hintNoRepository
	case errors.Is(err, fs.ErrPermission):
		return hintPermission
	}
	return ""
}
