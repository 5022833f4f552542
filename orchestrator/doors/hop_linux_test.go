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

// S3: the kernel tells by which link a probe would be heard, whether it is up, and who else
// stands there. In networks of their own, of the thread that is never given back.
func TestHop(t *testing.T) {
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
	ip := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v: %s", line, err, out)
			}
		}
	}
	is := func(host string, want hop) {
		t.Helper()
		if got, err := hopTo(t.Context(), host); err != nil || got != want {
			t.Errorf("hopTo(%s) = %+v, %v; want %+v", host, got, err, want)
		}
	}
	ip("link set lo up", "link add here type veth peer name there", "link set here up", "link set there up", "addr add 10.9.0.2/24 dev here")
	is("127.0.0.1", hop{link: "lo", up: true})
	is("10.9.0.3", hop{link: "here", up: true})
	if _, err := hopTo(t.Context(), "192.0.2.1"); err == nil {
		t.Error("there is no way to 192.0.2.1")
	}
	ip("route add default via 10.9.0.1")
	gateway := mustAddr(t, "10.9.0.1")
	is("10.9.0.3", hop{link: "here", up: true, gateway: gateway})
	is("192.0.2.1", hop{link: "here", up: true, gateway: gateway})
	if gatewayAnswers(t.Context(), gateway) {
		t.Error("nobody is at 10.9.0.1")
	}
	ip("link set there down")
	is("10.9.0.3", hop{link: "here", gateway: gateway})
}

func mustAddr(t *testing.T, s string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
