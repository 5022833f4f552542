package guard

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"airlock/lease"
	"airlock/ledger"
	"airlock/notice"
)

// What the guard called a person for is told with its sign of life, so that it reaches the
// executor's status: the newest, for a week.
const (
	tellsAlarms = 20
	tellsFor    = 7 * 24 * time.Hour
)

// lastWeek are the newest of the last week, oldest first.
func lastWeek(all []lease.Alarm) []lease.Alarm {
	week := time.Now().Add(-tellsFor)
	all = slices.DeleteFunc(slices.Clone(all), func(a lease.Alarm) bool { return a.At.Before(week) })
	return all[max(0, len(all)-tellsAlarms):]
}

// Alarms are those of the last week that the guard's own ledger has.
func Alarms(ctx context.Context, r *ledger.Reader) ([]lease.Alarm, error) {
	var all []lease.Alarm
	for e, err := range r.Entries(ctx, ledger.Filter{Kind: ledger.KindAlarm, Since: time.Now().Add(-tellsFor)}) {
		if err != nil {
			return nil, err
		}
		a := lease.Alarm{At: e.Time, Door: e.Door, Notice: notice.Notice{What: e.Reason}}
		var d evidence
		if json.Unmarshal(e.Detail, &d) == nil {
			a.Code, a.Why = d.Code, d.Lease+d.Error
		}
		all = append(all, a)
	}
	return lastWeek(all), nil
}
