package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"airlock/ledger/syslog"
	"airlock/notice"
	"airlock/policies"
)

// restWithin is how long an executor that ends tries to tell the SIEM so. What is not
// told then is told when serve runs again.
const restWithin = 3 * time.Second

// tell sends the ledger's entries to the SIEM until ctx ends.
func (s *Site) tell(ctx context.Context) {
	teller, err := syslog.New(s.syslogConfig(*s.policy.Ledger.Syslog), &s.journal.Ledger.Reader)
	if err != nil {
		s.alarm(Alarm{At: time.Now(), Notice: notice.SIEMNotTold.Of(), Why: err.Error()})
		return
	}
	s.mu.Lock()
	s.teller = teller
	s.mu.Unlock()
	teller.Run(ctx)
}

func (s *Site) syslogConfig(p policies.Syslog) syslog.Config {
	network, address := p.Receiver()
	return syslog.Config{
		Network: network, Address: address, CA: p.CA, Facility: p.Facility, Site: s.policy.Site,
		Cursor: filepath.Join(s.policy.State, "syslog.json"), OutageAfter: time.Duration(p.AlarmAfter),
		Outage: func(since time.Time, err error) {
			s.alarm(Alarm{At: time.Now(), Notice: notice.SIEMTakesNone.Of(), Why: fmt.Sprintf("since %s: %v", since.Format(time.RFC3339), err)})
		},
		Anew: func() {
			s.alarm(Alarm{At: time.Now(), Notice: notice.SIEMToldAnother.Of()})
		},
	}
}

// tellRest tells the SIEM the last entries, the executor's own end among them. The doors
// are where they belong by now.
func (s *Site) tellRest() {
	if s.teller == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), restWithin)
	defer cancel()
	if err := errors.Join(s.journal.Flush(ctx), s.teller.Finish(ctx)); err != nil {
		s.options.Log.Warn("the SIEM was not told of the last entries; it is when serve runs again", "error", err)
	}
}
