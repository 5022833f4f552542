package switchctl

import (
	"net/netip"
	"time"
)

// Trap is what a switch said of its own accord. It is a reason to look, and proof of
// nothing: it may be late, lost or, unless Authentic, anybody's.
type Trap struct {
	Switch    string     // the name of the sender it was matched with
	From      netip.Addr // where it came from
	At        time.Time  // when it arrived
	Kind      TrapKind
	OID       string // snmpTrapOID, with a leading dot
	Authentic bool   // nobody but the switch can have made it, and not long ago
	Repeats   int    // how many more of its kind, about the same port, came before it was taken

	// What the trap tells, zero where it does not.
	Uptime      time.Duration // sysUpTime when it was made
	IfIndex     int
	Name        string // ifName
	Alias       string // ifAlias
	Description string // ifDescr
}

// TrapKind is what a trap is about.
type TrapKind string

// The kinds of traps: those of RFC 3418 and RFC 2863 that concern a port, and two more.
const (
	ColdStart TrapKind = "coldStart"
	WarmStart TrapKind = "warmStart"
	LinkDown  TrapKind = "linkDown"
	LinkUp    TrapKind = "linkUp"
	OtherTrap TrapKind = "other"
	TrapStorm TrapKind = "storm" // more came than were read: any of the above may have been among them
)
