package snmp

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"airlock/switchctl"

	"github.com/gosnmp/gosnmp"
)

// Dial reaches the switch once, so that a wrong address or credential is told now. What
// it returns outlives restarts of the switch. ctx bounds the dialling only.
func Dial(ctx context.Context, c Config) (switchctl.Switch, error) {
	s, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	if _, err := s.get(ctx, "read sysUpTime", []string{sysUpTime}); err != nil {
		return nil, closeAfter(s, err)
	}
	return &agent{s}, nil
}

func closeAfter(s *session, err error) error {
	if closing := s.Close(); closing != nil {
		return fmt.Errorf("%w (and closing: %w)", err, closing)
	}
	return err
}

// agent is a switch by its SNMP agent.
type agent struct{ *session }

func (a *agent) Rows(ctx context.Context) ([]switchctl.Row, error) {
	return a.rows(ctx, append(identity(), state()...))
}

func (a *agent) Find(ctx context.Context, l switchctl.Lookup) (switchctl.Port, error) {
	rows, err := a.rows(ctx, identity())
	if err != nil {
		return nil, fmt.Errorf("look up port %s: %w", l, err)
	}
	row, err := l.Match(rows)
	if err != nil {
		return nil, fmt.Errorf("switch %s: %w", a.config.Address, err)
	}
	return &port{session: a.session, asked: l, found: row}, nil
}

// port is one row that was found by a lookup.
type port struct {
	session *session
	asked   switchctl.Lookup
	found   switchctl.Row
	closed  atomic.Bool
}

// Read takes one round trip.
func (p *port) Read(ctx context.Context) (switchctl.Reading, error) {
	counters := []string{ifHCInOctets, ifHCOutOctets, ifInOctets, ifOutOctets}
	row, others, err := p.read(ctx, slices.Concat(identity(), state(), counters), sysUpTime)
	at := time.Now()
	if err != nil {
		return switchctl.Reading{}, err
	}
	if row.Admin == switchctl.AdminUnknown || row.Oper == switchctl.OperNotRead {
		return switchctl.Reading{}, fmt.Errorf("port %s: %w to tell its ifAdminStatus and ifOperStatus; give the account a read view that holds them", p.asked, switchctl.ErrRefused)
	}
	uptime, _ := number(others[sysUpTime])
	reading := switchctl.Reading{At: at, Row: row, Uptime: ticks(uptime)}
	var in, out bool
	reading.InOctets, in = number(others[p.at(ifHCInOctets)])
	reading.OutOctets, out = number(others[p.at(ifHCOutOctets)])
	reading.WideOctets = in && out
	if !reading.WideOctets {
		reading.InOctets, _ = number(others[p.at(ifInOctets)])
		reading.OutOctets, _ = number(others[p.at(ifOutOctets)])
	}
	return reading, nil
}

// Set takes two round trips: one to compare the identity, one to set.
func (p *port) Set(ctx context.Context, admin switchctl.Admin) error {
	if admin != switchctl.AdminUp && admin != switchctl.AdminDown {
		return fmt.Errorf("set port %s: ifAdminStatus %d is neither up (1) nor down (2); nothing was sent", p.asked, admin)
	}
	if _, _, err := p.read(ctx, identity()); err != nil {
		return fmt.Errorf("nothing was set: %w", err)
	}
	answer, err := p.session.exchange(ctx, func(g *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) {
		return g.Set([]gosnmp.SnmpPDU{{Name: p.at(ifAdminStatus), Type: gosnmp.Integer, Value: int(admin)}})
	})
	if err != nil {
		return fmt.Errorf("set port %s: %w", p.asked, err)
	}
	return p.session.refusal(answer.Error, fmt.Sprintf("set ifAdminStatus of port %s to %d", p.asked, admin))
}

// Found is the row as the lookup found it.
func (p *port) Found() switchctl.Row { return p.found }

// Close ends this port's use of the session; the session stays.
func (p *port) Close() error {
	p.closed.Store(true)
	return nil
}

func (p *port) at(column string) string { return column + "." + strconv.Itoa(p.found.Index) }

// read asks for columns of the port's row and scalars in one request, and compares the
// row's identity with the one that was found.
func (p *port) read(ctx context.Context, columns []string, scalars ...string) (switchctl.Row, map[string]gosnmp.SnmpPDU, error) {
	if p.closed.Load() {
		return switchctl.Row{}, nil, fmt.Errorf("port %s: it is closed: %w", p.asked, net.ErrClosed)
	}
	oids := slices.Clone(scalars)
	for _, column := range columns {
		oids = append(oids, p.at(column))
	}
	values, err := p.session.get(ctx, fmt.Sprintf("read port %s", p.asked), oids)
	if err != nil {
		return switchctl.Row{}, nil, fmt.Errorf("read port %s: %w", p.asked, err)
	}
	row := switchctl.Row{Index: p.found.Index}
	for _, column := range columns {
		store(&row, column, values[p.at(column)])
	}
	return row, values, p.asked.Moved(p.found, row)
}

// get asks for single values. What the agent does not have comes as noSuchInstance.
func (s *session) get(ctx context.Context, doing string, oids []string) (map[string]gosnmp.SnmpPDU, error) {
	answer, err := s.exchange(ctx, func(g *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) { return g.Get(oids) })
	if err != nil {
		return nil, err
	}
	if err := s.refusal(answer.Error, doing); err != nil {
		return nil, err
	}
	values := map[string]gosnmp.SnmpPDU{}
	for _, v := range answer.Variables {
		values[v.Name] = v
	}
	for _, oid := range oids {
		if _, answered := values[oid]; !answered {
			return nil, fmt.Errorf("switch %s: %w: the answer lacks %s", s.config.Address, switchctl.ErrTimeout, oid)
		}
	}
	return values, nil
}
