//go:build !linux

package doors

import (
	"context"
	"net/netip"
)

// hopTo knows nothing of routes here: the link counts as up.
func hopTo(ctx context.Context, host string) (hop, error) {
	_, err := resolve(ctx, host)
	return hop{up: true}, err
}

func gatewayAnswers(context.Context, netip.Addr) bool { return true }
