package snmpswitch

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"
)

// mostVariables bounds an answer to GETBULK, so that it fits into a datagram.
const mostVariables = 100

// column is an object of IF-MIB or of the system group: a column of one row for each
// port, or a scalar, whose only row is 0.
type column struct {
	oid    string
	scalar bool
	value  func(s *Switch, p *port) gosnmp.SnmpPDU // without the name
}

const (
	interfaces    = ".1.3.6.1.2.1.2.2.1."
	extended      = ".1.3.6.1.2.1.31.1.1.1."
	ifAdminStatus = interfaces + "7"
)

// columns are all objects, in the order of their OIDs.
func (s *Switch) columns() []column {
	text := func(of func(*port) string) func(*Switch, *port) gosnmp.SnmpPDU {
		return func(_ *Switch, p *port) gosnmp.SnmpPDU {
			return gosnmp.SnmpPDU{Type: gosnmp.OctetString, Value: []byte(of(p))}
		}
	}
	all := []column{
		{".1.3.6.1.2.1.1.3", true, func(s *Switch, _ *port) gosnmp.SnmpPDU { return s.ticks(time.Now()) }}, // sysUpTime
		{".1.3.6.1.2.1.1.5", true, func(s *Switch, _ *port) gosnmp.SnmpPDU { // sysName
			return gosnmp.SnmpPDU{Type: gosnmp.OctetString, Value: []byte(s.config.Name)}
		}},
		{".1.3.6.1.2.1.2.1", true, func(s *Switch, _ *port) gosnmp.SnmpPDU { return integer(len(s.ports)) }}, // ifNumber
		{interfaces + "1", false, func(_ *Switch, p *port) gosnmp.SnmpPDU { return integer(p.Index) }},       // ifIndex
		{interfaces + "2", false, text(func(p *port) string { return p.Description })},
		{interfaces + "3", false, func(_ *Switch, p *port) gosnmp.SnmpPDU { return integer(p.Type) }},
		{interfaces + "5", false, func(_ *Switch, p *port) gosnmp.SnmpPDU { // ifSpeed
			return gosnmp.SnmpPDU{Type: gosnmp.Gauge32, Value: uint32(min(p.Speed, math.MaxUint32))}
		}},
		{ifAdminStatus, false, func(_ *Switch, p *port) gosnmp.SnmpPDU { return integer(status(p.Up)) }},
		{interfaces + "8", false, func(s *Switch, p *port) gosnmp.SnmpPDU { return integer(status(s.oper(p))) }},
		{interfaces + "9", false, func(s *Switch, p *port) gosnmp.SnmpPDU { return s.ticks(p.changed) }}, // ifLastChange
		{interfaces + "10", false, func(_ *Switch, p *port) gosnmp.SnmpPDU { in, _ := p.octets(); return narrow(in) }},
		{interfaces + "16", false, func(_ *Switch, p *port) gosnmp.SnmpPDU { _, out := p.octets(); return narrow(out) }},
		{extended + "1", false, text(func(p *port) string { return p.Name })},
		{extended + "6", false, func(_ *Switch, p *port) gosnmp.SnmpPDU { in, _ := p.octets(); return wide(in) }},
		{extended + "10", false, func(_ *Switch, p *port) gosnmp.SnmpPDU { _, out := p.octets(); return wide(out) }},
		{extended + "15", false, func(_ *Switch, p *port) gosnmp.SnmpPDU { // ifHighSpeed
			return gosnmp.SnmpPDU{Type: gosnmp.Gauge32, Value: uint32(p.Speed / 1e6)}
		}},
		{extended + "18", false, text(func(p *port) string { return p.Alias })},
	}
	return slices.DeleteFunc(all, func(c column) bool { return slices.Contains(s.config.Without, c.oid) })
}

func integer(n int) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: gosnmp.Integer, Value: n} }
func narrow(n uint64) gosnmp.SnmpPDU {
	return gosnmp.SnmpPDU{Type: gosnmp.Counter32, Value: uint32(n & math.MaxUint32)} // it wraps
}
func wide(n uint64) gosnmp.SnmpPDU { return gosnmp.SnmpPDU{Type: gosnmp.Counter64, Value: n} }

// status is ifAdminStatus or ifOperStatus.
func status(up bool) int {
	if up {
		return 1
	}
	return 2
}

// ticks is sysUpTime at t; before the agent's start it is 0, as RFC 2863 wants of ifLastChange.
func (s *Switch) ticks(t time.Time) gosnmp.SnmpPDU {
	return gosnmp.SnmpPDU{Type: gosnmp.TimeTicks, Value: uint32(max(0, t.Sub(s.started)) / (time.Second / 100))}
}

// oper is what ifOperStatus shows, which may be old.
func (s *Switch) oper(p *port) bool {
	if p.changed.After(s.started) && time.Since(p.changed) < s.faults.StaleOper {
		return !p.Up
	}
	return p.Up
}

func (p *port) octets() (in, out uint64) {
	if p.Octets == nil {
		return 0, 0
	}
	return p.Octets()
}

