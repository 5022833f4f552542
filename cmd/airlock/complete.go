package main

import (
	"airlock/policies"

	"github.com/spf13/cobra"
)

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
