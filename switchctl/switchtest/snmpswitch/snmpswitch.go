// Package snmpswitch is a switch that speaks real SNMP: version 3 with USM (discovery,
// authentication, privacy, time window, reports) and version 2c, over UDP, with the
// part of IF-MIB that a port is found, read and set by. It forwards nothing itself: a
// port calls back when it opens or shuts, and says its octets, so that the demo can
// gate real TCP traffic with it.
//
// It can also misbehave, in the ways that switches in the field do (Faults).
package snmpswitch

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gosnmp/gosnmp"

	"airlock/switchctl/snmp/wire"
)

// Config says how the switch is reached and what ports it has. With a User, version 3
// is served, at authPriv only; with a Community, version 2c.
type Config struct {
	Listen          string // default 127.0.0.1:0
	Name            string // sysName
	Community       string
	User            string
	Auth            gosnmp.SnmpV3AuthProtocol // default SHA256
	AuthPassword    string
	Privacy         gosnmp.SnmpV3PrivProtocol // default AES
	PrivacyPassword string
	Ports           []Port
	// Without are OIDs of IF-MIB columns that this agent does not have.
	Without []string
}

// Port is one row of ifTable and ifXTable.
type Port struct {
	Index       int
	Name        string
	Alias       string
	Description string
	Type        int    // ifType; default 6
	Speed       uint64 // bit/s; default 1 Gbit/s
	Up          bool   // ifAdminStatus; it is the state at first, and then follows the SETs

	// OnAdmin is called whenever Up changes, before the SET is answered, one call at a
	// time. It may be nil.
	OnAdmin func(up bool)
	// Octets are the port's counters. They may be nil. Neither function may call
	// into the Switch.
	Octets func() (in, out uint64)
}

// Faults are what a switch may do wrong. The zero Faults is none.
type Faults struct {
	RefuseSet  gosnmp.SNMPError // SETs are answered with this status; NoAccess is a read-only account
	SwallowSet bool             // SETs are accepted and forgotten
	ApplyAfter time.Duration    // SETs are accepted at once and carried out later
	StaleOper  time.Duration    // ifOperStatus follows ifAdminStatus only after so long
	// Drop loses the answer to a request, which was carried out.
	Drop func(request gosnmp.PDUType) bool
	// Alter may change an answer before it is sent.
	Alter func(request, answer *gosnmp.SnmpPacket)
}

// Switch is a running agent.
type Switch struct {
	config  Config
	conn    net.PacketConn
	served  chan struct{}
	applied sync.Mutex // one OnAdmin at a time

	mu      sync.Mutex
	ports   []*port // in order of the index
	faults  Faults
	started time.Time // of the agent: sysUpTime
	engine  engine
	pending map[*time.Timer]struct{} // SETs to be carried out later
	sets    int
}

type port struct {
	Port
	changed time.Time // of Up
}

// New starts a switch. It serves until Close.
func New(c Config) (*Switch, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.User == "" && c.Community == "" {
		return nil, errors.New("snmpswitch: neither a user nor a community")
	}
	s := &Switch{config: c, served: make(chan struct{}), started: time.Now(), pending: map[*time.Timer]struct{}{}}
	if err := s.addPorts(c.Ports); err != nil {
		return nil, err
	}
	if c.User != "" {
		if err := s.engine.start(c, "\x80\x00\x1f\x88\x04"+rand.Text()[:12]); err != nil {
			return nil, err
		}
	}
	conn, err := net.ListenPacket("udp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("snmpswitch: %w", err)
	}
	s.conn = conn
	go s.serve()
	return s, nil
}

func (s *Switch) addPorts(ports []Port) error {
	last := 0
	for _, p := range ports {
		if p.Index <= last {
			return fmt.Errorf("snmpswitch: port index %d after %d: indexes must increase from 1", p.Index, last)
		}
		last = p.Index
		if p.Type == 0 {
			p.Type = 6
		}
		if p.Speed == 0 {
			p.Speed = 1e9
		}
		s.ports = append(s.ports, &port{Port: p, changed: s.started})
	}
	return nil
}

// Addr is where the switch answers, as host:port.
func (s *Switch) Addr() string { return s.conn.LocalAddr().String() }

// Close stops the switch; its ports stay as they are, and SETs not yet applied are lost.
func (s *Switch) Close() error {
	err := s.conn.Close()
	<-s.served
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.pending {
		t.Stop()
	}
	clear(s.pending)
	return err
}

// SetFaults replaces the faults.
func (s *Switch) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// Edit changes a port behind the management station's back: another name, say.
// It calls no OnAdmin.
func (s *Switch) Edit(index int, change func(*Port)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.port(index)
	if p == nil {
		return fmt.Errorf("snmpswitch: no port %d", index)
	}
	change(&p.Port)
	return nil
}

// Up tells a port's true state, and false for a port that is not there.
func (s *Switch) Up(index int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.port(index)
	return p != nil && p.Port.Up
}

// Sets counts the SETs that reached the switch with good credentials, refused ones too.
func (s *Switch) Sets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sets
}

// Reboot restarts the agent: sysUpTime begins anew and snmpEngineBoots goes up by one.
// The ports keep their state.
func (s *Switch) Reboot() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = time.Now()
	s.engine.boots++
	s.engine.started = s.started
}

// SetClock moves the time of the engine, as an agent's clock does that runs wrong; below
// its start it cannot go.
func (s *Switch) SetClock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine.started = s.engine.started.Add(-ahead)
}

// NewEngine restarts the agent under another snmpEngineID, as a replaced supervisor or
// a changed management address does.
func (s *Switch) NewEngine() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = time.Now()
	return s.engine.start(s.config, "\x80\x00\x1f\x88\x04"+rand.Text()[:12])
}

func (s *Switch) port(index int) *port {
	for _, p := range s.ports {
		if p.Index == index {
			return p
		}
	}
	return nil
}

// serve answers one message after the other, as small agents do.
func (s *Switch) serve() {
	defer close(s.served)
	buffer := make([]byte, 65535)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if answer := s.answer(buffer[:n]); answer != nil {
			// An answer that cannot be sent is one lost on the way: the station asks again.
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

// answer is the message that answers a message, or nil where an agent stays silent.
func (s *Switch) answer(message []byte) []byte {
	request, reply := s.open(message)
	if request == nil {
		return reply // a report, or nothing
	}
	response := s.respond(request)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.Drop != nil && s.faults.Drop(request.PDUType) {
		return nil
	}
	if s.faults.Alter != nil {
		s.faults.Alter(request, response)
	}
	return s.seal(request, response)
}

// open decodes and authenticates a message: a request, or else the reply to a message
// that is none.
func (s *Switch) open(message []byte) (request *gosnmp.SnmpPacket, reply []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version, ok := wire.Version(message)
	switch {
	case ok && version == gosnmp.Version3 && s.config.User != "":
		return s.engine.open(message)
	case ok && version == gosnmp.Version2c && s.config.Community != "":
		packet, err := (&gosnmp.GoSNMP{Version: gosnmp.Version2c}).SnmpDecodePacket(message)
		if err == nil && packet.Community == s.config.Community {
			return packet, nil
		}
	}
	return nil, nil
}

func (s *Switch) seal(request, response *gosnmp.SnmpPacket) []byte {
	if request.Version == gosnmp.Version3 {
		return s.engine.seal(request, response)
	}
	response.Version, response.Community = request.Version, request.Community
	return wire.Marshal(response)
}
