package switchctl

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// counted is a port whose counters rise by a pace of their own, and by each reading where
// it carries them; they are told from a cache.
type counted struct {
	began    time.Time
	carries  bool
	idle     uint64 // octets a second, each way
	cache    time.Duration
	readings uint64
	told     Reading
}

func (c *counted) Read(context.Context) (Reading, error) {
	time.Sleep(time.Millisecond)
	if c.carries {
		c.readings++
	}
	if c.told.At.IsZero() || time.Since(c.told.At) > c.cache {
		octets := 1000 + uint64(time.Since(c.began).Seconds()*float64(c.idle)) + c.readings*600
		c.told = Reading{At: time.Now(), Row: Row{Index: 4, Oper: OperUp}, InOctets: octets, OutOctets: octets}
	}
	return c.told, nil
}

func (c *counted) Set(context.Context, Admin) error { panic("nothing is changed") }
func (c *counted) Close() error                     { return nil }

// tables is a switch that tells where it hears from.
type tables struct{ Route }

func (t tables) Rows(context.Context) ([]Row, error)        { return nil, net.ErrClosed }
func (t tables) Find(context.Context, Lookup) (Port, error) { return nil, net.ErrClosed }
func (t tables) Close() error                               { return nil }

type routing struct{ tables }

func (r routing) Route(context.Context) (Route, error) { return r.tables.Route, nil }

// Whoever shuts the port through which it reaches the switch locks itself out.
func TestCarriesUs(t *testing.T) {
	const cache = 15 * time.Second
	for name, c := range map[string]struct {
		sw   Switch
		port counted
		want Carrying
	}{
		"it has the switch's address":         {routing{tables{Route{Address: 4}}}, counted{}, Carries},
		"the switch has learned us there":     {routing{tables{Route{Address: 9, Port: 4}}}, counted{}, Carries},
		"the switch has learned us elsewhere": {routing{tables{Route{Address: 9, Port: 5}}}, counted{carries: true}, CarriesNot},
		"no tables, carried":                  {tables{}, counted{carries: true, cache: cache}, Carries},
		"no tables, carried, quiet":           {tables{}, counted{carries: true, idle: 100, cache: cache}, Carries},
		"no tables, not carried":              {tables{}, counted{cache: cache}, CarriesNot},
		"no tables, not carried, some noise":  {tables{}, counted{idle: 1000, cache: cache}, CarriesNot},
		"no tables, busy":                     {tables{}, counted{idle: 1e6, cache: cache}, CarryingUnknown},
		"no tables, busy and carried":         {routing{tables{Route{Address: 9}}}, counted{idle: 1e6, carries: true, cache: cache}, CarryingUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.port.began = time.Now()
				got, how, err := CarriesUs(t.Context(), c.sw, &c.port)
				if err != nil || got != c.want || how == "" {
					t.Errorf("%d (%s), %v; want %d", got, how, err, c.want)
				}
			})
		})
	}
}