// respond carries out a request.
func (s *Switch) respond(request *gosnmp.SnmpPacket) *gosnmp.SnmpPacket {
	response := &gosnmp.SnmpPacket{PDUType: gosnmp.GetResponse, RequestID: request.RequestID, Variables: request.Variables}
	if request.PDUType == gosnmp.SetRequest {
		response.Error, response.ErrorIndex = s.set(request.Variables)
		return response
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	columns := s.columns()
	switch request.PDUType {
	case gosnmp.GetRequest:
		response.Variables = nil
		for _, v := range request.Variables {
			response.Variables = append(response.Variables, s.get(columns, v.Name))
		}
	case gosnmp.GetNextRequest:
		response.Variables = s.bulk(columns, request.Variables, 1)
	case gosnmp.GetBulkRequest:
		single := min(int(request.NonRepeaters), len(request.Variables))
		response.Variables = append(s.bulk(columns, request.Variables[:single], 1),
			s.bulk(columns, request.Variables[single:], min(int(request.MaxRepetitions), mostVariables))...)
	default:
		response.Error = gosnmp.GenErr
	}
	return response
}

// bulk answers GETNEXT so many times over (RFC 3416, section 4.2.3).
func (s *Switch) bulk(columns []column, asked []gosnmp.SnmpPDU, repetitions int) []gosnmp.SnmpPDU {
	var answers []gosnmp.SnmpPDU
	for range repetitions {
		if len(answers)+len(asked) > mostVariables && len(answers) > 0 {
			break
		}
		round := make([]gosnmp.SnmpPDU, len(asked))
		for i, v := range asked {
			round[i] = s.next(columns, v.Name)
		}
		answers, asked = append(answers, round...), round
	}
	return answers
}

func (s *Switch) get(columns []column, oid string) gosnmp.SnmpPDU {
	for _, c := range columns {
		suffix, ok := strings.CutPrefix(oid, c.oid+".")
		if !ok {
			continue
		}
		if c.scalar && suffix == "0" {
			return named(c.value(s, nil), oid)
		}
		index, err := strconv.Atoi(suffix)
		if p := s.port(index); err == nil && p != nil && !c.scalar {
			return named(c.value(s, p), oid)
		}
		return gosnmp.SnmpPDU{Name: oid, Type: gosnmp.NoSuchInstance}
	}
	return gosnmp.SnmpPDU{Name: oid, Type: gosnmp.NoSuchObject}
}

// next is the first value after oid in the order of OIDs.
func (s *Switch) next(columns []column, oid string) gosnmp.SnmpPDU {
	for _, c := range columns {
		row, inside := strings.CutPrefix(oid, c.oid+".")
		if !inside && compare(c.oid, oid) < 0 {
			continue
		}
		if c.scalar {
			if !inside {
				return named(c.value(s, nil), c.oid+".0")
			}
			continue
		}
		after := -1
		if inside {
			first, _, _ := strings.Cut(row, ".")
			after, _ = strconv.Atoi(first)
		}
		for _, p := range s.ports {
			if p.Index > after {
				return named(c.value(s, p), c.oid+"."+strconv.Itoa(p.Index))
			}
		}
	}
	return gosnmp.SnmpPDU{Name: oid, Type: gosnmp.EndOfMibView}
}

func named(v gosnmp.SnmpPDU, oid string) gosnmp.SnmpPDU {
	v.Name = oid
	return v
}

// compare orders OIDs in dotted form.
func compare(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		// Without leading zeros the longer number is the greater.
		return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
	})
}

// set carries out a SET: all of it or nothing.
func (s *Switch) set(asked []gosnmp.SnmpPDU) (gosnmp.SNMPError, uint8) {
	s.applied.Lock()
	defer s.applied.Unlock()
	s.mu.Lock()
	s.sets++
	faults := s.faults
	for i, v := range asked {
		if err := s.settable(v); err != gosnmp.NoError {
			s.mu.Unlock()
			return err, uint8(i + 1)
		}
	}
	s.mu.Unlock()
	for _, v := range asked {
		index, _ := strconv.Atoi(strings.TrimPrefix(v.Name, ifAdminStatus+"."))
		up := v.Value == 1
		switch {
		case faults.SwallowSet:
		case faults.ApplyAfter > 0:
			s.applyLater(faults.ApplyAfter, index, up)
		default:
			s.apply(index, up)
		}
	}
	return gosnmp.NoError, 0
}

func (s *Switch) settable(v gosnmp.SnmpPDU) gosnmp.SNMPError {
	suffix, ok := strings.CutPrefix(v.Name, ifAdminStatus+".")
	index, err := strconv.Atoi(suffix)
	switch {
	case s.faults.RefuseSet != gosnmp.NoError:
		return s.faults.RefuseSet
	case !ok:
		return gosnmp.NotWritable
	case err != nil || s.port(index) == nil:
		return gosnmp.NoCreation
	case v.Type != gosnmp.Integer:
		return gosnmp.WrongType
	case v.Value != 1 && v.Value != 2:
		return gosnmp.WrongValue
	}
	return gosnmp.NoError
}

// apply makes a port's state what was set; s.applied is held.
func (s *Switch) apply(index int, up bool) {
	s.mu.Lock()
	p := s.port(index)
	change := p != nil && p.Up != up
	var tell func(bool)
	if change {
		p.Up, p.changed, tell = up, time.Now(), p.OnAdmin
	}
	s.mu.Unlock()
	if tell != nil {
		tell(up)
	}
}

func (s *Switch) applyLater(after time.Duration, index int, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(after, func() {
		s.applied.Lock()
		defer s.applied.Unlock()
		s.mu.Lock()
		_, wanted := s.pending[timer]
		delete(s.pending, timer)
		s.mu.Unlock()
		if wanted {
			s.apply(index, up)
		}
	})
	s.pending[timer] = struct{}{}
}
