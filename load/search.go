package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// A Bound is what a rate must keep, and where the search for the highest one begins.
type Bound struct {
	Stage    string        // whose 99th percentile
	Limit    time.Duration // it may be at most
	Start    float64       // messages a second
	Highest  float64       // is tried; what is faster is not looked for
	Duration time.Duration // of a step
}

// DefaultBound is that of a search that says nothing.
func DefaultBound() Bound {
	return Bound{Stage: Received.String(), Limit: 10 * time.Millisecond, Start: 1000, Highest: maxRate, Duration: 3 * time.Second}
}

func (b *Bound) check() error {
	known := false
	for s := range stages {
		known = known || s.String() == b.Stage
	}
	switch {
	case !known:
		return fmt.Errorf("%w: no stage %q", ErrConfig, b.Stage)
	case b.Limit <= 0 || b.Duration <= 0 || !(b.Start >= 1 && b.Start <= b.Highest && b.Highest <= maxRate):
		return fmt.Errorf("%w: a bound of %v, steps of %v, from %v messages a second to %v", ErrConfig, b.Limit, b.Duration, b.Start, b.Highest)
	}
	return nil
}

// A Step is one run of a search.
type Step struct {
	Rate      float64 `json:"rate"`
	P99       float64 `json:"p99_ms"`
	Stored    float64 `json:"stored_per_s"`
	Delivered float64 `json:"delivered_per_s"`
	Again     bool    `json:"again,omitempty"` // a second run at a rate that was kept
	Why       string  `json:"why,omitempty"`   // empty: kept
}

// Kept says that the rate kept the bound.
func (s *Step) Kept() bool { return s.Why == "" }

// Line tells a step to a person.
func (s *Step) Line() string {
	verdict, again := "kept", ""
	if !s.Kept() {
		verdict = "not kept: " + s.Why
	}
	if s.Again {
		again = ", again"
	}
	return fmt.Sprintf("rate %9.0f/s%s: p99 %.2f ms, stored %.0f/s, delivered %.0f/s: %s", s.Rate, again, s.P99, s.Stored, s.Delivered, verdict)
}

const (
	maxRate   = 1e8
	precision = 1.05 // ratio at which a search ends
	maxSteps  = 60
	lowestOf  = 1024 // a search gives up at this part of where it began
	complete  = 0.99 // part of what was meant to be sent that must arrive
)

// judge says what a run at a rate showed.
func (b *Bound) judge(rate float64, r *Result) Step {
	s := Step{Rate: rate, P99: r.Stages[b.Stage].P99, Stored: r.StoredPS, Delivered: r.DeliveredPS}
	limit := b.Limit.Seconds() * 1000
	fan := 1.0 // deliveries of a message
	if r.Stored > 0 {
		fan = float64(r.Delivered) / float64(r.Stored)
	}
	switch {
	case r.Aborted != "":
		s.Why = r.Aborted
	case r.Values[Unsent] > 0:
		s.Why = fmt.Sprintf("%.0f messages could not even be sent", r.Values[Unsent])
	case r.Stages[b.Stage].Count == 0:
		s.Why = "nothing was measured of " + b.Stage
	case s.P99 > limit:
		s.Why = fmt.Sprintf("p99 over %.3g ms", limit)
	case s.Stored < b.enough(rate, r.Seconds):
		s.Why = "less was stored than was meant to be sent"
	case s.Delivered < fan*b.enough(rate, r.Seconds):
		s.Why = "less was delivered than was meant to be sent"
	}
	return s
}

// enough is the rate that completeness asks for: random gaps make the number of messages itself random, so three standard deviations are let pass.
func (b *Bound) enough(rate, seconds float64) float64 {
	return complete*rate - 3*math.Sqrt(rate/max(seconds, 1e-3))
}

// finder is the state of a search.
type finder struct {
	bound Bound
	try   func(ctx context.Context, rate float64) (*Result, error)
	tell  func(Step)
	steps []Step
}

