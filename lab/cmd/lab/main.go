//go:build linux

// Command lab brings a whole hospital up on this machine, as root, and takes it down
// again; see package lab.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"airlock/lab"
)

const usage = `usage: lab up|down [-name NAME] [-dir FOLDER] [-cli=false]

up    brings the hospital up, anew if it is up, and says how to look around
down  removes every process, namespace, mount and file of it
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	var o lab.Options
	flags.StringVar(&o.Name, "name", "", "keeps several labs apart")
	flags.StringVar(&o.Dir, "dir", "", "the lab's folder (default /tmp/airlock-lab[-NAME])")
	flags.BoolVar(&o.CLI, "cli", true, "give the switch a command line")
	if len(args) == 0 {
		flags.Usage()
		return fmt.Errorf("lab: up or down?")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "up":
		h, err := lab.Up(ctx, o)
		if err != nil {
			return err
		}
		return guide(h)
	case "down":
		return lab.Down(ctx, o)
	}
	flags.Usage()
	return fmt.Errorf("lab: %q is not a command", args[0])
}

// guide says what there is and what to type.
func guide(h *lab.Hospital) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	airlock := filepath.Join(filepath.Dir(self), "airlock")
	nas, sw := "ip netns exec "+h.Namespace(lab.NAS), "ip netns exec "+h.Namespace(lab.Switch)
	fmt.Printf(`The hospital is up, in %[1]s. As root:

  alias airlock='%[2]s %[3]s -c %[4]s'
  airlock init && airlock gather && airlock window --reason 'a first look'
  airlock status
  airlock restore accounting --from secondary --to %[1]s/restored --reason 'a look'

See for yourself what the switch's ports do:

  %[5]s ip -br link
  %[5]s ip -ts monitor link        # while a window runs
`, h.Dir, nas, airlock, h.PolicyFile(), sw)
	if h.CLI {
		fmt.Printf("  %s ssh -i %s/secrets/key -o UserKnownHostsFile=%s/known_hosts root@10.78.0.1   # the switch's command line\n", nas, h.Dir, h.Dir)
	}
	fmt.Printf(`
The departments' backups are in %[1]s/departments, the vault's files in %[1]s/vault, the servers' logs
in %[1]s/log. To take everything down: %[2]s down`, h.Dir, self)
	for _, f := range [][2]string{{"name", h.Name}, {"dir", h.Dir}} {
		if f[1] != "" {
			fmt.Printf(" -%s %s", f[0], f[1])
		}
	}
	fmt.Println()
	return nil
}
