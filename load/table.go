package load

import (
	"fmt"
	"strings"
)

// own are the values that a row of the table tells of a scenario, with a format.
var own = map[string][][2]string{
	"fanout":  {{"copies_per_message", "%.3g copies stored"}, {"bytes_written_per_message", "%.0f bytes written each"}},
	"idle":    {{"rss_kib_per_connection", "%.3g KiB each"}, {"goroutines_per_connection", "%.2g goroutines"}, {"idle_cores", "%.2g cores at rest"}},
	"connect": {{"rate_to_bare", "%.2f of bare quic-go's rate"}, {"server_cpu_to_bare", "%.2f of its CPU"}},
	"offline": {
		{"enqueue_per_s_1", "in %.0f/s"}, {"enqueue_per_s_2", "then %.0f/s"}, {"drain_per_s_1", "out %.0f/s"}, {"drain_per_s_2", "then %.0f/s"},
		{"ready_s_1", "ready in %.2g s"}, {"drain_cpu_us_each_1", "out %.0f us each"},
	},
	"churn": {{"joins", "%.0f joins"}, {"leaves", "%.0f leaves"}, {"updates", "%.0f updates"}},
	"soak":  {{"kills", "%.0f kills"}, {"joins", "%.0f joins"}, {"goroutines_begin", "goroutines %.0f"}, {"goroutines_end", "to %.0f"}, {"heap_mib_end", "heap %.0f MiB"}},
}

// TableHead is what stands above the rows.
const TableHead = "| run | rate/s | daemon us each | p50 ms | p99 ms | | |\n|---|---|---|---|---|---|---|\n"

// Row tells a result in a line of a table.
func (r *Result) Row(name string) string {
	kind := scenarios[r.Config.Scenario]
	rate := r.DeliveredPS
	if kind.perOp {
		rate = r.OpsPS
	}
	cpu, p50, p99 := "", "", ""
	if r.CPUMicros >= 0 && r.Config.Scenario != "idle" { // which does next to nothing
		cpu = fmt.Sprintf("%.3g", r.CPUMicros)
	}
	if s, ok := r.Stages[kind.main.String()]; ok {
		p50, p99 = fmt.Sprintf("%.3g", s.P50), fmt.Sprintf("%.3g", s.P99)
	}
	var more []string
	for _, v := range own[r.Config.Scenario] {
		if x, ok := r.Values[v[0]]; ok {
			more = append(more, fmt.Sprintf(v[1], x))
		}
	}
	verdict := "correct"
	switch {
	case r.Violations > 0:
		verdict = fmt.Sprintf("NOT CORRECT: %d violations", r.Violations)
	case r.Aborted != "":
		line, _, _ := strings.Cut(r.Aborted, "\n")
		verdict = "NOT FINISHED: " + line
	}
	return fmt.Sprintf("| %s | %.0f | %s | %s | %s | %s | %s |\n", name, rate, cpu, p50, p99, strings.Join(more, ", "), verdict)
}

// Unit is what a unit of the run's work cost the daemon: CPU microseconds, or, of idle connections, KiB; 0 if it is not known.
func (r *Result) Unit() float64 {
	switch r.Config.Scenario {
	case "idle":
		return r.Values["rss_kib_per_connection"]
	case "offline":
		return r.Values["drain_cpu_us_each_1"] + r.Values["enqueue_cpu_us_each_1"]
	default:
		return max(0, r.CPUMicros)
	}
}
