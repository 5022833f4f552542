package cli

import (
	"context"
	"regexp"
	"strings"
	"time"
)

const (
	// A console that said nothing for so long has said all that there was. A login is kept,
	// so this is waited for once.
	quietOnLogin = 50 * time.Millisecond
	// So many empty lines are typed until the console is taken as it is.
	mostRounds = 10
)

// numbers count in some prompts (EXOS), and are times in others.
var numbers = regexp.MustCompile(`\d+`)

// settle types empty lines until the console answers two of them alike, and nothing comes
// behind. A banner may have lines like prompts, and a login script may show them long
// before a shell listens; a command typed then would be echoed by the terminal, and taken
// for answered by the next line like a prompt, as would be every command after it.
func (c *console) settle(ctx context.Context) error {
	defer c.line.settled.Store(true)
	for range mostRounds {
		answer, err := c.emptyLine(ctx)
		if err != nil {
			return err
		}
		before := c.prompt
		c.prompt = answer
		if numbers.ReplaceAllString(answer, "0") == numbers.ReplaceAllString(before, "0") {
			return nil
		}
	}
	return nil
}

// emptyLine is what the console says to one.
func (c *console) emptyLine(ctx context.Context) (string, error) {
	channel := c.driver.Channel
	if err := channel.WriteReturn(); err != nil {
		return "", err
	}
	answer, err := channel.ReadUntilPrompt(ctx)
	if err != nil {
		return "", err
	}
	for since := time.Now(); time.Since(since) < quietOnLogin && ctx.Err() == nil; {
		more, err := channel.Read()
		if err != nil {
			return "", err
		}
		if len(more) > 0 {
			answer, since = append(answer, more...), time.Now()
			continue
		}
		rest(ctx, channel.ReadDelay)
	}
	return strings.TrimSpace(string(answer)), ctx.Err()
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