// step tries a rate.
func (f *finder) step(ctx context.Context, rate float64, again bool) (bool, *Result, error) {
	if len(f.steps) == maxSteps {
		return false, nil, fmt.Errorf("%w: no end after %d steps", ErrBound, maxSteps)
	}
	r, err := f.try(ctx, rate)
	if err != nil {
		return false, nil, err
	}
	s := f.bound.judge(rate, r)
	s.Again = again
	f.steps = append(f.steps, s)
	if f.tell != nil {
		f.tell(s)
	}
	return s.Kept(), r, nil
}

// search finds the highest rate that keeps the bound in two runs: it doubles, or halves, until it has one that is kept and one that is not, and bisects.
func (f *finder) search(ctx context.Context) (*Result, error) {
	low, high, err := f.bracket(ctx)
	if err != nil {
		return nil, err
	}
	for high/low > precision {
		middle := math.Sqrt(low * high)
		kept, _, err := f.step(ctx, middle, false)
		if err != nil {
			return nil, err
		}
		if kept {
			low = middle
		} else {
			high = middle
		}
	}
	return f.confirm(ctx, low)
}

// bracket returns a rate that is kept and a higher one that is not.
func (f *finder) bracket(ctx context.Context) (low, high float64, err error) {
	for rate := f.bound.Start; ; {
		kept, _, err := f.step(ctx, rate, false)
		switch {
		case err != nil:
			return 0, 0, err
		case kept:
			low = rate
		default:
			high = rate
		}
		switch {
		case low > 0 && high > 0:
			return low, high, nil
		case kept && rate >= f.bound.Highest:
			return low, low, nil
		case kept:
			rate = min(2*rate, f.bound.Highest)
		case rate/2 < max(1, f.bound.Start/lowestOf):
			return 0, 0, fmt.Errorf("%w: not even %.0f/s", ErrBound, rate)
		default:
			rate /= 2
		}
	}
}

// confirm runs a rate again, and goes down until one is kept twice.
func (f *finder) confirm(ctx context.Context, rate float64) (*Result, error) {
	for first := true; ; first = false {
		if !first {
			if rate /= precision; rate < 1 {
				return nil, fmt.Errorf("%w: none in a second run", ErrBound)
			}
			if kept, _, err := f.step(ctx, rate, false); err != nil {
				return nil, err
			} else if !kept {
				continue
			}
		}
		kept, r, err := f.step(ctx, rate, true)
		if err != nil {
			return nil, err
		}
		if kept {
			return r, nil
		}
	}
}

// SearchRate finds the highest open-loop rate at which the bound is kept, all on one daemon, and returns the run that confirmed it. It tells each step.
func SearchRate(ctx context.Context, cfg Config, team Team, version string, bound Bound, tell func(Step)) (res *Result, err error) {
	if err := bound.check(); err != nil {
		return nil, err
	}
	if cfg.CPUProfile != "" || cfg.DaemonCPUProfile != "" {
		return nil, fmt.Errorf("%w: a profile is of one run, and a search is many", ErrConfig)
	}
	cfg.Rate, cfg.Duration = bound.Start, bound.Duration
	cfg.Warmup = min(cfg.Warmup, max(bound.Duration/3, 100*time.Millisecond))
	b, err := openBench(ctx, cfg, team, version)
	if err != nil {
		return nil, err
	}
	f := &finder{bound: bound, tell: tell}
	f.try = func(ctx context.Context, rate float64) (*Result, error) {
		c := b.cfg
		c.Rate = rate
		r := b.run(ctx, c, nil)
		return r, b.excuse(ctx, r, len(f.steps) == 0)
	}
	res, err = f.search(ctx)
	if res != nil {
		res.Search = f.steps
	}
	closed := b.close()
	if errors.Is(err, errDied) {
		return res, err // which is all that closing has to say
	}
	return res, errors.Join(err, closed)
}

// excuse returns what of a step no rate excuses: a violation, a daemon that is dead, a first step that broke off, or another before anything was sent, for there
// is no daemon any more; and workers in no known state.
func (b *bench) excuse(ctx context.Context, r *Result, first bool) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case b.server.dead():
		return b.server.crashed()
	case r.Violations > 0, r.Aborted != "" && (first || r.Sent == 0 || len(b.peers) > 0):
		return r.verdict()
	}
	return nil
}
