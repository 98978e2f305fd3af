package report

import (
	"strings"
	"testing"

	"quicnprotochat/load"
)

func results(delivered ...float64) (out []*load.Result) {
	for _, d := range delivered {
		if d == 0 {
			out = append(out, &load.Result{Config: load.Defaults(), Seconds: 1, CPUMicros: -1})
			continue
		}
		out = append(out, &load.Result{Config: load.Defaults(), Seconds: 1, DeliveredPS: d, CPUMicros: 1e6 / d, Stages: map[string]load.Summary{"late": {Count: 1, P50: 1e3 / d}, "received": {Count: 1, P50: 1, P99: 2, P999: 3}}})
	}
	return out
}

func rowOf(t *testing.T, rows []Row, name string) Row {
	t.Helper()
	for _, r := range rows {
		if r.Figure.Name == name {
			return r
		}
	}
	t.Fatalf("no %s in %v", name, rows)
	return Row{}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		a, b []float64
		want string
	}{
		"one each, alike":         {[]float64{1000}, []float64{960}, "same"},
		"one each, worse":         {[]float64{1000}, []float64{900}, "worse"},
		"one each, better":        {[]float64{1000}, []float64{1100}, "better"},
		"within the spread":       {[]float64{900, 1000, 1100}, []float64{850, 950, 1050}, "same"},
		"beyond the spread":       {[]float64{990, 1000, 1010}, []float64{940, 950, 960}, "worse"},
		"apart by less than that": {[]float64{900, 1000, 1010}, []float64{1020, 1030, 1040}, "same"},
		"nothing changed":         {[]float64{5}, []float64{5}, "same"},
		"nothing came":            {[]float64{1000}, []float64{0}, "worse"},
	} {
		rows := Compare(results(c.a...), results(c.b...))
		if got := rowOf(t, rows, "delivered/s"); got.Verdict != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
		if c.b[0] == 0 {
			if got := Failed(rows, 100); len(got) != 5 { // and all others that A has: the daemon's CPU, and three of a stage
				t.Errorf("%s: failed are %q", name, got)
			}
			if text := CompareText(results(c.a...), results(c.b...), rows); !strings.Contains(text, "-  worse") {
				t.Errorf("%s: %s", name, text)
			}
			continue
		}
		if cpu := rowOf(t, rows, "daemon CPU us each"); cpu.Verdict != c.want && len(c.a) == 1 {
			t.Errorf("%s: CPU, of which less is better: %+v, want %s", name, cpu, c.want)
		}
		if same := rowOf(t, rows, "received p99 ms"); same.Verdict != "same" || same.Ratio != 1 {
			t.Errorf("%s: %+v", name, same)
		}
		for _, r := range rows {
			if r.Figure.Name == "stored/s" {
				t.Errorf("%s: a figure that no run has: %+v", name, r)
			}
		}
	}
}

func TestFailed(t *testing.T) {
	rows := Compare(results(1000), results(800))
	if got := Failed(rows, 1.1); len(got) != 2 || !strings.Contains(got[0], "delivered/s: 800 against 1000") {
		t.Errorf("%q", got) // the harness's own delay is not among them
	}
	if got := Failed(rows, 1.3); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := Failed(Compare(results(800), results(1000)), 1); len(got) != 0 {
		t.Errorf("better, and failed: %q", got)
	}
}

func TestCompareText(t *testing.T) {
	a, b := results(1000, 1010, 990), results(500)
	b[0].Config.Pairs = 99
	got := CompareText(a, b, Compare(a, b))
	for _, want := range []string{"differs: pairs: 16, 99\n", "A (3)", "1.0%", "0.500", "worse"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// TestCompareNothing: a run that did nothing counts among those that did something.
func TestCompareNothing(t *testing.T) {
	for name, c := range map[string]struct {
		a, b  []float64
		want  string
		worse bool
	}{
		"most came to nothing": {[]float64{990, 1000, 1010}, []float64{0, 0, 950}, "worse", true},
		"one came to nothing":  {[]float64{990, 1000, 1010}, []float64{0, 1000, 1000}, "same", false},
		"as before":            {[]float64{0, 0, 1000}, []float64{0, 0, 900}, "same", false},
		"now it does":          {[]float64{0}, []float64{1000}, "better", false},
	} {
		rows := Compare(results(c.a...), results(c.b...))
		if got := rowOf(t, rows, "delivered/s"); got.Verdict != c.want || got.Missing {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
		if got := Failed(rows, 2); (len(got) > 0) != c.worse {
			t.Errorf("%s: %q", name, got)
		}
	}
	if rows := Compare(results(0), results(0)); len(rows) != 0 {
		t.Errorf("nothing against nothing: %+v", rows)
	}
}

// TestCompareUnknown: what a run did not cost is known, and no more than what it did cost; what is not known is.
func TestCompareUnknown(t *testing.T) {
	written := func(bytes int64) []*load.Result {
		r := results(1000)
		r[0].Cost = load.Cost{OK: true, Written: bytes}
		return r
	}
	for name, c := range map[string]struct {
		a, b    int64
		verdict string
	}{"nothing": {1e6, 0, "better"}, "more": {1e6, 2e6, "worse"}, "not known": {1e6, -1, "worse"}} {
		if got := rowOf(t, Compare(written(c.a), written(c.b)), "written MB/s"); got.Verdict != c.verdict || got.Missing != (c.b < 0) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, a := range []int64{0, -1} {
		for _, r := range Compare(written(a), written(1e6)) {
			if r.Figure.Name == "written MB/s" {
				t.Errorf("of A %d: %+v", a, r)
			}
		}
	}
}
