package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"
)

// A result is what one run of one system showed.
type result struct {
	System    string  `json:"system"`
	Guarantee string  `json:"guarantee"`
	Scenario  string  `json:"scenario"`
	Delivered float64 `json:"delivered_per_s"`
	Stored    float64 `json:"acknowledged_per_s"`
	CPUMicros float64 `json:"broker_cpu_us_per_delivery"`
	// ClientMicros is the same of all clients together: where it is large, they limit the rate, and not the broker.
	ClientMicros float64 `json:"clients_cpu_us_per_delivery"`
	P50          float64 `json:"p50_ms"`
	P99          float64 `json:"p99_ms"`
}

// A run is one system under load, once.
type run struct {
	cfg    *config
	begin  time.Time // times are nanoseconds since then
	from   int64     // measured time
	to     int64
	topics []*topic
	fail   context.CancelCauseFunc
	over   atomic.Bool // from now on connections may end
	acked  atomic.Uint64
}

func (r *run) now() int64 { return int64(time.Since(r.begin)) }

// perform runs a system once. The run fails if a message is lost, doubled or out of order.
func perform(ctx context.Context, s system, cfg *config) (res *result, err error) {
	dir, err := os.MkdirTemp(cfg.dir, "compare-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b, err := s.start(ctx, dir, cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{cfg: cfg, fail: cancel}
	defer func() {
		r.over.Store(true)
		err = errors.Join(err, b.stop())
	}()
	if err := r.connect(ctx, b); err != nil {
		return nil, err
	}
	r.begin = time.Now()
	r.from = int64(cfg.warmup)
	r.to = r.from + int64(cfg.measure)
	used, err := r.load(ctx, b.pid())
	if err != nil {
		return nil, err
	}
	return r.result(s, used)
}

// failed is what brokers call; what it is told after the run is no failure.
func (r *run) failed(err error) {
	if !r.over.Load() {
		r.fail(err)
	}
}

// connecting is how many clients connect at once.
const connecting = 16

func (r *run) connect(ctx context.Context, b broker) error {
	topics, members := r.cfg.shape()
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(connecting)
	for i := range topics {
		t := newTopic(r, i, members)
		r.topics = append(r.topics, t)
		for m, rec := range t.receivers {
			group.Go(func() error {
				if gctx.Err() != nil {
					return context.Cause(gctx)
				}
				return b.subscribe(gctx, i, m, rec.deliver, r.failed)
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, t := range r.topics {
		var err error
		if t.pub, err = b.publisher(ctx, t.id, t.acknowledged, r.failed); err != nil {
			return err
		}
	}
	return nil
}

// load sends until the measured time is over, and waits for what is under way. It returns the CPU time of the broker's process and of this one in the
// measured time.
func (r *run) load(ctx context.Context, pid int) (used [2]float64, err error) {
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range r.topics {
		group.Go(func() error { return t.send(ctx) })
	}
	group.Go(func() error {
		for i, when := range []int64{r.from, r.to} {
			timer := time.NewTimer(time.Duration(when - r.now()))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			for j, who := range []int{pid, os.Getpid()} {
				total, err := cpuSeconds(who)
				if err != nil {
					return err
				}
				used[j] += total * float64(2*i-1) // the second reading less the first
			}
		}
		return nil
	})
	err = group.Wait()
	return used, err
}

func (r *run) result(s system, used [2]float64) (*result, error) {
	all := newHistogram()
	var delivered uint64
	for _, t := range r.topics {
		for m, rec := range t.receivers {
			if rec.last != t.sent {
				return nil, fmt.Errorf("%w: recipient %d of topic %d has messages up to %d of %d", errViolation, m, t.id, rec.last, t.sent)
			}
			delivered += rec.count
			all.Merge(rec.latency)
		}
	}
	if delivered == 0 {
		return nil, errors.New("nothing was delivered in the measured time")
	}
	seconds := r.cfg.measure.Seconds()
	return &result{
		System: s.name(), Guarantee: s.guarantee(), Scenario: r.cfg.scenario, Delivered: float64(delivered) / seconds, Stored: float64(r.acked.Load()) / seconds,
		CPUMicros: used[0] * 1e6 / float64(delivered), ClientMicros: used[1] * 1e6 / float64(delivered), P50: float64(all.ValueAtQuantile(50)) / 1000, P99: float64(all.ValueAtQuantile(99)) / 1000,
	}, nil
}

// newHistogram is of microseconds, to 1 %.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 120_000_000, 2) }
