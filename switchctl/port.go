// Package switchctl reads and sets the administrative state of one physical
// switch port, and decides which port that is.
//
// The package holds what every driver shares: the Switch and Port contracts, the
// lookup of a port among a switch's rows (S7), and the errors that a caller may
// branch on. The drivers stand below it (switchctl/snmp, switchctl/cli); each
// passes the conformance suite in switchctl/switchtest.
//
// Nothing here proves anything about a door by itself: a Set that returned nil was
// accepted, not carried out. Only a later Read does (S3), and judging the readings
// is the business of orchestrator/doors/window.
package switchctl

import (
	"context"
	"errors"
	"time"
)

// Admin is ifAdminStatus (RFC 2863): what the port was told to be.
type Admin int

// The values of ifAdminStatus. The zero Admin was not read.
const (
	AdminUnknown Admin = 0
	AdminUp      Admin = 1
	AdminDown    Admin = 2
	AdminTesting Admin = 3
)

// Oper is ifOperStatus (RFC 2863): what the port is. Many agents, net-snmp among
// them, serve it from a cache that is some seconds old.
type Oper int

// The values of ifOperStatus. The zero Oper was not read.
const (
	OperNotRead        Oper = 0
	OperUp             Oper = 1
	OperDown           Oper = 2
	OperTesting        Oper = 3
	OperUnknown        Oper = 4
	OperDormant        Oper = 5
	OperNotPresent     Oper = 6
	OperLowerLayerDown Oper = 7
)

// Lookup says which port is meant. Every field that is not zero must match, and
// all of them one and the same row (S7).
type Lookup struct {
	Name        string // ifName
	Alias       string // ifAlias, the description that an administrator typed
	Description string // ifDescr
	Index       int    // ifIndex
}

// Row is one interface of a switch as its agent lists it. Texts are normalised:
// surrounding space, NULs and quotes are gone, hex strings decoded.
type Row struct {
	Index       int
	Name        string
	Alias       string
	Description string
	Type        int // ifType (IANAifType): 6 ethernetCsmacd, 161 ieee8023adLag, …
	Admin       Admin
	Oper        Oper
	Speed       uint64        // bit/s; 0 where not told
	LastChange  time.Duration // sysUpTime at the last change of Oper
}

// Reading is what a port said of itself at one instant.
type Reading struct {
	At         time.Time // when the answer arrived
	Row        Row       // identity and state
	Uptime     time.Duration
	InOctets   uint64 // 64-bit counters where the agent has them
	OutOctets  uint64
	WideOctets bool // false: the counters are 32-bit and wrap
}

// Switch is a session with one switch. It is safe for concurrent use.
type Switch interface {
	// Rows lists every interface in the order of the index. A table that could not
	// be read whole is an error, never a shorter table.
	Rows(ctx context.Context) ([]Row, error)
	// Find resolves l to exactly one physical port, or refuses with an error that
	// wraps ErrNoMatch, ErrAmbiguous or ErrNotPhysical. It sets nothing.
	Find(ctx context.Context, l Lookup) (Port, error)
	// Close ends the session; it promises nothing about any port.
	Close() error
}

// Port is one physical port, already identified.
type Port interface {
	// Read asks the switch for the port's state. A row that no longer has the
	// identity by which it was found is ErrMoved.
	Read(ctx context.Context) (Reading, error)
	// Set tells the switch what the port shall be, after comparing the row's
	// identity once more (S7): ErrMoved if it changed, and nothing was sent.
	// It returns once the switch accepted it; that proves nothing. ErrTimeout
	// means that it may have been carried out: read, never assume.
	// Setting what is set already is harmless.
	Set(ctx context.Context, admin Admin) error
	// Close ends what the port holds of its session; it promises nothing about the port.
	Close() error
}

// Located is a Port that tells which row it was found as, without asking the switch.
type Located interface{ Found() Row }

// Keeper is a Port whose switch tells what it will make of the port after a power cut
// (S8). Drivers that cannot tell do not implement it.
type Keeper interface {
	// Saved reads the saved configuration. A platform that gives no way to know is an
	// error that wraps errors.ErrUnsupported.
	Saved(ctx context.Context) (Saved, error)
}

// Saved is what a switch's saved configuration makes of a port.
type Saved struct {
	Shut bool     // it is proven that the port comes up shut
	Cure []string // what a person types to make it so, one command a line; the door is shut first
}

// Timer is a Port whose switch can shut it by itself, whatever became of whoever opened
// it (S4). Drivers without such a way do not implement it.
type Timer interface {
	// Arm has the switch shut the port after the given time, rounded up to what the
	// platform can count; it returns once the switch accepted it. Armed again, the
	// newer time counts. A platform that has no way is an error that wraps
	// errors.ErrUnsupported.
	Arm(ctx context.Context, after time.Duration) error
	// Disarm takes it back; where nothing is armed, that is no error. It leaves the
	// port as it is.
	Disarm(ctx context.Context) error
}

// Errors on which callers branch; every driver wraps them.
var (
	ErrNoMatch     = errors.New("no port matches")
	ErrAmbiguous   = errors.New("more than one port matches")
	ErrNotPhysical = errors.New("not a physical port")
	ErrMoved       = errors.New("the port's row changed its identity")
	ErrRefused     = errors.New("the switch refused")
	ErrAuth        = errors.New("the switch did not accept the credentials")
	ErrNotEntered  = errors.New("the switch was not entered") // the credentials were not even shown to it
	ErrTimeout     = errors.New("the switch did not answer in time")
)
