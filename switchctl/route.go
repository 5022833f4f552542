package switchctl

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Router is a Switch whose own tables tell by which way it is reached. Drivers without
// such tables do not implement it.
type Router interface {
	// Route is read anew at each call. What the tables do not hold stays zero.
	Route(ctx context.Context) (Route, error)
}

// Route is the way of a session's packets, in ifIndexes.
type Route struct {
	Address int // the interface that has the address at which the switch is reached
	Port    int // the port at which it has learned the station that sends
}

// Carrying says whether a switch is reached through one of its ports.
type Carrying int

// The answers.
const (
	CarryingUnknown Carrying = iota
	CarriesNot
	Carries
)

// A burst is readings whose own packets have to show in the counters of a port through
// which they go. Counters are served from caches; net-snmp's are fifteen seconds old at
// the most.
const (
	burstReadings = 300
	readingOctets = 200 // a request for a row, and its answer, are longer
	burstWithin   = 30 * time.Second
	countersLag   = 20 * time.Second
	countersPace  = 2 * time.Second
)

// CarriesUs tells whether sw is reached through port: by the switch's own tables, and
// where they do not tell, by whether the port's octet counters rise with a burst of
// readings. That takes up to twenty seconds for a port which does not carry them, and
// three times as long for one that does. The second result says how it is known, or why
// it is not. Nothing is changed.
func CarriesUs(ctx context.Context, sw Switch, port Port) (Carrying, string, error) {
	now, err := port.Read(ctx)
	if err != nil {
		return CarryingUnknown, "", err
	}
	if router, ok := sw.(Router); ok {
		r, err := router.Route(ctx)
		switch {
		case err != nil && !errors.Is(err, ErrRefused):
			return CarryingUnknown, "", err
		case r.Address == now.Row.Index:
			return Carries, "it has the address at which the switch is reached", nil
		case r.Port == now.Row.Index:
			return Carries, "the switch has learned this machine's address there", nil
		case r.Port != 0:
			return CarriesNot, fmt.Sprintf("the switch has learned this machine's address at index %d", r.Port), nil
		}
	}
	return byCounters(ctx, port)
}

func byCounters(ctx context.Context, port Port) (Carrying, string, error) {
	before, err := port.Read(ctx)
	if err != nil {
		return CarryingUnknown, "", err
	}
	if before.InOctets == 0 && before.OutOctets == 0 && before.Row.Oper == OperUp {
		return CarryingUnknown, "the switch tells no octet counters", nil
	}
	sent := 0
	for end := time.Now().Add(burstWithin); sent < burstReadings; sent++ {
		if time.Now().After(end) {
			return CarryingUnknown, "the switch answers too slowly to count", nil
		}
		if _, err := port.Read(ctx); err != nil {
			return CarryingUnknown, "", err
		}
	}
	burst := uint64(sent) * readingOctets
	rose, err := rises(ctx, port, before, burst)
	switch {
	case err != nil:
		return CarryingUnknown, "", err
	case !rose:
		return CarriesNot, "its octet counters did not rise with a burst of readings", nil
	}
	// It rose: by the burst, or because the port is busy anyhow.
	if err := wait(ctx, countersLag); err != nil {
		return CarryingUnknown, "", err
	}
	if before, err = port.Read(ctx); err != nil {
		return CarryingUnknown, "", err
	}
	if rose, err = rises(ctx, port, before, burst/2); err != nil || rose {
		return CarryingUnknown, "the port is too busy to tell by its octet counters", err
	}
	return Carries, "its octet counters rise with a burst of readings", nil
}

// rises reports whether both counters rise by octets within the time in which they are
// sure to tell.
func rises(ctx context.Context, port Port, before Reading, octets uint64) (bool, error) {
	for end := time.Now().Add(countersLag); ; {
		now, err := port.Read(ctx)
		if err != nil {
			return false, err
		}
		if now.InOctets-before.InOctets >= octets && now.OutOctets-before.OutOctets >= octets {
			return true, nil
		}
		if !time.Now().Before(end) {
			return false, nil
		}
		if err := wait(ctx, countersPace); err != nil {
			return false, err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
