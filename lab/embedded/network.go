package embedded

import (
	"errors"
	"sync"

	"airlock/switchctl/switchtest/snmpswitch"
)

// network is the switch, and what went wrong with the gates that its ports are.
type network struct {
	*snmpswitch.Switch

	mu   sync.Mutex
	errs []error
}

// startNetwork starts the switch with the departments' port up and the vault's down.
func startNetwork(departments, vault *Gate) (*network, error) {
	if err := departments.Set(true); err != nil {
		return nil, err
	}
	n := new(network)
	s, err := snmpswitch.New(snmpswitch.Config{
		Name:            "embedded-switch",
		User:            snmpUser,
		AuthPassword:    snmpAuth,
		PrivacyPassword: snmpPrivacy,
		Ports: []snmpswitch.Port{
			n.port(1, DepartmentsPort, "departments", departments),
			{Index: 2, Name: "p2", Alias: "nas", Description: "port 2", Up: true},
			n.port(3, VaultPort, "vault", vault),
		},
	})
	if err != nil {
		return nil, err
	}
	n.Switch = s
	return n, nil
}

// port is a row of the switch whose state and octets are a gate's.
func (n *network) port(index int, name, alias string, g *Gate) snmpswitch.Port {
	return snmpswitch.Port{
		Index: index, Name: name, Alias: alias, Description: "port " + name, Up: g.Up(),
		Octets: g.Octets,
		OnAdmin: func(up bool) {
			if err := g.Set(up); err != nil { // the switch's manager sees only that nothing passes
				n.mu.Lock()
				n.errs = append(n.errs, err)
				n.mu.Unlock()
			}
		},
	}
}

// Close stops the switch, and says what was wrong with the gates so far.
func (n *network) Close() error {
	err := n.Switch.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	return errors.Join(append(n.errs, err)...)
}
