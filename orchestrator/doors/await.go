package doors

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"airlock/pause"
)

// Await returns once address accepts a connection: after a port came up, the first
// packets are often lost, and a lost SYN would cost a second. So tries are short and
// many, and each asks the network anew where the address is. After patience it gives up:
// the door does not stand open for a vault that is not there.
func Await(ctx context.Context, address string, patience time.Duration) error {
	if address == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	neighbour, _ := netip.ParseAddrPort(address) // of a name, the kernel's own patience is needed
	for began := time.Now(); ; {
		if neighbour.IsValid() {
			_ = forgetNeighbour(neighbour.Addr()) // without the right to, the link takes up to a second longer
		}
		d := net.Dialer{Timeout: max(firstTry, time.Since(began)/20)} // a host that is far or slow gets its time, too
		conn, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the vault at %s does not answer: %w", address, err)
		}
		pause.For(ctx, 5*time.Millisecond)
	}
}

// firstTry is what the first connections have to come about.
const firstTry = 25 * time.Millisecond
