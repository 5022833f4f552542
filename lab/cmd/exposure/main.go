//go:build linux

// Command exposure measures in the lab for how long a vault's door stands open; see
// package exposure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"airlock/lab/exposure"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "exposure:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("exposure", flag.ContinueOnError)
	o := exposure.Options{Log: os.Stdout, Progress: os.Stderr}
	flags.StringVar(&o.Airlock, "airlock", "bin/airlock", "the `program` that is measured")
	flags.StringVar(&o.Kopia, "kopia", "bin/kopia", "the stock kopia `program`")
	flags.StringVar(&o.Name, "name", "exposure", "keeps several benches apart")
	flags.StringVar(&o.Dir, "dir", "", "`folder` for the hospital, on the disk that is to be used (default /tmp)")
	flags.IntVar(&o.Runs, "n", 5, "how many `times` each figure is taken")
	flags.Float64Var(&o.Size, "size", 1, "the `part` of its full size that each night has")
	only := flags.String("only", "", "only rows whose title, \"NIGHT / WAY\", has one of these `words`, with commas between them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	return exposure.Run(ctx, o)
}
