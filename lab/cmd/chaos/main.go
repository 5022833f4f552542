//go:build linux

// Command chaos attacks airlock in the lab, on a real switch port, with faults drawn at
// random; see package chaos.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"airlock/lab/chaos"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	o := chaos.Options{Log: os.Stdout}
	flags.IntVar(&o.Faults, "n", 30, "how many `faults`")
	flags.Uint64Var(&o.Seed, "seed", 0, "draws the same faults again; 0 draws a seed")
	flags.IntVar(&o.First, "first", 1, "the `number` of the first fault, so that a run can be carried on")
	flags.StringVar(&o.Airlock, "airlock", "bin/airlock", "the `program` under attack")
	flags.StringVar(&o.Kopia, "kopia", "", "the stock kopia `program`, to restore with")
	flags.StringVar(&o.Evidence, "evidence", "chaos-evidence", "the `folder` that what was found is kept in")
	flags.IntVar(&o.Beside, "beside", 1, "how many `hospitals` are attacked at once")
	flags.StringVar(&o.Name, "name", "", "begins the hospitals' names, so that several runs can go on beside each other")
	figures := flags.Int("figures", 0, "strike nothing, but take every figure so many `times`")
	kinds := flags.String("kinds", "", "only these `kinds`, with commas between them, or with -figures only those whose names have these words: "+strings.Join(chaos.Kinds(), ", "))
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *kinds != "" {
		o.Kinds = strings.Split(*kinds, ",")
	}
	for o.Seed == 0 {
		o.Seed = uint64(rand.Uint32())
	}
	if *figures > 0 {
		return chaos.Measure(ctx, o, *figures)
	}
	report, err := chaos.Run(ctx, o)
	fmt.Print("\n", report)
	return err
}
