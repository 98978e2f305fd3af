package load

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// service pretends to be a daemon that keeps the bound up to a rate.
type service struct {
	most   float64
	tries  int
	broken bool
}

func (s *service) try(_ context.Context, rate float64) (*Result, error) {
	s.tries++
	if s.broken {
		r := &Result{Violations: 1, Told: []string{"lost"}}
		return nil, r.verdict()
	}
	p99 := 1.0
	if rate > s.most {
		p99 = 1000
	}
	n := uint64(rate * 3)
	return &Result{
		Seconds: 3, Stored: n, Delivered: 5 * n, StoredPS: rate, DeliveredPS: 5 * rate, Config: Config{Rate: rate},
		Stages: map[string]Summary{"received": {Count: int64(n) + 1, P99: p99}},
	}, nil
}

func TestSearch(t *testing.T) {
	for _, most := range []float64{3, 700, 1000, 5300, 123_456, 1e7} {
		s := &service{most: most}
		f := &finder{bound: DefaultBound(), try: s.try}
		r, err := f.search(t.Context())
		if err != nil {
			t.Errorf("%v: %v", most, err)
			continue
		}
		if got := r.Config.Rate; got > most || got < most/precision*0.999 && got > 1 || s.tries > 40 {
			t.Errorf("found %v of %v with %d steps", got, most, s.tries)
		}
		if last := f.steps[len(f.steps)-1]; !last.Again || !last.Kept() || last.Rate != r.Config.Rate || !strings.Contains(last.Line(), "again") {
			t.Errorf("%v: not confirmed: %+v", most, last)
		}
	}
}

func TestSearchFindsNone(t *testing.T) {
	s := &service{most: 0.1}
	f := &finder{bound: DefaultBound(), try: s.try}
	if _, err := f.search(t.Context()); !errors.Is(err, ErrBound) {
		t.Error(err)
	}
	s = &service{broken: true}
	f = &finder{bound: DefaultBound(), try: s.try}
	if _, err := f.search(t.Context()); !errors.Is(err, ErrViolation) || s.tries != 1 {
		t.Error(err, s.tries)
	}
}

// TestSearchUnsteady has the second run at a rate fail sooner: the search goes down, and comes to an end.
func TestSearchUnsteady(t *testing.T) {
	s := &service{}
	f := &finder{bound: DefaultBound()}
	tried := make(map[float64]bool)
	f.try = func(ctx context.Context, rate float64) (*Result, error) {
		s.most = 2000
		if tried[rate] {
			s.most = 1500
		}
		tried[rate] = true
		return s.try(ctx, rate)
	}
	r, err := f.search(t.Context())
	if err != nil || r.Config.Rate > 1500 || r.Config.Rate < 1500/precision/precision {
		t.Error(r, err)
	}
}

func TestJudge(t *testing.T) {
	b := DefaultBound()
	good := func() *Result {
		return &Result{Seconds: 10, Stored: 10_000, Delivered: 50_000, StoredPS: 1000, DeliveredPS: 5000, Stages: map[string]Summary{"received": {Count: 10_000, P99: 9.9}}}
	}
	for name, c := range map[string]struct {
		change func(*Result)
		want   string
	}{
		"kept":             {func(*Result) {}, ""},
		"slow":             {func(r *Result) { r.Stages["received"] = Summary{Count: 1, P99: 10.1} }, "p99 over 10 ms"},
		"nothing":          {func(r *Result) { r.Stages = nil }, "nothing was measured"},
		"not all stored":   {func(r *Result) { r.StoredPS = 900 }, "less was stored"},
		"not all came":     {func(r *Result) { r.DeliveredPS = 4500 }, "less was delivered"},
		"some more, later": {func(r *Result) { r.StoredPS = 985 }, ""},
		"not at its end":   {func(r *Result) { r.Aborted = "gone" }, "gone"},
	} {
		r := good()
		c.change(r)
		if s := b.judge(1000, r); (s.Why == "") != (c.want == "") || !strings.Contains(s.Why, c.want) {
			t.Errorf("%s: %q, want %q", name, s.Why, c.want)
		}
	}
	for _, bad := range []Bound{{}, {Stage: "x", Limit: 1, Start: 1, Highest: 1, Duration: 1}, {Stage: "received", Limit: 1, Start: 2, Highest: 1, Duration: 1}, {Stage: "received", Limit: 1, Start: math.NaN(), Highest: 1, Duration: time.Second}} {
		if err := bad.check(); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestExcuse: a search ends when its first step finds no daemon, or when the daemon has died; a later step that breaks off is only not kept.
func TestExcuse(t *testing.T) {
	broken, late, fine := &Result{Aborted: "no daemon"}, &Result{Aborted: "no daemon", Sent: 1}, &Result{}
	died := make(chan struct{})
	close(died)
	alive, dead := &server{}, &server{died: died, log: []string{"panic: why"}}
	for name, c := range map[string]struct {
		b     *bench
		r     *Result
		first bool
		want  string
	}{
		"fine": {&bench{server: alive}, fine, true, ""}, "no daemon": {&bench{server: alive}, broken, true, "no daemon"}, "overload": {&bench{server: alive}, late, false, ""},
		"first": {&bench{server: alive}, late, true, "no daemon"}, "gone": {&bench{server: alive}, broken, false, "no daemon"},
		"workers": {&bench{server: alive, peers: []*peer{{}}}, late, false, "no daemon"}, "dead": {&bench{server: dead}, broken, false, "panic: why"},
	} {
		err := c.b.excuse(t.Context(), c.r, c.first)
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestSearchTakesNoProfile(t *testing.T) {
	cfg := Defaults()
	cfg.Scenario, cfg.Addr, cfg.CPUProfile = "relay", "127.0.0.1:1", "x"
	if _, err := SearchRate(t.Context(), cfg, Team{}, "test", DefaultBound(), nil); !errors.Is(err, ErrConfig) {
		t.Error(err)
	}
}
