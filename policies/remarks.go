package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"airlock/policies/yamldoc"
)

// Remark is what a sound policy file would be better without, or with.
type Remark struct {
	Key     string `json:"key"`     // by dotted path
	Warning bool   `json:"warning"` // else a note
	Text    string `json:"text"`
}

// Remarks are all that can be said of a policy file without reaching anything, by their
// keys.
func (p *Policy) Remarks() []Remark {
	all := []Remark{}
	for _, key := range p.Insecure() {
		all = append(all, Remark{key, true, "its line is neither encrypted nor signed (insecure: true), and what somebody changes on the way is not found"})
	}
	if zone := p.Timezone.String(); strings.HasPrefix(zone, "Etc/GMT") && strings.ContainsAny(zone, "+-") {
		_, offset := time.Unix(0, 0).In(p.Timezone.Location).Zone()
		all = append(all, Remark{"timezone", true, fmt.Sprintf("%s is UTC%+d: the names of these zones have their signs the other way round; write a place, such as Asia/Tokyo", zone, offset/3600)})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Doors)) {
		if text := p.Doors[name].lacks(); text != "" {
			all = append(all, Remark{yamldoc.Join("doors", name), false, text})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Systems)) {
		all = append(all, p.Systems[name].remarks(yamldoc.Join("systems", name))...)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Vaults)) {
		all = append(all, p.Vaults[name].remarks(yamldoc.Join("vaults", name))...)
	}
	return all
}

// lacks recommends a probe for each door, since a switch that does not tell the truth shows
// in nothing else, and a control for each probe, since a silence proves something only
// where something else answers.
func (d *Door) lacks() string {
	switch {
	case d.Probe == "":
		return "it has no probe, so it is proven shut by its switch alone; name a host behind it that must fall silent"
	case len(d.Control) == 0:
		return "it has a probe and no control: its silence proves more while another host of that segment answers; name one"
	}
	return ""
}

// shortKeep is said of a keep of nothing but last.
const shortKeep = "it keeps the last days and nothing older: damage that is found late has no generation from before it; write daily, weekly and monthly too, such as {last: 10, daily: 14, weekly: 8, monthly: 12}"

func (v *Vault) remarks(at string) []Remark {
	all := v.Window.Schedule.remarks(at + ".window.schedule")
	switch {
	case v.ReceiptKey != "" && v.Keep != (Keep{}):
		all = append(all, Remark{at + ".keep", false, "it changes nothing: the vault's host gives receipts, and keeps by the keep of its own policy file; leave it out here"})
	case v.ReceiptKey == "" && v.Keep.short():
		all = append(all, Remark{at + ".keep", false, shortKeep})
	}
	return all
}

// short says that no rule but last says anything, so that within some weeks nothing is left
// that is older: whoever sends generations for so long has all others go.
func (k Keep) short() bool { return k.Last > 0 && k == Keep{Last: k.Last} }

// Remarks are those of the policy file of a vault's host.
func (h *VaultHost) Remarks() []Remark {
	if h.Keep.short() {
		return []Remark{{"keep", false, shortKeep}}
	}
	return []Remark{}
}

func (s *System) remarks(at string) []Remark {
	all := s.Schedule.remarks(at + ".schedule")
	if gap := s.longestGap(); s.RPO > 0 && gap >= time.Duration(s.RPO) {
		all = append(all, Remark{at + ".rpo", true, fmt.Sprintf("%s cannot be kept: by schedule and quiet hours, up to %s lie between two runs, and a run takes its time; write %s or more, or gather more often", s.RPO, hours(gap), hours(gap+2*time.Hour))})
	}
	return all
}

// hours rounds a time up to whole hours.
func hours(d time.Duration) Duration { return Duration((d + time.Hour - 1).Truncate(time.Hour)) }

// longestGap is the longest time between two runs of one year, or of so many runs as show it.
func (s *System) longestGap() time.Duration {
	const runs = 3000
	from := time.Date(2027, 1, 1, 0, 0, 0, 0, s.zone)
	end := from.AddDate(1, 1, 0)
	start := func(t time.Time) time.Time {
		if until, quiet := s.Quiet(t); quiet {
			return until
		}
		return t
	}
	due := s.Schedule.Next(from)
	last, longest := start(due), time.Duration(0)
	for n := 0; n < runs && last.Before(end); n++ {
		if due = s.Schedule.Next(due); due.IsZero() {
			return max(longest, end.Sub(last))
		}
		next := start(due)
		longest, last = max(longest, next.Sub(last)), next
	}
	return longest
}

// remarks tell what cron's rules make of a schedule against what people expect.
func (s Schedule) remarks(at string) []Remark {
	spec, ok := s.cron.(*cron.SpecSchedule)
	const star = 1 << 63
	if !ok || spec.Dom&star != 0 || spec.Dow&star != 0 {
		return nil
	}
	return []Remark{{at, false, "it names days of the month and days of the week, and runs on each day that is one or the other"}}
}
