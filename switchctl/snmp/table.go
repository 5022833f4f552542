package snmp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"airlock/switchctl"

	"github.com/gosnmp/gosnmp"
)

// Columns of IF-MIB (RFC 2863), and the agent's clock.
const (
	ifDescr       = ".1.3.6.1.2.1.2.2.1.2"
	ifType        = ".1.3.6.1.2.1.2.2.1.3"
	ifSpeed       = ".1.3.6.1.2.1.2.2.1.5"
	ifAdminStatus = ".1.3.6.1.2.1.2.2.1.7"
	ifOperStatus  = ".1.3.6.1.2.1.2.2.1.8"
	ifLastChange  = ".1.3.6.1.2.1.2.2.1.9"
	ifInOctets    = ".1.3.6.1.2.1.2.2.1.10"
	ifOutOctets   = ".1.3.6.1.2.1.2.2.1.16"
	ifName        = ".1.3.6.1.2.1.31.1.1.1.1"
	ifHCInOctets  = ".1.3.6.1.2.1.31.1.1.1.6"
	ifHCOutOctets = ".1.3.6.1.2.1.31.1.1.1.10"
	ifHighSpeed   = ".1.3.6.1.2.1.31.1.1.1.15"
	ifAlias       = ".1.3.6.1.2.1.31.1.1.1.18"
	sysUpTime     = ".1.3.6.1.2.1.1.3.0"
)

// identity are the columns by which a port is found and known again. ifType comes
// first: its answers are small enough for any path, so that a switch that does not
// answer to it is a switch that does not answer.
func identity() []string { return []string{ifType, ifName, ifDescr, ifAlias} }

func state() []string {
	return []string{ifAdminStatus, ifOperStatus, ifLastChange, ifSpeed, ifHighSpeed}
}

// store puts a value of a column into a row; what the agent does not have stays zero.
func store(r *switchctl.Row, column string, v gosnmp.SnmpPDU) {
	n, _ := number(v)
	switch column {
	case ifDescr:
		r.Description = text(v)
	case ifName:
		r.Name = text(v)
	case ifAlias:
		r.Alias = text(v)
	case ifType:
		r.Type = int(n)
	case ifAdminStatus:
		r.Admin = switchctl.Admin(n)
	case ifOperStatus:
		r.Oper = switchctl.Oper(n)
	case ifLastChange:
		r.LastChange = ticks(n)
	case ifSpeed:
		if n != math.MaxUint32 && r.Speed == 0 { // that value refers to ifHighSpeed
			r.Speed = n
		}
	case ifHighSpeed: // Mbit/s, 0 below one half
		if n > 0 {
			r.Speed = n * 1e6
		}
	}
}

func text(v gosnmp.SnmpPDU) string {
	b, _ := v.Value.([]byte)
	return switchctl.Normalise(b)
}

// number reads any of SNMP's non-negative integers; some agents write one as text.
func number(v gosnmp.SnmpPDU) (n uint64, ok bool) {
	switch value := v.Value.(type) {
	case int:
		return uint64(max(value, 0)), value >= 0
	case uint:
		return uint64(value), true
	case uint32:
		return uint64(value), true
	case uint64:
		return value, true
	case []byte:
		n, err := strconv.ParseUint(switchctl.Normalise(value), 10, 64)
		return n, err == nil
	}
	return 0, false
}

func ticks(hundredths uint64) time.Duration {
	return time.Duration(hundredths) * (time.Second / 100)
}

// rows reads the columns of all interfaces.
func (s *session) rows(ctx context.Context, columns []string) ([]switchctl.Row, error) {
	found := map[int]*switchctl.Row{}
	for _, column := range columns {
		values, err := s.column(ctx, column)
		if err != nil {
			return nil, err
		}
		for index, value := range values {
			if found[index] == nil {
				found[index] = &switchctl.Row{Index: index}
			}
			store(found[index], column, value)
		}
	}
	rows := make([]switchctl.Row, 0, len(found))
	for _, index := range slices.Sorted(maps.Keys(found)) {
		rows = append(rows, *found[index])
	}
	return rows, nil
}

// mostRows bounds a table: an agent that has more is not a switch, or counts for ever.
const mostRows = 1 << 16

// errBulk is a fault that reading one value at a time may get around.
var errBulk = errors.New("GETBULK")

// column reads one column whole, by ifIndex. One that the agent does not have is empty.
// Where GETBULK fails in a way that agents are known for, the column is read again by
// GETNEXT.
func (s *session) column(ctx context.Context, column string) (map[int]gosnmp.SnmpPDU, error) {
	repetitions := uint32(12) // texts: stay below one Ethernet frame
	switch column {
	case ifType, ifAdminStatus, ifOperStatus, ifLastChange, ifSpeed, ifHighSpeed:
		repetitions = 40
	}
	values, err := s.walk(ctx, column, repetitions)
	fragile := column != ifType && errors.Is(err, switchctl.ErrTimeout) && ctx.Err() == nil
	if errors.Is(err, errBulk) || fragile {
		values, err = s.walk(ctx, column, 1)
	}
	if err != nil {
		return nil, fmt.Errorf("read the interface table: %w", err)
	}
	return values, nil
}

// walk reads a column by GETBULK, or by GETNEXT where repetitions is 1.
func (s *session) walk(ctx context.Context, column string, repetitions uint32) (map[int]gosnmp.SnmpPDU, error) {
	values := map[int]gosnmp.SnmpPDU{}
	last, at := column, -1
	for {
		answer, err := s.exchange(ctx, func(g *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) {
			if repetitions == 1 {
				return g.GetNext([]string{last})
			}
			return g.GetBulk([]string{last}, 0, repetitions)
		})
		if err != nil {
			return nil, err
		}
		if err := s.refusal(answer.Error, "list "+last); err != nil {
			return nil, bulkFault(repetitions, err)
		}
		if len(answer.Variables) == 0 {
			return nil, bulkFault(repetitions, fmt.Errorf("switch %s: the table broke off after %s", s.config.Address, last))
		}
		for _, v := range answer.Variables {
			suffix, inside := strings.CutPrefix(v.Name, column+".")
			if !inside && increases(column, v.Name) || v.Type == gosnmp.EndOfMibView {
				return values, nil
			}
			index, err := strconv.ParseUint(suffix, 10, 31)
			switch {
			case v.Type == gosnmp.NoSuchObject || v.Type == gosnmp.NoSuchInstance:
				err = errors.New("a GETNEXT cannot be answered so")
			case len(values) == mostRows:
				err = fmt.Errorf("more than %d interfaces", mostRows)
			case err == nil && int(index) <= at:
				err = fmt.Errorf("it is not after %s: the agent runs in a circle", last)
			}
			if err != nil {
				return nil, bulkFault(repetitions, fmt.Errorf("switch %s: the table broke off: %s %s: %w", s.config.Address, v.Name, v.Type, err))
			}
			values[int(index)] = v
			last, at = v.Name, int(index)
		}
	}
}

func bulkFault(repetitions uint32, err error) error {
	if repetitions == 1 {
		return err
	}
	return fmt.Errorf("%w: %w", errBulk, err)
}

// increases tells whether OID b comes after a and all below it.
func increases(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := 1; i < min(len(as), len(bs)); i++ {
		x, _ := strconv.ParseUint(as[i], 10, 32)
		y, _ := strconv.ParseUint(bs[i], 10, 32)
		if x != y {
			return y > x
		}
	}
	return false
}
