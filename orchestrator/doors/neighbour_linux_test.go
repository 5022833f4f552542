package doors

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestForgetNeighbour: what the kernel has found out is forgotten, what a person wrote
// stays. In a network of its own, of the thread that is never given back.
func TestForgetNeighbour(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("a network namespace wants root")
		}
		t.Skip("a network namespace wants root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	ip := func(line string) string {
		out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
		return string(out)
	}
	ip("link add d0 type veth peer name d1")
	ip("addr add 192.0.2.1/24 dev d0")
	ip("link set d1 up")
	ip("link set d0 up")
	ip("addr add 2001:db8::1/64 dev d0 nodad")
	for address, state := range map[string]string{"192.0.2.7": "stale", "192.0.2.8": "permanent", "2001:db8::7": "stale"} {
		ip("neigh add " + address + " lladdr 02:00:00:00:00:07 dev d0 nud " + state)
	}
	for _, address := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.9", "2001:db8::7"} {
		if err := forgetNeighbour(netip.MustParseAddr(address)); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if left := ip("neigh show dev d0 nud all"); !strings.Contains(left, "192.0.2.8") || strings.Contains(left, "::7") || strings.Contains(left, "192.0.2.7 ") {
		t.Errorf("the neighbours that are left are not 192.0.2.8 alone:\n%s", left)
	}
}
