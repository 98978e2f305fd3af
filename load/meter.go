package load

import (
	"math/bits"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A sample is what one process did since its last one. Samples of the same number in all processes end at the same time.
type sample struct {
	at     int64 // its end, nanoseconds since the begin
	counts [4]uint64
	hist   [stages]*hdrhistogram.Histogram
}

// Of sample.counts.
const (
	countSent = iota
	countStored
	countDelivered
	countOps
)

// meter takes a sample each Config.Interval from the begin on until stop is closed, and one more at the very end.
func (r *run) meter(stop <-chan struct{}, take func(sample)) {
	select {
	case <-r.begun:
	case <-stop:
		return
	}
	var before [4]uint64
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := int64(1); ; k++ {
		due := r.start + k*int64(r.cfg.Interval)
		timer.Reset(time.Duration(due - now()))
		last := false
		select {
		case <-timer.C:
		case <-stop:
			last, due = true, now()
		}
		s := sample{at: due - r.start, hist: r.rec.take()}
		after := [4]uint64{r.sent.Load(), r.stored.all.Load(), r.delivered.all.Load(), r.ops.all.Load()}
		for i := range after {
			s.counts[i] = after[i] - before[i]
		}
		before = after
		take(s)
		if last {
			return
		}
	}
}

// An aggregate puts the samples of all processes together, and makes the intervals of the result.
type aggregate struct {
	cfg    *Config
	server *server
	show   func(Interval)
	main   Stage // of which the heat is told

	mu        sync.Mutex
	parts     map[int]int // how many processes gave the sample of that number
	next      []int       // number of the next sample, by worker
	pending   map[int]*sample
	done      int
	total     [stages]*hdrhistogram.Histogram
	intervals []Interval
	lastAt    int64
	lastCost  Cost
}

func newAggregate(cfg *Config, s *server, main Stage, show func(Interval)) *aggregate {
	return &aggregate{
		cfg: cfg, server: s, show: show, main: main, parts: make(map[int]int), next: make([]int, cfg.Workers), pending: make(map[int]*sample),
	}
}

// begin is called when the run begins: what the daemon did before, for clients that connect, belongs to no interval.
func (a *aggregate) begin() {
	cost := readCost(a.server.process(), "", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastCost = cost
}

// add takes the next sample of a worker.
func (a *aggregate) add(worker int, s sample) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.next[worker]
	a.next[worker]++
	p := a.pending[k]
	if p == nil {
		p = &sample{}
		a.pending[k] = p
	}
	p.at = max(p.at, s.at)
	for i, n := range s.counts {
		p.counts[i] += n
	}
	for i, h := range s.hist {
		p.hist[i] = merged(p.hist[i], h)
	}
	if a.parts[k]++; a.parts[k] == a.cfg.Workers {
		a.flush()
	}
}

// merged adds h to sum, either of which may be nil.
func merged(sum, h *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	if h == nil {
		return sum
	}
	if sum == nil {
		sum = newHistogram()
	}
	sum.Merge(h)
	return sum
}

// flush makes an interval of the oldest sample.
func (a *aggregate) flush() {
	p := a.pending[a.done]
	if p == nil {
		return
	}
	delete(a.pending, a.done)
	delete(a.parts, a.done)
	a.done++
	cost := readCost(a.server.process(), "", false)
	iv := Interval{
		Type: "interval", T: seconds(p.at), Seconds: seconds(p.at - a.lastAt), Phase: a.phase(p.at),
		Sent: p.counts[countSent], Stored: p.counts[countStored], Delivered: p.counts[countDelivered], Ops: p.counts[countOps],
		Stages: make(map[string]Summary), CPU: -1, RSS: cost.RSS,
	}
	if d := cost.minus(a.lastCost); d.OK && d.CPU >= 0 && iv.Seconds > 0 {
		iv.CPU = d.CPU / iv.Seconds
	}
	for i, h := range p.hist {
		if h == nil {
			continue
		}
		a.total[i] = merged(a.total[i], h)
		iv.Stages[Stage(i).String()] = summarize(h, false)
	}
	if h := p.hist[a.main]; h != nil {
		iv.Heat = heat(h)
	}
	if a.cfg.Scenario == "soak" {
		iv.Goroutines, iv.Disk = a.server.size()
	}
	a.lastAt, a.lastCost = p.at, cost
	a.intervals = append(a.intervals, iv)
	if a.show != nil {
		a.show(iv)
	}
}

// finish makes intervals of what not all workers gave.
func (a *aggregate) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.pending[a.done] != nil {
		a.flush()
	}
}

func (a *aggregate) phase(at int64) string {
	switch {
	case at <= int64(a.cfg.Warmup):
		return "warmup"
	case at <= int64(a.cfg.Warmup+a.cfg.Duration):
		return "measured"
	default:
		return "drain"
	}
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }

// heat counts by powers of two of microseconds.
func heat(h *hdrhistogram.Histogram) []int64 {
	var out []int64
	for _, b := range h.Distribution() {
		if b.Count == 0 {
			continue
		}
		i := bits.Len64(uint64(b.From))
		for len(out) <= i {
			out = append(out, 0)
		}
		out[i] += b.Count
	}
	return out
}
