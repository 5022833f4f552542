// Command airlock is an offline backup orchestrator: it gathers departmental backups
// into one repository, and copies them to a vault behind a switch port that is open
// only while the copy runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	_ "time/tzdata" // hospital servers without zone files exist

	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

// version is set when the program is built.
var version = ""

// memory is what the program's heap is kept below, in bytes, as far as what it needs at
// once lets it: kopia leaves much to be collected, and the backup server has other work.
// With half of it, ten gatherings take a quarter longer, and twice as long beside sources
// that list without end: all collect garbage, and none finds its buffers again. Below it,
// growth is by how many percent the heap may grow before it is collected: by Go's 100,
// verifying a ledger spends a third of its time on collecting a few megabytes. Whoever sets
// GOMEMLIMIT or GOGC decides otherwise.
const (
	memory      = 400 << 20
	leastMemory = 100 << 20
	growth      = 400
)

// heapLimit is memory, or half of what the machine and the service's MemoryMax= leave: the
// collector works before the kernel ends the program with a door open.
func heapLimit(free func() (int64, bool)) int64 {
	if n, known := free(); known {
		return max(leastMemory, min(memory, n/2))
	}
	return memory
}

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapLimit(orchestrator.FreeMemory))
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
	ctx, signals := catch(context.Background()) // they stay caught until the process has ended
	os.Exit(run(ctx, signals, os.Args[1:], os.Stdout, os.Stderr))
}

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

// policyFor is the policy, for an order that needs a person's reason.
func (a *app) policyFor(reason string) (policies.Policy, error) {
	if strings.TrimSpace(reason) == "" {
		return policies.Policy{}, fmt.Errorf("%w: say why: --reason TEXT", errUsage)
	}
	return a.policy()
}
