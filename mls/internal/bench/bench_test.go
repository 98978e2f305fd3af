package main

import (
	"strings"
	"testing"
)

const sample = `goos: linux
BenchmarkKeyPackage-2   	    7500	    300000 ns/op	    4128 B/op	      37 allocs/op
BenchmarkKeyPackage-2   	    7500	    100000 ns/op	    4128 B/op	      37 allocs/op
BenchmarkKeyPackage-2   	    7500	    157000 ns/op	    4128 B/op	      37 allocs/op
BenchmarkProtect/256-2  	   31374	     25000 ns/op	   6.43 MB/s
BenchmarkProtect/256-2  	   31374	     75000 ns/op	   6.43 MB/s
PASS
`

func TestMedians(t *testing.T) {
	m, err := parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		unit unit
		want float64
	}{{"KeyPackage", ms, 0.157}, {"Protect/256", rate, 20000}, {"KeyPackage", unit{from: "allocs/op"}, 37}} {
		p := &printer{m: m}
		if got := p.value(c.name, c.unit); got != c.want || p.err != nil {
			t.Errorf("%s in %s: %v, %v", c.name, c.unit.from, got, p.err)
		}
	}
	if _, ok := m.median("KeyPackage", "MB/s"); ok {
		t.Error("a median of nothing")
	}
	if _, err := parse(strings.NewReader("BenchmarkX-2 1 z ns/op\n")); err == nil {
		t.Error("a value that is no number")
	}
}

func TestReportNeedsEveryRow(t *testing.T) {
	m, err := parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := report(&out, m, true); err == nil || out.Len() > 0 {
		t.Errorf("a report with holes: %v %q", err, out.String())
	}
}

func TestReport(t *testing.T) {
	m := make(results)
	fill := func(name, unit string, v float64) {
		if m[name] == nil {
			m[name] = make(map[string][]float64)
		}
		m[name][unit] = []float64{v}
	}
	for _, b := range baselines {
		fill(b.benchmark, b.unit.from, 50000)
	}
	for _, r := range rows {
		for _, name := range r.benchmarks {
			fill(name, r.unit.from, 50000)
		}
	}
	var out strings.Builder
	if err := report(&out, m, false); err != nil {
		t.Fatal(err)
	}
	// 50 us where the best peer needs 157, and 20,000 messages/s where it does 20,400.
	for _, want := range []string{"| 0.345               | 0.157  ", "| 3.14 ", "| 20000 / 20000 ", "| 0.98 / 1.72", "35000 / 17000", "|---"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestBetter(t *testing.T) {
	if got := times(50, 100, 200, false); got != 2 {
		t.Error("time:", got)
	}
	if got := times(50, 100, 200, true); got != 0.25 {
		t.Error("rate:", got)
	}
}
