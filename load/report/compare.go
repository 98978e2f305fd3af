package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"quicnprotochat/load"
)

// A Figure is a number of a run that two sets of runs are compared by.
type Figure struct {
	Name string
	// More says that more is better.
	More bool
	// ours says that it is of the harness, not of what is measured.
	ours bool
	// of returns false for a run that has no such figure; of a rate, it then is 0.
	of func(*load.Result) (float64, bool)
}

// figures lists what is compared.
func figures() []Figure {
	positive := func(get func(*load.Result) float64) func(*load.Result) (float64, bool) {
		return func(r *load.Result) (float64, bool) { v := get(r); return v, v > 0 }
	}
	known := func(get func(*load.Result) float64) func(*load.Result) (float64, bool) {
		return func(r *load.Result) (float64, bool) { v := get(r); return v, r.Cost.OK && v > 0 }
	}
	out := []Figure{
		{"stored/s", true, false, positive(func(r *load.Result) float64 { return r.StoredPS })},
		{"delivered/s", true, false, positive(func(r *load.Result) float64 { return r.DeliveredPS })},
		{"done/s", true, false, positive(func(r *load.Result) float64 { return r.OpsPS })},
		{"daemon CPU us each", false, false, positive(func(r *load.Result) float64 { return r.CPUMicros })},
		{"daemon memory MiB", false, false, known(func(r *load.Result) float64 { return float64(r.Cost.RSS) / (1 << 20) })},
		{"daemon peak MiB", false, false, known(func(r *load.Result) float64 { return float64(r.Cost.Peak) / (1 << 20) })},
		{"written MB/s", false, false, func(r *load.Result) (float64, bool) { // which may be nothing
			return float64(r.Cost.Written) / 1e6 / max(r.Seconds, 1e-3), r.Cost.OK && r.Cost.Written >= 0
		}},
		{"client CPU s", false, true, positive(func(r *load.Result) float64 { return r.ClientCPU })},
	}
	for _, name := range load.StageNames() {
		for _, p := range []struct {
			name string
			get  func(load.Summary) float64
		}{{"p50", func(s load.Summary) float64 { return s.P50 }}, {"p99", func(s load.Summary) float64 { return s.P99 }}, {"p99.9", func(s load.Summary) float64 { return s.P999 }}} {
			out = append(out, Figure{name + " " + p.name + " ms", false, name == load.Late.String(), func(r *load.Result) (float64, bool) {
				s, ok := r.Stages[name]
				return p.get(s), ok && s.Count > 0
			}})
		}
	}
	return out
}

// A Sample is what several runs say of one figure.
type Sample struct{ Median, Low, High float64 }

func sampleOf(values []float64) Sample {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Sample{Median: (v[(n-1)/2] + v[n/2]) / 2, Low: v[0], High: v[n-1]}
}

// spread is how far the runs lie from their median, as a part of it.
func (s Sample) spread() float64 {
	if s.Median == 0 {
		return 0
	}
	return max(s.High-s.Median, s.Median-s.Low) / math.Abs(s.Median)
}

// A Row compares one figure.
type Row struct {
	Figure Figure
	A, B   Sample
	Ratio  float64 // of B's median to A's
	Worse  float64 // the same turned so that above 1 is worse
	// Missing says that no run of B has what those of A have: B and Ratio say nothing.
	Missing bool
	// Verdict is better, worse or same.
	Verdict string
}

// single is the difference that is not told from noise when a side has one run.
const single = 0.05

// Compare sets the runs B against the runs A. Two medians that lie within what the runs of a side differ among themselves are the same.
func Compare(a, b []*load.Result) []Row {
	var rows []Row
	for _, f := range figures() {
		va, vb := gather(a, f), gather(b, f)
		switch {
		case len(va)+len(vb) == 0:
			continue
		case f.More: // that a run did nothing is no reason to leave it out
			va, vb = append(va, make([]float64, len(a)-len(va))...), append(vb, make([]float64, len(b)-len(vb))...)
		case len(va) == 0 || sampleOf(va).Median == 0: // nothing that a cost could be a multiple of
			continue
		}
		r := Row{Figure: f, A: sampleOf(va)}
		if len(vb) == 0 { // or a run that fails to be measured would pass
			r.Missing, r.Verdict, r.Worse = true, "worse", math.Inf(1)
		} else {
			r.B = sampleOf(vb)
			r.judge(len(va) == 1 || len(vb) == 1)
		}
		rows = append(rows, r)
	}
	return rows
}

// judge compares the two samples; alone says that one of them is a single run.
func (r *Row) judge(alone bool) {
	r.Verdict, r.Ratio = "same", 1
	if r.A.Median != r.B.Median { // which may be 0
		r.Ratio = r.B.Median / r.A.Median
	}
	if r.Worse = r.Ratio; r.Figure.More {
		r.Worse = 1 / r.Ratio
	}
	noise := max(r.A.spread(), r.B.spread())
	if alone {
		noise = max(noise, single)
	}
	switch apart := r.B.Low > r.A.High || r.B.High < r.A.Low; {
	case !apart || math.Abs(r.Ratio-1) <= noise:
	case r.Worse > 1:
		r.Verdict = "worse"
	default:
		r.Verdict = "better"
	}
}

func gather(results []*load.Result, f Figure) (out []float64) {
	for _, r := range results {
		if v, ok := f.of(r); ok {
			out = append(out, v)
		}
	}
	return out
}

// CompareText is the comparison as a table. What differs of the configurations comes before it.
func CompareText(a, b []*load.Result, rows []Row) string {
	var out strings.Builder
	for _, d := range differences(a[0].Config, b[0].Config) {
		fmt.Fprintf(&out, "differs: %s\n", d)
	}
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\tA (%d)\t+-\tB (%d)\t+-\tB/A\t\t\n", len(a), len(b))
	for _, r := range rows {
		if r.Missing {
			fmt.Fprintf(w, "%s\t%s\t%s\t-\t-\t-\t%s\t\n", r.Figure.Name, short(r.A.Median), percent(r.A, len(a)), r.Verdict)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.3f\t%s\t\n", r.Figure.Name, short(r.A.Median), percent(r.A, len(a)), short(r.B.Median), percent(r.B, len(b)), r.Ratio, r.Verdict)
	}
	_ = w.Flush()
	return out.String()
}

// percent is the spread of several runs; one has none.
func percent(s Sample, runs int) string {
	if runs < 2 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*s.spread())
}

// Failed lists the figures, but those of the harness itself, that are worse by more than a factor, and by more than the runs differ.
func Failed(rows []Row, above float64) (out []string) {
	for _, r := range rows {
		switch {
		case r.Figure.ours || r.Verdict != "worse" || r.Worse <= above:
		case r.Missing:
			out = append(out, fmt.Sprintf("%s: none against %.4g", r.Figure.Name, r.A.Median))
		default:
			out = append(out, fmt.Sprintf("%s: %.4g against %.4g", r.Figure.Name, r.B.Median, r.A.Median))
		}
	}
	return out
}
