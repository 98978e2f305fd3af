package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"quicnprotochat/load"
)

func runOf(name string, pairs, intervals int) Run {
	r := &load.Result{Config: load.Defaults(), Seconds: 10, Delivered: 5, DeliveredPS: 1000 * float64(pairs), CPUMicros: 10, Stages: map[string]load.Summary{
		"received": {Count: 1000, P99: 5, Curve: [][2]float64{{0, 0.1}, {50, 1}, {99, 5}, {99.9, 9}, {100, 9}}},
	}}
	r.Config.Scenario, r.Config.Pairs = "relay", pairs
	for i := range intervals {
		r.Intervals = append(r.Intervals, load.Interval{T: float64(i + 1), Seconds: 1, Delivered: uint64(i), CPU: 0.5, RSS: 1 << 25, Heat: []int64{0, 3, 0, 9}, Stages: map[string]load.Summary{"received": {Count: 3, P50: 1, P99: 2, Max: 3}}})
	}
	return Run{name, r}
}

var svg = regexp.MustCompile(`(?s)<svg.*?</svg>`)

// wellFormed checks each picture of a page, and returns how many there are.
func wellFormed(t *testing.T, text string) int {
	t.Helper()
	found := svg.FindAllString(text, -1)
	for _, s := range found {
		dec := xml.NewDecoder(strings.NewReader(s))
		for {
			if _, err := dec.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, s)
			}
		}
		if strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
			t.Errorf("not a number in %s", s)
		}
	}
	return len(found)
}

func write(t *testing.T, runs ...Run) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, runs); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if strings.Contains(text, "http:") || strings.Contains(text, "https:") || strings.Contains(text, "<script") || strings.Contains(text, "src=") {
		t.Error("a page that fetches something")
	}
	return text
}

func TestPage(t *testing.T) {
	if n := wellFormed(t, write(t, runOf("a", 4, 20))); n != 6 {
		t.Errorf("%d plots", n)
	}
	text := write(t, runOf("a", 4, 20), runOf("b", 40, 3000), runOf("c", 400, 1))
	if n := wellFormed(t, text); n != 8+3 || !strings.Contains(text, "daemon CPU for each against pairs") {
		t.Errorf("%d plots of three runs of different size", n)
	}
	if len(text) > 2<<20 {
		t.Errorf("%d bytes: a long run makes a large page", len(text))
	}
	other := runOf("d", 4, 2)
	other.Result.Config.Scenario = "fanout"
	if text := write(t, runOf("a", 4, 2), other); strings.Count(text, "<h2>") != 2 {
		t.Error("two scenarios, other than two sections")
	}
}

func TestPageEscapes(t *testing.T) {
	r := runOf("<b>x</b>&\"", 4, 3)
	r.Result.Violations, r.Result.Told, r.Result.Aborted = 2, []string{"lost <i>"}, "why </body>"
	r.Result.Search = []load.Step{{Rate: 5, Why: "<u>"}}
	text := write(t, r, runOf("y", 4, 3))
	wellFormed(t, text)
	for _, bad := range []string{"<b>", "<i>", "<u>", "why </body>"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	for _, want := range []string{"2 violations", "lost &lt;i&gt;", "did not come to its end", "not kept: &lt;u&gt;"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}

func TestPageOfNothing(t *testing.T) {
	r := &load.Result{}
	wellFormed(t, write(t, Run{"empty", r}))
	r.Intervals = []load.Interval{{}, {Heat: []int64{1}}, {T: math.MaxFloat64, Seconds: 1e-300, Delivered: math.MaxUint64, Heat: []int64{5}}}
	wellFormed(t, write(t, Run{"odd", r}))
}

func TestAxis(t *testing.T) {
	for _, v := range [][]float64{{0, 1}, {5, 5}, {1e-9, 2e-9}, {1e18, 1e18}, {-4, 4}, {1e300, 1e308}, {}} {
		for _, logarithmic := range []bool{false, true} {
			if n := len(axisOf([][]float64{v}, logarithmic, true).ticks()); n < 2 || n > 4*roughly {
				t.Errorf("%v, log %v: %d ticks", v, logarithmic, n)
			}
		}
	}
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 999: "999", 12_345: "12.35k", 5e6: "5M", -2e9: "-2G"} {
		if got := short(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
