package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"airlock/lease"
	"airlock/orchestrator"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) lockdownCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "lockdown --reason TEXT",
		Short: "Shut every door now, end every window, and open nothing until it is released",
		Long: "Shut every door now, the departments' as well, end every window, and open nothing, across restarts, until another person runs release. " +
			"It stands from the moment when it is written down, even if the executor does not answer: the guard then shuts the vaults' doors.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policyAnywayFor(reason)
			if err != nil {
				return err
			}
			by := orchestrator.Caller{Actor: actor(), UID: person(), Reason: reason}
			a.sayAmiss()
			written := lease.Lock(p.State, lease.Lockdown{At: time.Now(), By: by.Actor, UID: by.UID, Reason: reason})
			out, err := a.order(c.Context(), p, orchestrator.Order{Verb: "lockdown", Caller: by})
			if a.json {
				return errors.Join(err, a.printJSON(map[string]any{"locked": written == nil, "shut": err == nil, "doors": out.Shut}))
			}
			a.printShut(out.Shut)
			if err == nil {
				a.print("Another person ends it with: airlock release --reason TEXT")
				return nil
			}
			if written == nil {
				a.print("the lockdown stands, and nothing is opened; what its doors are, this error says")
			}
			return errors.Join(err, written)
		},
	}
	a.jsonFlag(c)
	a.stateFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed")
	return c
}

func (a *app) releaseCommand() *cobra.Command {
	var reason, keyFile string
	c := &cobra.Command{
		Use:   "release --reason TEXT",
		Short: "End a lockdown that another person began",
		Long: "End a lockdown. It takes another person than the one who began it, by their login, or the release key of the recovery kit. " +
			"The doors that it shut of those that rest open are opened again.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.policyAnywayFor(reason)
			if err != nil {
				return err
			}
			a.sayAmiss()
			key, err := readKey(c.InOrStdin(), keyFile)
			if err != nil {
				return err
			}
			return a.release(c.Context(), p, key, reason)
		},
	}
	a.stateFlag(c)
	a.jsonFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the ledger; needed")
	c.Flags().StringVar(&keyFile, "key", "", "`file` with the release key, - for the standard input")
	return c
}

// policyFor is the policy, for an order that needs a person's reason.
func (a *app) policyFor(reason string) (policies.Policy, error) {
	if strings.TrimSpace(reason) == "" {
		return policies.Policy{}, fmt.Errorf("%w: say why: --reason TEXT", errUsage)
	}
	return a.policy()
}

// policyAnywayFor is policyFor where a broken policy file must not be in the way.
func (a *app) policyAnywayFor(reason string) (policies.Policy, error) {
	p, err := a.policyFor(reason)
	if err == nil || strings.TrimSpace(reason) == "" {
		return p, err
	}
	return a.policyAnyway()
}

func (a *app) release(ctx context.Context, p policies.Policy, key, reason string) error {
	out, err := a.order(ctx, p, orchestrator.Order{Verb: "release", Key: key, Caller: orchestrator.Caller{Reason: reason}})
	if a.json {
		return errors.Join(err, a.printJSON(map[string]any{"released": err == nil, "doors": out.Shut, "kept_shut": out.Kept}))
	}
	if err != nil {
		return err
	}
	a.print("released")
	for _, d := range out.Shut {
		a.print("%s is %s: %s", d.Door, a.words.tell(d.State), a.words.tell(d.Proof))
	}
	for _, kept := range out.Kept {
		a.print("note: %s", a.words.tell(kept))
	}
	return nil
}

// readKey reads the release key; it is on no command line, which everybody can see (S13).
func readKey(in io.Reader, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("%w: the release key: %w", errUsage, err)
		}
		defer f.Close() // only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return "", fmt.Errorf("the release key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" {
		return "", fmt.Errorf("%w: there is no release key in %s", errUsage, file)
	}
	return key, nil
}

// person is the number of whoever logged in, which the kernel keeps and sudo and su leave as
// it is; -1 where nobody did, or nobody knows. An environment vouches for nobody.
func person() int {
	text, err := os.ReadFile("/proc/self/loginuid")
	if err != nil {
		return -1
	}
	const unset = 1<<32 - 1
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil || id == unset {
		return -1
	}
	return int(id)
}
