package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// median is of a copy; of an even number, the mean of the two in the middle.
func median[T any](all []T, of func(T) float64) float64 {
	v := make([]float64, len(all))
	for i := range all {
		v[i] = of(all[i])
	}
	slices.SortFunc(v, cmp.Compare)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// printTable has a line for each system: the medians of its runs.
func printTable(w io.Writer, cfg *config, results map[string][]*result) error {
	topics, members := cfg.shape()
	fmt.Fprintf(w, "%s: senders: %d, recipients of each: %d, window %d, %d bytes, %v after %v; medians of %d runs, interleaved\n\n",
		cfg.scenario, topics, members, cfg.window, cfg.size, cfg.measure, cfg.warmup, cfg.count)
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprint(t, "| system\t| guarantee at acknowledgement\t| delivered/s\t| broker CPU us/delivery\t| p50 ms\t| p99 ms\t|\n|---\t|---\t|---\t|---\t|---\t|---\t|\n")
	for _, s := range cfg.systems {
		runs := results[s.name()]
		if len(runs) == 0 {
			fmt.Fprintf(t, "| %s\t| %s\t| failed\t|\t|\t|\t|\n", s.name(), s.guarantee())
			continue
		}
		of := func(f func(*result) float64) float64 { return median(runs, f) }
		fmt.Fprintf(t, "| %s\t| %s\t| %.0f\t| %.1f\t| %.2f\t| %.1f\t|\n", s.name(), s.guarantee(),
			of(func(r *result) float64 { return r.Delivered }), of(func(r *result) float64 { return r.CPUMicros }),
			of(func(r *result) float64 { return r.P50 }), of(func(r *result) float64 { return r.P99 }))
	}
	return t.Flush()
}
