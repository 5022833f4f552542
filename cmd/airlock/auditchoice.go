package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"airlock/ledger"
	"airlock/policies"
)

// choice is which of the entries are listed, beside a filter of the ledger.
type choice struct {
	entries
	kinds []ledger.Kind // all if there are none
	last  int           // only so many of the newest; 0 for all
}

// chooseKinds reads the kinds that were named.
func chooseKinds(names []string) (chosen []ledger.Kind, err error) {
	for _, name := range names {
		if !slices.Contains(kinds(), name) {
			return nil, fmt.Errorf("%w: there is no kind %q of entry; there are %s", errUsage, name, strings.Join(kinds(), ", "))
		}
		chosen = append(chosen, ledger.Kind(name))
	}
	return chosen, nil
}

// Entries are those that were chosen, oldest first.
func (c choice) Entries(ctx context.Context, f ledger.Filter) iter.Seq2[ledger.Entry, error] {
	if len(c.kinds) == 1 {
		f.Kind = c.kinds[0]
	}
	return func(yield func(ledger.Entry, error) bool) {
		var newest []ledger.Entry
		for e, err := range c.entries.Entries(ctx, f) {
			switch {
			case err == nil && len(c.kinds) > 0 && !slices.Contains(c.kinds, e.Kind):
			case err == nil && c.last > 0:
				if newest = append(newest, e); len(newest) > 2*c.last {
					newest = slices.Delete(newest, 0, len(newest)-c.last)
				}
			case !yield(e, err):
				return
			}
		}
		for _, e := range newest[max(0, len(newest)-c.last):] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// known refuses a name that is neither in the policy file nor in the ledger: to an auditor,
// an empty list is an answer.
func (c choice) known(ctx context.Context, f ledger.Filter, p policies.Policy) error {
	for _, by := range []struct {
		flag, name string
		has        []string
		only       ledger.Filter
	}{
		{"door", f.Door, keys(p.Doors), ledger.Filter{Door: f.Door}},
		{"system", f.System, keys(p.Systems), ledger.Filter{System: f.System}},
		{"vault", f.Vault, keys(p.Vaults), ledger.Filter{Vault: f.Vault}},
		{"window", f.Window, nil, ledger.Filter{Window: f.Window}},
		{"actor", f.Actor, nil, ledger.Filter{Actor: f.Actor}},
	} {
		if by.name == "" || slices.Contains(by.has, by.name) {
			continue
		}
		found, err := c.any(ctx, by.only)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: no entry of the ledger has the %s %q%s", errUsage, by.flag, by.name, c.meant(ctx, by.flag, by.name, by.has))
		}
	}
	return nil
}

func (c choice) any(ctx context.Context, f ledger.Filter) (bool, error) {
	for _, err := range c.entries.Entries(ctx, f) {
		return err == nil, err
	}
	return false, nil
}

// meant says what the name may have been meant for; "" where nobody knows.
func (c choice) meant(ctx context.Context, flag, name string, has []string) string {
	if len(has) > 0 {
		return "; the policy file has " + strings.Join(has, ", ")
	}
	if flag != "actor" {
		return ""
	}
	if found, err := c.any(ctx, ledger.Filter{Actor: "user " + name}); err == nil && found {
		return fmt.Sprintf("; did you mean --actor %q?", "user "+name)
	}
	return "; people are user NAME, and others schedule, airlock, guard"
}
