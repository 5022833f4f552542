package console

import (
	"context"
	"slices"
	"time"

	"airlock/orchestrator"

	"github.com/prometheus/client_golang/prometheus"
)

// collector makes metrics of the status at each scrape. Names and labels come from
// the policy file, never from a department's files.
type collector struct{ source Source }

// gauge is one metric, and how it is read off the status.
type gauge struct {
	name, help string
	labels     []string
	each       func(st orchestrator.Status, emit emit)
}

// emit takes one value of a gauge.
type emit func(value float64, labels ...string)

func gauges() []gauge {
	return slices.Concat(siteGauges(), doorGauges(), systemGauges(), runGauges(), vaultGauges(), guardGauges(), ledgerGauges())
}

func siteGauges() []gauge {
	return []gauge{
		{"airlock_up", "1 while the ledger can be read and written.", nil, func(st orchestrator.Status, emit emit) {
			emit(truth(st.Ledger.Error == ""))
		}},
		{"airlock_lockdown", "1 while there is a lockdown.", nil, func(st orchestrator.Status, emit emit) { emit(truth(st.Lockdown != nil)) }},
		{"airlock_lockdown_unknown", "1 while nobody knows whether there is a lockdown, and no door is opened.", nil, func(st orchestrator.Status, emit emit) {
			emit(truth(st.LockdownUnknown != ""))
		}},
		{"airlock_alarms", "Alarms whose causes are not over, the guard's among them; the newest fifty at most.", nil, func(st orchestrator.Status, emit emit) { emit(float64(len(st.Alarms))) }},
	}
}

func doorGauges() []gauge {
	return []gauge{
		{"airlock_door_state", "1 for the state that the door is in.", []string{"door", "state"}, func(st orchestrator.Status, emit emit) {
			for name, d := range st.Doors {
				for _, state := range []string{"unknown", "shut", "opening", "open", "shutting", "stuck"} {
					emit(truth(d.State == state), name, state)
				}
			}
		}},
		{"airlock_door_amiss", "1 if the door is not where it belongs, an inner door that somebody shut among them.", []string{"door"}, func(st orchestrator.Status, emit emit) {
			for name, d := range st.Doors {
				emit(truth(Amiss(st, name) || d.Kept != ""), name)
			}
		}},
		{"airlock_patrol_last_look_timestamp_seconds", "When patrol looked at the door last; 0 for never.", []string{"door"}, func(st orchestrator.Status, emit emit) {
			for name, d := range st.Doors {
				emit(seconds(d.Looked), name)
			}
		}},
		{"airlock_patrol_misses", "Looks of patrol in a row that failed.", []string{"door"}, func(st orchestrator.Status, emit emit) {
			for name, d := range st.Doors {
				emit(float64(d.Misses), name)
			}
		}},
	}
}

func systemGauges() []gauge {
	return []gauge{
		{"airlock_system_last_success_timestamp_seconds", "When the newest snapshot without unreadable files was begun; 0 for never.", []string{"system"}, func(st orchestrator.Status, emit emit) {
			for name, s := range st.Systems {
				var at float64
				if s.LastSuccess != nil {
					at = seconds(*s.LastSuccess)
				}
				emit(at, name)
			}
		}},
		{"airlock_system_rpo_met", "1 if the newest snapshot is young enough.", []string{"system"}, func(st orchestrator.Status, emit emit) {
			for name, s := range st.Systems {
				emit(truth(s.RPOMet), name)
			}
		}},
		{"airlock_system_snapshots", "Snapshots kept in the repository.", []string{"system"}, func(st orchestrator.Status, emit emit) {
			for name, s := range st.Systems {
				emit(float64(s.Snapshots), name)
			}
		}},
	}
}

