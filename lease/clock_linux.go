package lease

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Now reads the clock by which leases run: it goes on while the machine sleeps, and
// nobody can set it.
func Now() (Instant, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Instant{}, fmt.Errorf("which boot this is: %w", err)
	}
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return Instant{}, fmt.Errorf("time since the boot: %w", err)
	}
	return Instant{Boot: strings.TrimSpace(string(boot)), Since: time.Duration(t.Nano())}, nil
}
