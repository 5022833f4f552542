package cli

import (
	"context"
	"regexp"
	"strings"

	"airlock/switchctl"
)

// Identity sends nothing: a login shows the switch's host key, and its prompt the name.
func (a *agent) Identity(ctx context.Context) (switchctl.Identity, error) {
	i := switchctl.Identity{Address: a.config.Address}
	err := a.read(ctx, func(c *console) error {
		i.HostKey, i.Name = c.hostKey, nameIn(c.prompt)
		return nil
	})
	return i, err
}

var promptWord = regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9._-]*`)

// nameIn is the host name in a prompt, the last line of what a switch says to an empty one:
// what stands behind an @, or else the first word.
func nameIn(answer string) string {
	lines := strings.Split(strings.TrimSpace(answer), "\n")
	prompt := lines[len(lines)-1]
	if _, behind, ok := strings.Cut(prompt, "@"); ok {
		prompt = behind
	}
	return promptWord.FindString(prompt)
}
