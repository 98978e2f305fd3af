package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Line tells an interval to a person.
func (iv *Interval) Line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6.1fs %-8s", iv.T, iv.Phase)
	per := func(n uint64) float64 { return float64(n) / max(iv.Seconds, 1e-3) }
	fmt.Fprintf(&b, " stored %8.0f/s  delivered %8.0f/s", per(iv.Stored), per(iv.Delivered))
	if iv.Ops > 0 {
		fmt.Fprintf(&b, "  done %8.0f/s", per(iv.Ops))
	}
	for s := range stages {
		if sum, ok := iv.Stages[s.String()]; ok && (s == Received || s == Handshake || s == Commit) {
			fmt.Fprintf(&b, "  %s p50 %.2f p99 %.2f ms", s, sum.P50, sum.P99)
		}
	}
	if iv.CPU >= 0 {
		fmt.Fprintf(&b, "  daemon %.2f cores %d MiB", iv.CPU, iv.RSS>>20)
	}
	return b.String()
}

// Text tells a result to a person.
func (r *Result) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d sent, %d stored, %d delivered", r.Config.Scenario, r.Sent, r.Stored, r.Delivered)
	if r.Refused > 0 {
		fmt.Fprintf(&b, ", %d refused", r.Refused)
	}
	if r.Redelivered > 0 {
		fmt.Fprintf(&b, ", %d came again", r.Redelivered)
	}
	fmt.Fprintf(&b, "\nin %.3g s: stored %.0f/s, delivered %.0f/s, %.1f MB/s of payload", r.Seconds, r.StoredPS, r.DeliveredPS, r.PayloadPS/1e6)
	if r.OpsPS > 0 {
		fmt.Fprintf(&b, ", done %.0f/s", r.OpsPS)
	}
	b.WriteString("\n\n")
	r.writeStages(&b)
	r.writeCost(&b)
	for _, k := range slices.Sorted(maps.Keys(r.Values)) {
		if strings.Contains(k, "/") {
			continue // a detail, for programs
		}
		fmt.Fprintf(&b, "%s: %.6g\n", k, r.Values[k])
	}
	for _, k := range slices.Sorted(maps.Keys(r.Refusals)) {
		fmt.Fprintf(&b, "refused, %s: %d\n", k, r.Refusals[k])
	}
	if r.Violations > 0 {
		fmt.Fprintf(&b, "NOT CORRECT: %d violations\n", r.Violations)
	}
	if r.Aborted != "" {
		fmt.Fprintf(&b, "NOT FINISHED: %s\n", r.Aborted)
	}
	return b.String()
}

func (r *Result) writeStages(b *strings.Builder) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "ms\tcount\tmean\tp50\tp90\tp99\tp99.9\tmax\t\n")
	for s := range stages {
		if sum, ok := r.Stages[s.String()]; ok {
			fmt.Fprintf(w, "%s\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", s, sum.Count, sum.Mean, sum.P50, sum.P90, sum.P99, sum.P999, sum.Max)
		}
	}
	_ = w.Flush()
	b.WriteByte('\n')
}

func (r *Result) writeCost(b *strings.Builder) {
	if c := r.Cost; c.OK {
		if r.CPUMicros >= 0 {
			fmt.Fprintf(b, "daemon: %.2f us of CPU each, ", r.CPUMicros)
		} else {
			b.WriteString("daemon: ")
		}
		fmt.Fprintf(b, "%.2f cores, %d MiB (peak %d), %d threads, %.0f waits/s, %.0f preemptions/s\n", c.CPU/r.Seconds, c.RSS>>20, c.Peak>>20, c.Threads,
			float64(c.Voluntary)/r.Seconds, float64(c.Forced)/r.Seconds)
		if c.Written >= 0 {
			fmt.Fprintf(b, "disk: %.1f MB/s written", float64(c.Written)/1e6/r.Seconds)
		} else {
			b.WriteString("disk: what is written is not known")
		}
		if c.Flushes >= 0 {
			fmt.Fprintf(b, ", %.0f flushes/s", float64(c.Flushes)/r.Seconds)
		}
		if c.Disk >= 0 {
			fmt.Fprintf(b, ", %d MiB taken", c.Disk>>20)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(b, "clients: %.2f cores; wire: %.1f MB to the daemon, %.1f MB from it\n", r.ClientCPU/max(r.Seconds, 1e-3), float64(r.WireOut)/1e6, float64(r.WireIn)/1e6)
}
