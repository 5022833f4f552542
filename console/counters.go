package console

import (
	"runtime"

	"airlock/orchestrator"

	"github.com/prometheus/client_golang/prometheus"
)

// runGauges tell of each system's last gathering and next run, whatever came of it.
func runGauges() []gauge {
	results := []string{"done", "in part", "held", "failed"}
	return []gauge{
		{"airlock_build_info", "1, with the version of airlock that runs, and the Go that built it.", []string{"version", "goversion"}, func(st orchestrator.Status, emit emit) {
			emit(1, st.Version, runtime.Version())
		}},
		{"airlock_policy_differs", "1 while the policy file, or the guard's, is not the one by which the executor runs.", nil, func(st orchestrator.Status, emit emit) {
			emit(truth(st.Policy != nil && len(st.Policy.Differences) > 0))
		}},
		{"airlock_system_last_result", "1 for what came of the last gathering.", []string{"system", "result"}, func(st orchestrator.Status, emit emit) {
			for name, s := range st.Systems {
				for _, result := range results {
					emit(truth(s.LastResult == result), name, result)
				}
			}
		}},
		run("airlock_system_last_attempt_timestamp_seconds", "When the last gathering began, whatever came of it.", func(r *orchestrator.LastRun) float64 { return seconds(r.Start) }),
		run("airlock_system_last_duration_seconds", "How long the last gathering took.", func(r *orchestrator.LastRun) float64 { return r.End.Sub(r.Start).Seconds() }),
		run("airlock_system_files", "Files that the last gathering found.", func(r *orchestrator.LastRun) float64 { return float64(r.Files) }),
		run("airlock_system_bytes", "Bytes of those files.", func(r *orchestrator.LastRun) float64 { return float64(r.Bytes) }),
		run("airlock_system_files_not_read", "Files that the last gathering could not read.", func(r *orchestrator.LastRun) float64 { return float64(r.NotRead) }),
		{"airlock_system_rpo_seconds", "How old the newest snapshot may be, where the policy says so.", []string{"system"}, func(st orchestrator.Status, emit emit) {
			for name, s := range st.Systems {
				if s.RPO > 0 {
					emit(s.RPO, name)
				}
			}
		}},
		{"airlock_system_next_run_timestamp_seconds", "When the system is gathered next by its schedule.", []string{"system"}, func(st orchestrator.Status, emit emit) {
			for name, s := range st.Systems {
				emit(seconds(s.NextRun), name)
			}
		}},
		{"airlock_window_next_timestamp_seconds", "When the next window begins by its schedule.", []string{"vault"}, func(st orchestrator.Status, emit emit) {
			for name, v := range st.Vaults {
				emit(seconds(v.NextWindow), name)
			}
		}},
	}
}

// run is a gauge of the last gatherings; a system that never was gathered has none.
func run(name, help string, value func(*orchestrator.LastRun) float64) gauge {
	return gauge{name, help, []string{"system"}, func(st orchestrator.Status, emit emit) {
		for system, s := range st.Systems {
			if s.LastRun != nil {
				emit(value(s.LastRun), system)
			}
		}
	}}
}

// counters only grow, from nought when the executor begins.
func counters() []gauge {
	return []gauge{
		tallies("airlock_gathers_total", "Gatherings that ended, by what came of them.", "system", func(t *orchestrator.Totals) map[orchestrator.Tally]int64 { return t.Gathers }),
		tallies("airlock_windows_total", "Windows that ended, by what came of them.", "vault", func(t *orchestrator.Totals) map[orchestrator.Tally]int64 { return t.Windows }),
		{"airlock_alarms_total", "Alarms that began.", nil, func(st orchestrator.Status, emit emit) {
			if st.Totals != nil {
				emit(float64(st.Totals.Alarms))
			}
		}},
	}
}

func tallies(name, help, of string, sums func(*orchestrator.Totals) map[orchestrator.Tally]int64) gauge {
	return gauge{name, help, []string{of, "result"}, func(st orchestrator.Status, emit emit) {
		if st.Totals == nil {
			return
		}
		for tally, n := range sums(st.Totals) {
			emit(float64(n), tally.Of, tally.Result)
		}
	}}
}

// measure makes metrics of gauges, or of counters.
func measure(out chan<- prometheus.Metric, st orchestrator.Status, err error, of prometheus.ValueType, all []gauge) {
	for _, g := range all {
		if err != nil {
			out <- prometheus.NewInvalidMetric(g.desc(), err)
			continue
		}
		g.each(st, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(g.desc(), of, value, labels...)
		})
	}
}
