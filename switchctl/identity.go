package switchctl

import (
	"context"
	"net"
	"strings"
)

// Identifier is a Switch that tells which device it is. Drivers that cannot tell do not
// implement it.
type Identifier interface {
	// Identity is read anew at each call; what the device does not tell stays "". It sets
	// nothing.
	Identity(ctx context.Context) (Identity, error)
}

// Identity is which device a switch is, as far as it tells. Two ways to one device may tell
// different things of it.
type Identity struct {
	Address string `json:"address,omitempty"`  // host:port, as it was reached
	Name    string `json:"name,omitempty"`     // sysName, or the host name in the prompt
	Engine  string `json:"engine,omitempty"`   // snmpEngineID, in hex
	MAC     string `json:"mac,omitempty"`      // dot1dBaseBridgeAddress
	HostKey string `json:"host_key,omitempty"` // fingerprint of its SSH key
}

// IdentityOf is what sw tells, or at least the address at which it was reached. That it
// cannot be read now is no error: its address still tells.
func IdentityOf(ctx context.Context, sw Switch, address string) Identity {
	if i, ok := sw.(Identifier); ok {
		if told, err := i.Identity(ctx); err == nil {
			told.Address = address
			return told
		}
	}
	return Identity{Address: address}
}

// Same reports whether two identities may be those of one device. What only one device has
// decides, and then the names; a device that tells nothing is known by its address. In
// doubt they may be, so that two doors are rather refused than both moved.
func (i Identity) Same(o Identity) bool {
	contradict := i.Name != "" && o.Name != "" && hostName(i.Name) != hostName(o.Name)
	switch {
	case i.Address != "" && i.Address == o.Address && !contradict:
		return true // a stack elects another master, an agent makes itself another engine ID
	case i.MAC != "" && o.MAC != "":
		return i.MAC == o.MAC
	case contradict: // makers deliver engine IDs and keys that many devices have
		return false
	case i.Engine != "" && o.Engine != "":
		return i.Engine == o.Engine
	case i.HostKey != "" && i.HostKey == o.HostKey:
		return true
	case i.Name != "" && o.Name != "":
		return true
	}
	return sameHost(i.Address, o.Address)
}

// String names the device for a person.
func (i Identity) String() string {
	switch {
	case i.Name != "":
		return i.Name
	case i.Address != "":
		return i.Address
	}
	return "unknown"
}

// hostName is a device's own name, without the domain that some of its parts add.
func hostName(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	return name
}

// sameHost compares hosts; on this machine's own address stand many devices.
func sameHost(a, b string) bool {
	host, _, err := net.SplitHostPort(a)
	other, _, err2 := net.SplitHostPort(b)
	return err == nil && err2 == nil && host == other && !net.ParseIP(host).IsLoopback()
}
