package vault

import (
	"strconv"
	"strings"
	"syscall"
)

// FullError says that nothing more may come into a vault, and by what measure: its disk,
// or the quota or floor of its host's policy file. To errors.Is it is syscall.ENOSPC.
type FullError struct{ Why string }

const full = "the vault is full: "

func (e *FullError) Error() string { return full + e.Why }

// Is tells that there is no room, whatever the measure.
func (e *FullError) Is(target error) bool { return target == syscall.ENOSPC }

// ReadFull finds what the vault's host said about its room in the message of another
// error, where it stands in quotes; nil if it said nothing of the kind.
func ReadFull(message string) *FullError {
	at := strings.Index(message, strconv.Quote(full)[:len(full)+1])
	if at < 0 {
		return nil
	}
	quoted, err := strconv.QuotedPrefix(message[at:])
	if err != nil {
		return nil
	}
	text, err := strconv.Unquote(quoted)
	if err != nil {
		return nil
	}
	return &FullError{strings.TrimPrefix(text, full)}
}
