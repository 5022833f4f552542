package custody

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/ledger/syslog"
	"airlock/notice"
	"airlock/policies"
)

// restWithin is how long an executor that ends tries to tell the SIEM so. What is not
// told then is told when serve runs again.
const restWithin = 3 * time.Second

// Forward sends the ledger's entries to the SIEM until ctx ends.
func (c *Custody) Forward(ctx context.Context) {
	forwarder, err := syslog.New(c.syslogConfig(*c.Policy.Ledger.Syslog), &c.journal.Ledger.Reader)
	if err != nil {
		c.Alarm("", notice.SIEMNotTold.Of(), err.Error())
		return
	}
	c.mu.Lock()
	c.forwarder = forwarder
	c.mu.Unlock()
	forwarder.Run(ctx)
}

func (c *Custody) syslogConfig(p policies.Syslog) syslog.Config {
	network, address := p.Receiver()
	return syslog.Config{
		Network: network, Address: address, CA: p.CA, Facility: p.Facility, Site: c.Policy.Site,
		Cursor: c.Policy.State.Syslog(), OutageAfter: time.Duration(p.AlarmAfter),
		Outage: func(since time.Time, err error) {
			c.Alarm("", notice.SIEMTakesNone.Of(), fmt.Sprintf("since %s: %v", since.Format(time.RFC3339), err))
		},
		Anew: func() {
			c.Alarm("", notice.SIEMToldAnother.Of(), "")
		},
	}
}

// ForwardRest tells the SIEM the last entries, the executor's own end among them. The doors
// are where they belong by now.
func (c *Custody) ForwardRest() {
	c.mu.Lock()
	forwarder := c.forwarder
	c.mu.Unlock()
	if forwarder == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), restWithin)
	defer cancel()
	if err := errors.Join(c.journal.Flush(ctx), forwarder.Finish(ctx)); err != nil {
		c.Log.Warn("the SIEM was not told of the last entries; it is when serve runs again", "error", err)
	}
}

// Outage is since when the SIEM takes nothing, and why; the zero time while it does.
func (c *Custody) Outage() (since time.Time, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forwarder == nil {
		return time.Time{}, nil
	}
	return c.forwarder.State()
}
