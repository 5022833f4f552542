package main

import (
	"encoding/json"
	"slices"
	"testing"

	"airlock/policies"
	"airlock/sshconn"
)

// TestLegacyNames: what a policy may name is what the connection understands. Neither
// package knows the other.
func TestLegacyNames(t *testing.T) {
	text, err := policies.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs struct {
			CLI struct {
				Properties struct {
					Legacy struct {
						Items struct {
							Enum []string `json:"enum"`
						} `json:"items"`
					} `json:"legacy"`
				} `json:"properties"`
			} `json:"CLI"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	if names := schema.Defs.CLI.Properties.Legacy.Items.Enum; !slices.Equal(names, sshconn.LegacyAlgorithms()) {
		t.Errorf("the policy names %q, sshconn %q", names, sshconn.LegacyAlgorithms())
	}
}
