// Command airlock is an offline backup orchestrator: it gathers departmental backups
// into one repository, and copies them to a vault behind a switch port that is open
// only while the copy runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	_ "time/tzdata" // hospital servers without zone files exist

	"airlock/ledger/proof"
	"airlock/orchestrator"
	"airlock/policies"
	"airlock/repository"

	"github.com/spf13/cobra"
)

// version is set when the program is built.
var version = ""

// memory is what the program's heap is kept below, in bytes, as far as what it needs at
// once lets it: kopia leaves much to be collected, and the backup server has other work.
// Below that, growth is by how many percent the heap may grow before it is collected: by
// Go's 100, verifying a ledger spends a third of its time on collecting a few megabytes.
// Whoever sets GOMEMLIMIT or GOGC decides otherwise.
const (
	memory = 200 << 20
	growth = 400
)

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
	ctx, signals := catch(context.Background()) // they stay caught until the process has ended
	os.Exit(run(ctx, signals, os.Args[1:], os.Stdout, os.Stderr))
}

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

func run(ctx context.Context, s *signals, args []string, out, errs io.Writer) int {
	results := &printed{out: out, failed: s.end}
	a := &app{out: results, errs: errs, version: buildVersion(), words: language(os.Getenv), signals: s}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(results)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if a.logs != nil {
		a.logs.flush(logWithin)
	}
	results.close()
	err = results.or(err)
	var silent exitStatus
	if err != nil && !errors.As(err, &silent) {
		a.complain(err)
	}
	return exitCode(err)
}

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

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// app is what the commands share.
type app struct {
	file      string
	vaultFile string // the policy file of a vault's host
	json      bool
	out, errs io.Writer
	version   string
	words     *words
	signals   *signals
	read      reading // the policy file
	logs      *outlet // of a service; nil until it has one

	state string // --state
	yaml  []byte // the policy file, once it was read and found right
	amiss error  // why another policy is used; nil if none is
}

// text renders what a person reads, in their language.
func (a *app) text(format string, args ...any) string { return a.words.text(format, args...) }

// print writes a line that a person reads.
func (a *app) print(format string, args ...any) {
	for line := range strings.SplitSeq(a.words.text(format, args...), "\n") {
		fmt.Fprintln(a.out, plain(line))
	}
}

// count is a number of things.
func (a *app) count(n int, one, many string) string {
	if n == 1 {
		return a.words.text(one, n)
	}
	return a.words.text(many, n)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "airlock",
		Short:         "Offline backups for hospitals: gather, open the door, copy, shut it and prove it",
		Version:       a.version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          subcommand,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w; see: %s --help", errUsage, err, c.CommandPath())
	})
	root.PersistentFlags().StringVarP(&a.file, "config", "c", sitesFile, "policy `file`")
	root.AddGroup(
		&cobra.Group{ID: "set", Title: "Set up:"},
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "look", Title: "Look and restore:"},
		&cobra.Group{ID: "far", Title: "Behind the door:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			c.Args = usage(c.Args)
			root.AddCommand(c)
		}
	}
	add("set", a.initCommand(), a.checkCommand(), a.planCommand(), a.portsCommand(), a.keyCommand(), a.demoCommand())
	add("run", a.serveCommand(), a.guardCommand(), a.gatherCommand(), a.acceptCommand(), a.windowCommand(), a.shutCommand(), a.openCommand(), a.lockdownCommand(), a.releaseCommand())
	add("look", a.statusCommand(), a.vaultsCommand(), a.snapshotsCommand(), a.restoreCommand(), a.verifyCommand(), a.healCommand(), a.auditCommand())
	add("far", a.vaultCommand())
	root.AddCommand(a.watcherCommand())
	a.words.help(root)
	return root
}

// subcommand is what a command does that is only there for those below it: it helps,
// and refuses a name that none of them has.
func subcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	meant := ""
	c.SuggestionsMinimumDistance = 2
	if like := c.SuggestionsFor(args[0]); len(like) > 0 {
		meant = "; did you mean " + strings.Join(like, " or ") + "?"
	}
	return fmt.Errorf("%w: there is no command %q%s; see: %s --help", errUsage, args[0], meant, c.CommandPath())
}

// usage marks errors of the arguments as such.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(c, args); err != nil {
			return fmt.Errorf("%w: %w; see: %s --help", errUsage, err, c.CommandPath())
		}
		return nil
	}
}

// policy reads the policy file.
func (a *app) policy() (policies.Policy, error) {
	var err error
	a.read, err = readFile(a.file)
	if errors.Is(err, os.ErrNotExist) {
		return policies.Policy{}, fmt.Errorf("%w: there is no policy file %s; name one with -c, or make one with: airlock init", errUsage, a.file)
	}
	if err != nil {
		return policies.Policy{}, fmt.Errorf("%w: policy file: %w", errUsage, err)
	}
	p, err := policies.Parse(a.file, a.read.text)
	if err != nil {
		return policies.Policy{}, err
	}
	a.yaml = a.read.text
	return *p, nil
}

// actor is on whose behalf the program runs, for the ledger: the user whose rights it has,
// and whoever logged in, as the kernel knows them. What sudo says is in the environment,
// where anybody can write it, and marked so.
func actor() string {
	name := userName(os.Getuid())
	switch login := person(); {
	case login >= 0 && login != os.Getuid():
		name += " (login " + userName(login) + ")"
	case login < 0 && os.Getenv("SUDO_USER") != "":
		name += " (sudo says " + os.Getenv("SUDO_USER") + ", unproven)"
	}
	return "user " + name
}

func userName(id int) string {
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", id)
}

// systemNames completes the names of systems.
func (a *app) systemNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return complete(a, func(p policies.Policy) []string { return keys(p.Systems) })
}

// vaultNames completes the names of vaults.
func (a *app) vaultNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return complete(a, func(p policies.Policy) []string { return keys(p.Vaults) })
}

// doorNames completes the names of doors.
func (a *app) doorNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return complete(a, func(p policies.Policy) []string { return keys(p.Doors) })
}

// switchNames completes the names of switches.
func (a *app) switchNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return complete(a, func(p policies.Policy) []string { return keys(p.Switches) })
}

// completeFlag completes a flag's values.
func (a *app) completeFlag(c *cobra.Command, name string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(name, f); err != nil {
		panic(err) // the flag is not defined, which every run would show
	}
}

func complete(a *app, names func(policies.Policy) []string) ([]string, cobra.ShellCompDirective) {
	p, err := a.policy()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names(p), cobra.ShellCompDirectiveNoFileComp
}
