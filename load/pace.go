package load

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Unsent names, in Result.Values, how many messages should have been sent in the measured time and were not even Config.Drain after it.
const Unsent = "unsent"

// A pace says when messages are meant to be sent.
type pace interface {
	// next waits until a message is due, and returns the intended times of those that are due, at most limit; none when ctx or the schedule is over.
	next(ctx context.Context, limit int) []int64
	// overdue is how many should have been sent by now, and were not.
	overdue() int
	// free tells that messages left the window.
	free(n int)
}

// closed is a window: a message is meant to be sent when there is room for it.
type closed struct {
	mu   sync.Mutex
	room int
	news chan struct{}
	out  []int64
}

func newClosed(window int) *closed {
	return &closed{room: window, news: make(chan struct{}, 1)}
}

func (c *closed) next(ctx context.Context, limit int) []int64 {
	for {
		if ctx.Err() != nil {
			return nil
		}
		c.mu.Lock()
		n := min(c.room, limit)
		c.room -= n
		c.mu.Unlock()
		if n > 0 {
			c.out = c.out[:0]
			for t := now(); n > 0; n-- {
				c.out = append(c.out, t)
			}
			return c.out
		}
		select {
		case <-c.news:
		case <-ctx.Done():
		}
	}
}

func (c *closed) free(n int) {
	c.mu.Lock()
	c.room += n
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *closed) overdue() int { return 0 }

// open is a schedule that was made before, whatever the service does.
type open struct {
	at    int64 // of the next message
	end   int64 // none is meant to be sent then or later
	gap   float64
	pause int64      // least time between two returns of next
	last  int64      // when next returned last
	rng   *rand.Rand // nil: equal gaps
	timer *time.Timer
	out   []int64
}

// newOpen makes a schedule of rate messages a second from start on.
func newOpen(start int64, rate float64, poisson bool, rng *rand.Rand) *open {
	o := &open{at: start, end: math.MaxInt64, gap: 1e9 / rate}
	o.at += int64(o.gap * rng.Float64()) // senders do not march in step
	if poisson {
		o.rng = rng
	}
	return o
}

func (o *open) next(ctx context.Context, limit int) []int64 {
	if o.at >= o.end {
		return nil
	}
	for wait := o.wait(); wait > 0; wait = o.wait() {
		if o.timer == nil {
			o.timer = time.NewTimer(time.Duration(wait))
		} else {
			o.timer.Reset(time.Duration(wait))
		}
		select {
		case <-o.timer.C:
		case <-ctx.Done():
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	o.out = o.out[:0]
	o.last = now()
	for t := min(o.last, o.end-1); o.at <= t && len(o.out) < limit; o.step() {
		o.out = append(o.out, o.at)
	}
	return o.out
}

// wait is how long next has to.
func (o *open) wait() int64 { return max(o.at, o.last+o.pause) - now() }

// step goes on to the next message.
func (o *open) step() {
	gap := o.gap
	if o.rng != nil {
		gap *= o.rng.ExpFloat64()
	}
	o.at += max(1, int64(gap))
}

func (o *open) overdue() (n int) {
	for t := min(now(), o.end-1); o.at <= t; o.step() {
		n++
	}
	return n
}

func (o *open) free(int) {}
