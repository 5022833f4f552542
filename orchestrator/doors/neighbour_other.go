//go:build !linux

package doors

import (
	"errors"
	"net/netip"
)

// forgetNeighbour is known how to do on Linux only.
func forgetNeighbour(netip.Addr) error { return errors.ErrUnsupported }