func vaultGauges() []gauge {
	return []gauge{
		window("airlock_window_ok", "1 if the last window was done whole.", func(w *orchestrator.WindowRecord) float64 { return truth(w.Result == "done") }),
		opening("airlock_window_end_timestamp_seconds", "When the door of the last window was proven shut.", func(w *orchestrator.WindowRecord) float64 { return seconds(w.ProvenAt) }),
		opening("airlock_window_exposure_seconds", "For how long the port counted as open in the last window.", func(w *orchestrator.WindowRecord) float64 { return w.Exposure }),
		opening("airlock_window_exposure_at_most", "1 if nobody measured that, so that it is the longest that it can have been.", func(w *orchestrator.WindowRecord) float64 { return truth(w.AtMost) }),
		window("airlock_window_wire_seconds", "What the bytes of the last window need at the port's speed.", func(w *orchestrator.WindowRecord) float64 { return w.Wire }),
		window("airlock_window_bytes", "Bytes sent in the last window.", func(w *orchestrator.WindowRecord) float64 { return float64(w.Bytes) }),
		window("airlock_window_blobs", "Blobs sent in the last window.", func(w *orchestrator.WindowRecord) float64 { return float64(w.Blobs) }),
		{"airlock_vault_generations", "Generations that the vault holds.", []string{"vault"}, func(st orchestrator.Status, emit emit) {
			for name, v := range st.Vaults {
				emit(float64(v.Generations), name)
			}
		}},
	}
}

func guardGauges() []gauge {
	return []gauge{
		{"airlock_guard_up", "1 if the guard is heard of, and looks at every door.", nil, func(st orchestrator.Status, emit emit) {
			if st.Guard != nil {
				emit(truth(st.Guard.Missing == "" && !st.Guard.HeardAt.IsZero()))
			}
		}},
		{"airlock_guard_age_seconds", "Time since the guard was heard of last.", nil, func(st orchestrator.Status, emit emit) {
			if st.Guard != nil && !st.Guard.HeardAt.IsZero() {
				emit(st.Guard.Age)
			}
		}},
		{"airlock_guard_door_overdue", "1 if the guard on this machine finds the door open without leave.", []string{"door"}, func(st orchestrator.Status, emit emit) {
			if st.Guard == nil {
				return
			}
			for name, d := range st.Guard.Doors {
				emit(truth(d.Overdue != ""), name)
			}
		}},
	}
}

func ledgerGauges() []gauge {
	return []gauge{
		{"airlock_ledger_entries", "Entries in the ledger.", nil, func(st orchestrator.Status, emit emit) { emit(float64(st.Ledger.Entries)) }},
		{"airlock_ledger_pending", "Entries that are not durable yet.", nil, func(st orchestrator.Status, emit emit) { emit(float64(st.Ledger.Pending)) }},
		{"airlock_ledger_trusted", "1 while nothing speaks against the ledger; otherwise no vault's door is opened.", nil, func(st orchestrator.Status, emit emit) {
			emit(truth(st.Ledger.Doubt == ""))
		}},
		{"airlock_ledger_verified_timestamp_seconds", "When the whole ledger was last found sound; 0 for never.", nil, func(st orchestrator.Status, emit emit) {
			var at time.Time
			if st.Ledger.VerifiedAt != nil {
				at = *st.Ledger.VerifiedAt
			}
			emit(seconds(at))
		}},
	}
}

func window(name, help string, value func(*orchestrator.WindowRecord) float64) gauge {
	return gauge{name, help, []string{"vault"}, func(st orchestrator.Status, emit emit) {
		for vault, v := range st.Vaults {
			if v.LastWindow != nil {
				emit(value(v.LastWindow), vault)
			}
		}
	}}
}

// opening is like window, of windows whose door was opened and is proven shut: of others
// there is nothing to tell.
func opening(name, help string, value func(*orchestrator.WindowRecord) float64) gauge {
	return gauge{name, help, []string{"vault"}, func(st orchestrator.Status, emit emit) {
		for vault, v := range st.Vaults {
			if w := v.LastWindow; w != nil && !w.OpenedAt.IsZero() && !w.ProvenAt.IsZero() {
				emit(value(w), vault)
			}
		}
	}}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func (g gauge) desc() *prometheus.Desc { return prometheus.NewDesc(g.name, g.help, g.labels, nil) }

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, g := range slices.Concat(gauges(), counters()) {
		out <- g.desc()
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	st, err := c.source.Status(ctx)
	measure(out, st, err, prometheus.GaugeValue, gauges())
	measure(out, st, err, prometheus.CounterValue, counters())
}
