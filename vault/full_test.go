package vault

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

func TestReadFull(t *testing.T) {
	why := &FullError{`its quota of 1.0 MB is used up ("quota" in its policy file)`}
	got := ReadFull(fmt.Sprintf("sftp: %q (SSH_FX_FAILURE)", why.Error()))
	if got == nil || *got != *why || !errors.Is(fmt.Errorf("put: %w", got), syscall.ENOSPC) {
		t.Errorf("got %v", got)
	}
	for _, other := range []string{"", `sftp: "Failure" (SSH_FX_FAILURE)`, `sftp: "the vault is full: never ends`, "the vault is full: not quoted"} {
		if got := ReadFull(other); got != nil {
			t.Errorf("%s: %v", other, got)
		}
	}
}
