package load

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestOpenCountsAStall has a call take a second while 100 messages a second are to be sent: each that was due meanwhile counts from when it was meant to
// be sent.
func TestOpenCountsAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Defaults()
		o := newOpen(now(), 100, false, cfg.rng(1))
		first := o.next(t.Context(), 64)
		if len(first) != 1 {
			t.Fatalf("%d messages at once at the begin", len(first))
		}
		time.Sleep(time.Second) // the call
		var rec recorder
		sent := 0
		for sent < 100 {
			for _, intended := range o.next(t.Context(), 64) {
				rec.record(1, Late, intended, now(), 1)
				sent++
			}
		}
		h := rec.take()[Late]
		if h.TotalCount() != 100 {
			t.Fatalf("%d messages", h.TotalCount())
		}
		// 10, 20, ... 990 ms late, evenly: the stall is in all of them, not in one.
		if p50 := h.ValueAtQuantile(50); p50 < 470_000 || p50 > 530_000 {
			t.Errorf("half are no more than %d us late, want 500,000", p50)
		}
		if most := h.Max(); most < 980_000 || most > 1_000_000 {
			t.Errorf("the first is %d us late, want 990,000", most)
		}
	})
}

// TestOpenGap: between two calls there is the gap, and what was due in it goes together, at the times at which it was meant to be sent.
func TestOpenGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Defaults()
		o := newOpen(now(), 10_000, true, cfg.rng(1))
		o.pause = int64(2 * time.Millisecond)
		last, sent, calls := int64(0), 0, 0
		for began := time.Now(); time.Since(began) < time.Second; calls++ {
			due := o.next(t.Context(), 1000)
			at := now()
			if last > 0 && at-last < o.pause {
				t.Fatalf("called again after %d ns", at-last)
			}
			if due[0] < last || at-due[0] > o.pause {
				t.Fatalf("meant for %d, sent at %d, the call before was at %d", due[0], at, last)
			}
			last, sent = at, sent+len(due)
		}
		if calls < 450 || calls > 501 || sent < 9_500 || sent > 10_500 {
			t.Errorf("%d messages in %d calls in a second", sent, calls)
		}
	})
}

func TestOpenRate(t *testing.T) {
	for _, poisson := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cfg := Defaults()
			start := now()
			o := newOpen(start, 1000, poisson, cfg.rng(1))
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
			defer cancel()
			n, last := 0, int64(0)
			for {
				due := o.next(ctx, 64)
				if len(due) == 0 {
					break
				}
				for _, at := range due {
					if at <= last || at > now() {
						t.Fatalf("poisson %v: meant for %d after %d, now %d", poisson, at, last, now())
					}
					last = at
					n++
				}
			}
			if n < 98_500 || n > 101_500 { // 100,000, and five standard deviations
				t.Errorf("poisson %v: %d messages in 100 s", poisson, n)
			}
		})
	}
}

func TestClosedKeepsItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClosed(5)
		if n := len(c.next(t.Context(), 3)); n != 3 {
			t.Errorf("%d, want the 3 of a batch", n)
		}
		if n := len(c.next(t.Context(), 64)); n != 2 {
			t.Errorf("%d, want the 2 left in the window", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if n := len(c.next(ctx, 64)); n != 0 {
			t.Errorf("%d beyond the window", n)
		}
		before := now()
		go func() {
			time.Sleep(time.Minute)
			c.free(4)
		}()
		if due := c.next(t.Context(), 64); len(due) != 4 || due[0]-before != int64(time.Minute) {
			t.Errorf("%v, want 4 a minute after %d", due, before)
		}
	})
}

// TestOpenEnds: what was meant to be sent before the end is sent, however late; what is later is not.
func TestOpenEnds(t *testing.T) {
	for _, poisson := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cfg, start := Defaults(), now()
			o := newOpen(start, 100, poisson, cfg.rng(1))
			o.end = start + int64(time.Second)
			n := len(o.next(t.Context(), 10))
			time.Sleep(5 * time.Second) // a call
			left := newOpen(start, 100, poisson, cfg.rng(1))
			left.end = o.end
			if all := left.overdue(); all < 70 || all > 130 {
				t.Fatalf("poisson %v: %d were to be sent in a second", poisson, all)
			} else {
				for due := o.next(t.Context(), 10); len(due) > 0; due = o.next(t.Context(), 10) {
					if due[len(due)-1] >= o.end {
						t.Fatalf("poisson %v: meant for the end or later", poisson)
					}
					n += len(due)
				}
				if n != all || o.overdue() != 0 {
					t.Errorf("poisson %v: %d of %d were sent, %d are overdue", poisson, n, all, o.overdue())
				}
			}
		})
	}
}

// TestSendAfterAStall: a service that stalls at the end of the measured time gets what was meant to be sent in it nevertheless, if it comes back in time; else that is told.
func TestSendAfterAStall(t *testing.T) {
	for stall, want := range map[time.Duration]bool{3 * time.Second: true, 20 * time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			r := newTestRun(t, func(c *Config) {
				c.Rate, c.Poisson, c.Duration, c.Drain = 100, false, 2*time.Second, 10*time.Second
			})
			over := r.start + int64(time.Second+stall)
			s := r.newSender(1, "q", 0, 1, func(ctx context.Context, batch []message) (func() ([]outcome, error), error) {
				return func() ([]outcome, error) {
					if t := now(); t > r.start+int64(time.Second) && t < over {
						time.Sleep(time.Duration(over - t))
					}
					return allStored(len(batch)), nil
				}, nil
			})
			if err := r.send(t.Context(), []*sender{s}); err != nil {
				t.Fatal(err)
			}
			sent, unsent := int(r.sent.Load()), int(r.values[Unsent])
			if sent+unsent < 199 || sent+unsent > 201 || (unsent == 0) != want {
				t.Errorf("a stall of %v: %d sent, %d not", stall, sent, unsent)
			}
			if in := r.stored.window.Load(); in > 110 {
				t.Errorf("a stall of %v: %d stored in the measured time, of which half is stalled", stall, in)
			}
		})
	}
}
