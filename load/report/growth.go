package report

import (
	"cmp"
	"html/template"
	"slices"

	"quicnprotochat/load"
)

// sizes are the settings that make a run larger.
var sizes = []struct {
	name string
	of   func(*load.Config) int
}{
	{"pairs", func(c *load.Config) int { return c.Pairs }},
	{"members", func(c *load.Config) int { return c.Members }},
	{"groups", func(c *load.Config) int { return c.Groups }},
	{"queues", func(c *load.Config) int { return c.Queues }},
	{"clients", func(c *load.Config) int { return c.Clients }},
	{"messages", func(c *load.Config) int { return c.Messages }},
}

// growth draws how the cost of a unit changes with the size of the run, if the runs of a scenario differ in exactly one size.
func growth(runs []Run) (out []template.HTML) {
	var by func(*load.Config) int
	name := ""
	for _, s := range sizes {
		if slices.ContainsFunc(runs, func(r Run) bool { return s.of(&r.Result.Config) != s.of(&runs[0].Result.Config) }) {
			if by != nil {
				return nil
			}
			name, by = s.name, s.of
		}
	}
	if by == nil {
		return nil
	}
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b Run) int { return cmp.Compare(by(&a.Result.Config), by(&b.Result.Config)) })
	stage := mainStage(runs)
	for _, f := range []struct {
		title, unit string
		get         func(*load.Result) float64
	}{
		{"daemon CPU for each", "us", func(r *load.Result) float64 { return r.CPUMicros }},
		{"rate", "1/s", func(r *load.Result) float64 { return max(r.DeliveredPS, r.OpsPS) }},
		{"daemon memory", "MiB", func(r *load.Result) float64 { return float64(r.Cost.RSS) / (1 << 20) }},
		{stage + " p99", "ms", func(r *load.Result) float64 { return r.Stages[stage].P99 }},
	} {
		l := line{name: f.title}
		for _, r := range sorted {
			if v := f.get(r.Result); v > 0 {
				l.add(float64(by(&r.Result.Config)), v)
			}
		}
		if len(l.x) > 1 {
			p := plot{title: f.title + " against " + name, unit: f.unit, xLabel: name, logX: true, logY: true, dots: true, lines: []line{l}}
			out = append(out, p.SVG())
		}
	}
	return out
}
