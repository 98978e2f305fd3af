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
