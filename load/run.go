package load

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"quicnprotochat/client"
	"quicnprotochat/schemas"
)

// A barrier is where the processes of a run wait for each other.
type barrier interface {
	// ready returns when all are ready: with the time at which the run begins.
	ready(ctx context.Context) (start int64, err error)
	// stopped returns when the senders of all have stopped: with what all have stored.
	stopped(ctx context.Context, stored map[string]digest) (map[string]digest, error)
}

// counter counts all, and what of it falls in the measured time.
type counter struct{ all, window atomic.Uint64 }

// run is one process's part of a run.
type run struct {
	cfg     Config
	size    Size
	pool    []byte // random bytes
	barrier barrier
	server  *server // nil in workers but the first

	start    int64         // of sending
	from, to atomic.Int64  // the measured time; sending ends with it
	begun    chan struct{} // closed when these are set

	rec         recorder
	books       books
	faults      faults
	sent        atomic.Uint64
	redelivered atomic.Uint64
	refused     atomic.Uint64
	stored      counter
	delivered   counter
	bytes       counter // of payload delivered
	ops         counter // what connect, offline and idle count
	arrivals    chan struct{}

	senders sync.Map       // uint32 to *sender
	links   sync.WaitGroup // goroutines of links
	again   reconnects
	commits atomic.Uint64 // ids given to commits
	before  atomic.Uint64 // messages that came to one who joined after they were encrypted

	mu       sync.Mutex
	trackers []*tracker
	refusals map[string]uint64
	sessions map[*client.Session]struct{}
	wire     [2]uint64 // bytes sent and received by connections that are closed
	values   map[string]float64
	length   [2]float64 // see lasted
}

func newRun(cfg Config, b barrier) (*run, error) {
	size, err := ParseSize(cfg.Size)
	if err != nil {
		return nil, err
	}
	r := &run{
		cfg: cfg, size: size, pool: make([]byte, 2*MaxSize), barrier: b, begun: make(chan struct{}), arrivals: make(chan struct{}, 1),
		refusals: make(map[string]uint64), sessions: make(map[*client.Session]struct{}), values: make(map[string]float64),
	}
	_, _ = rand.NewChaCha8(cfg.Key).Read(r.pool)
	return r, nil
}

// fill writes bytes that do not compress, the last of which shows that it is the last.
func (r *run) fill(b []byte, number uint64) {
	copy(b, r.pool[int(number*64%MaxSize):])
	if n := len(b); n > 0 {
		b[n-1] = ^b[n-1]
	}
}

// intact says whether a payload that begins with a stamp is as the stamp's sender made it.
func (r *run) intact(body []byte, s stamp) bool {
	rest := body[stampSize:]
	n := len(rest)
	if n == 0 || n > MaxSize {
		return n == 0
	}
	want := r.pool[int(s.number*64%MaxSize):]
	return bytes.Equal(rest[:n-1], want[:n-1]) && rest[n-1] == ^want[n-1]
}

// measured says whether a time belongs to what is measured.
func (r *run) measured(t int64) bool { return t >= r.from.Load() && t < r.to.Load() }

func (r *run) count(t int64, c *counter) { r.countN(t, c, 1) }

func (r *run) countN(t int64, c *counter, n uint64) {
	c.all.Add(n)
	if r.measured(t) {
		c.window.Add(n)
	}
}

// arrived counts a message that a receiver got, for which its sender waits.
func (r *run) arrived(who int, s stamp, size int) {
	r.got(who, s, size)
	if from, ok := r.senders.Load(s.sender); ok {
		from.(*sender).received(s.number)
	}
	r.signal()
}

// got counts a message that a receiver got.
func (r *run) got(who int, s stamp, size int) {
	at := now()
	r.count(at, &r.delivered)
	r.countN(at, &r.bytes, uint64(size))
	if r.measured(s.intended) && s.sender != uint32(who) { // a group's sender has its own messages from itself
		r.rec.record(who, Received, s.intended, at, 1)
	}
}

// signal says that something arrived.
func (r *run) signal() {
	select {
	case r.arrivals <- struct{}{}:
	default:
	}
}

// refuse counts a message that the service did not take.
func (r *run) refuse(status schemas.EnqueueStatus) {
	r.refused.Add(1)
	r.mu.Lock()
	r.refusals[status.String()]++
	r.mu.Unlock()
}

func (r *run) track(t *tracker) {
	r.mu.Lock()
	r.trackers = append(r.trackers, t)
	r.mu.Unlock()
}

// value adds a figure of the scenario's own to the result.
func (r *run) value(name string, v float64) {
	r.mu.Lock()
	r.values[name] = v
	r.mu.Unlock()
}

// lasted says that the measured time was another than Config.Duration, and what CPU time the harness used in it, seconds.
func (r *run) lasted(measured, cpu float64) {
	r.mu.Lock()
	r.length = [2]float64{measured, cpu}
	r.mu.Unlock()
}

// begin waits until all processes are ready, and sets the times.
func (r *run) begin(ctx context.Context) error {
	start, err := r.barrier.ready(ctx)
	if err != nil {
		return err
	}
	r.start = start
	r.from.Store(start + int64(r.cfg.Warmup))
	r.to.Store(start + int64(r.cfg.Warmup+r.cfg.Duration))
	close(r.begun)
	return until(ctx, start)
}

// until waits until a time.
func until(ctx context.Context, at int64) error {
	timer := time.NewTimer(time.Duration(at - now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// traffic has senders send until the measured time ends, and then waits for what is under way.
func (r *run) traffic(ctx context.Context, senders []*sender) error {
	if err := r.send(ctx, senders); err != nil {
		return err
	}
	return r.drain(ctx)
}

// send has senders send until the measured time ends, or, at a rate, until all that was meant to be sent in it is sent: what a stall has held up belongs to it.
func (r *run) send(ctx context.Context, senders []*sender) error {
	end := time.Unix(0, r.to.Load())
	if r.cfg.Rate > 0 {
		end = end.Add(r.cfg.Drain)
	}
	sending, stop := context.WithDeadline(ctx, end)
	defer stop()
	var group errgroup.Group
	for _, s := range senders {
		group.Go(func() error {
			err := s.run(sending, ctx)
			if err != nil {
				stop()
			}
			return err
		})
	}
	err := group.Wait()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // and not that a call was cancelled for it
	}
	unsent := 0
	for _, s := range senders {
		unsent += s.pace.overdue()
	}
	if unsent > 0 {
		r.value(Unsent, float64(unsent))
	}
	return err
}

// drain waits until all that was stored has arrived, or nothing has for Config.Drain, and compares.
func (r *run) drain(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	own := r.books.snapshot()
	stored, err := r.barrier.stopped(ctx, own)
	if err != nil {
		return err
	}
	r.mu.Lock()
	waiting := append([]*tracker(nil), r.trackers...)
	r.mu.Unlock()
	if err := r.await(ctx, waiting, stored); err != nil {
		return err
	}
	for _, t := range waiting {
		t.end(stored[t.queue])
	}
	r.faults.unwatched(own, waiting)
	sameOrder(waiting, &r.faults)
	return nil
}

// await returns when the trackers have what was stored, or nothing has come for Config.Drain: a backlog may be longer than that.
func (r *run) await(ctx context.Context, waiting []*tracker, stored map[string]digest) error {
	idle := time.NewTimer(r.cfg.Drain)
	defer idle.Stop()
	for i := 0; i < len(waiting); {
		if waiting[i].done(stored[waiting[i].queue]) {
			i++
			continue
		}
		select {
		case <-r.arrivals:
			idle.Reset(r.cfg.Drain)
		case <-idle.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
