package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"

	"quicnprotochat/load"
)

// A Run is a result with the name that it has in a report.
type Run struct {
	Name   string
	Result *load.Result
}

// plotsOf draws what the runs of one scenario were like, one over the other.
func plotsOf(runs []Run) (out []template.HTML) {
	add := func(p plot) {
		p.lines = slices.DeleteFunc(p.lines, func(l line) bool { return len(l.x) == 0 })
		if len(p.lines) > 0 {
			out = append(out, p.SVG())
		}
	}
	add(throughput(runs))
	add(latency(runs))
	add(percentiles(runs))
	for _, r := range runs {
		title := "latencies, how many of each"
		if len(runs) > 1 {
			title += ": " + r.Name
		}
		if svg := heatMap(title, r.Result.Intervals); svg != "" {
			out = append(out, svg)
		}
	}
	add(overTime(runs, "CPU of the daemon", "cores", func(iv *load.Interval) (float64, bool) { return iv.CPU, iv.CPU >= 0 && iv.Seconds >= 0.05 }))
	add(overTime(runs, "memory of the daemon", "MiB", func(iv *load.Interval) (float64, bool) { return float64(iv.RSS) / (1 << 20), iv.RSS > 0 }))
	return out
}

// overTime draws a figure of the intervals.
func overTime(runs []Run, title, unit string, get func(*load.Interval) (float64, bool)) plot {
	p := plot{title: title, unit: unit, xLabel: "s"}
	for i, r := range runs {
		l := line{name: r.Name, color: i}
		for k := range r.Result.Intervals {
			iv := &r.Result.Intervals[k]
			if v, ok := get(iv); ok {
				l.add(iv.T, v)
			}
		}
		p.lines = append(p.lines, l)
	}
	return p
}

func throughput(runs []Run) plot {
	ops := true
	for _, r := range runs {
		ops = ops && r.Result.Delivered == 0
	}
	if ops {
		return overTime(runs, "done", "1/s", func(iv *load.Interval) (float64, bool) { return perSecond(iv.Ops, iv) })
	}
	return overTime(runs, "messages delivered", "1/s", func(iv *load.Interval) (float64, bool) { return perSecond(iv.Delivered, iv) })
}

// perSecond leaves out what was too short to tell a rate.
func perSecond(n uint64, iv *load.Interval) (float64, bool) {
	return float64(n) / max(iv.Seconds, 1e-9), iv.Seconds >= 0.01
}

// mainStage is the one whose latency is shown: of the stages with latencies the most telling.
func mainStage(runs []Run) string {
	best, most := "", -1
	for _, name := range []string{load.Received.String(), load.Drained.String(), load.Handshake.String(), load.Commit.String(), load.Stored.String(), load.Acked.String()} {
		n := 0
		for _, r := range runs {
			if r.Result.Stages[name].Count > 0 {
				n++
			}
		}
		if n > most {
			best, most = name, n
		}
	}
	return best
}

func latency(runs []Run) plot {
	stage := mainStage(runs)
	p := plot{title: stage + ", percentiles over time", unit: "ms", xLabel: "s", logY: true}
	of := []struct {
		name string
		get  func(load.Summary) float64
	}{{"p50", func(s load.Summary) float64 { return s.P50 }}, {"p99", func(s load.Summary) float64 { return s.P99 }}, {"max", func(s load.Summary) float64 { return s.Max }}}
	if len(runs) > 1 {
		of = of[1:2]
	}
	for i, r := range runs {
		for k, f := range of {
			l := line{name: f.name, color: i + k}
			if len(runs) > 1 {
				l.name = r.Name + " " + f.name
			}
			for _, iv := range r.Result.Intervals {
				if s, ok := iv.Stages[stage]; ok && s.Count > 0 {
					l.add(iv.T, f.get(s))
				}
			}
			p.lines = append(p.lines, l)
		}
	}
	return p
}

// percentiles draws the whole distribution: the axis has the same room for 90 to 99 % as for 99 to 99.9 %.
func percentiles(runs []Run) plot {
	p := plot{title: "latency by percentile", unit: "ms", logY: true}
	if len(runs) > 1 {
		p.title += ": " + mainStage(runs)
	}
	deepest := 0.0
	add := func(name string, color int, s load.Summary) {
		l := line{name: name, color: color}
		for _, point := range s.Curve {
			x := -math.Log10(max(1-point[0]/100, 1/float64(max(s.Count, 1))))
			deepest = max(deepest, x)
			l.add(x, point[1])
		}
		p.lines = append(p.lines, l)
	}
	if len(runs) == 1 {
		for i, name := range load.StageNames() {
			if s := runs[0].Result.Stages[name]; s.Count > 0 {
				add(name, i, s)
			}
		}
	} else {
		for i, r := range runs {
			add(r.Name, i, r.Result.Stages[mainStage(runs)])
		}
	}
	p.xTicks = []tick{{0, "0 %"}, {-math.Log10(0.5), "50 %"}}
	for nines := 1; float64(nines) <= deepest; nines++ {
		p.xTicks = append(p.xTicks, tick{float64(nines), fmt.Sprintf("%.*f %%", max(0, nines-2), 100-math.Pow(10, float64(2-nines)))})
	}
	return p
}
