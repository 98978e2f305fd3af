package load

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quicnprotochat/schemas"
)

// newTestRun is a run of relay that began now, and measures from the beginning.
func newTestRun(t *testing.T, change func(*Config)) *run {
	t.Helper()
	cfg := Defaults()
	cfg.Scenario, cfg.Warmup, cfg.Duration, cfg.Received = "relay", 0, time.Second, true
	change(&cfg)
	r, err := newRun(cfg, lead{})
	if err != nil {
		t.Fatal(err)
	}
	r.start = now()
	r.from.Store(r.start)
	r.to.Store(r.start + int64(cfg.Duration))
	return r
}

func allStored(n int) []outcome {
	out := make([]outcome, n)
	for i := range out {
		out[i].status = schemas.EnqueueStatus_stored
	}
	return out
}

// TestFitting: a call has as many messages as fit, and one at least.
func TestFitting(t *testing.T) {
	for _, c := range []struct {
		sizes []int
		want  int
	}{
		{[]int{10}, 1}, {[]int{callBytes + 1, 1}, 1}, {[]int{callBytes / 2, callBytes / 2, 1}, 2}, {[]int{1, callBytes, 1}, 1}, {[]int{1, 2, 3}, 3},
	} {
		batch := make([]message, len(c.sizes))
		for i, size := range c.sizes {
			batch[i].payload = make([]byte, size)
		}
		if n := fitting(batch); n != c.want {
			t.Errorf("%v: %d, want %d", c.sizes, n, c.want)
		}
	}
}

// TestLargeMessages: a batch that is too large for one call goes in several, in order.
func TestLargeMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRun(t, func(c *Config) { c.Size, c.Window, c.Batch, c.Calls = "200000", 16, 16, 2 })
		var mu sync.Mutex
		var last uint64
		calls := 0
		s := r.newSender(1, "q", 0, 1, func(_ context.Context, batch []message) (func() ([]outcome, error), error) {
			mu.Lock()
			defer mu.Unlock()
			bytes := 0
			for _, m := range batch {
				if bytes += len(m.payload); m.number != last+1 {
					t.Errorf("message %d after %d", m.number, last)
				}
				last = m.number
			}
			if calls++; bytes > callBytes {
				t.Errorf("%d messages of %d bytes in a call", len(batch), bytes)
			}
			return func() ([]outcome, error) { time.Sleep(100 * time.Millisecond); return allStored(len(batch)), nil }, nil
		})
		if err := r.send(t.Context(), []*sender{s}); err != nil {
			t.Fatal(err)
		}
		if n := r.sent.Load(); n != last || n < 40 || calls < 20 {
			t.Errorf("%d messages were sent, the last is %d, %d calls", n, last, calls)
		}
	})
}

// TestWindowWithRefusals: messages that are refused leave the window at once; those that are not leave it when they are received, however late, and then once.
func TestWindowWithRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 4
		r := newTestRun(t, func(c *Config) { c.Window, c.Batch, c.Calls = window, 1, 1 })
		var mu sync.Mutex
		sent, under := 0, make(map[uint64]bool)
		var s *sender
		s = r.newSender(1, "q", 1, 1, func(_ context.Context, batch []message) (func() ([]outcome, error), error) {
			return func() ([]outcome, error) {
				time.Sleep(time.Millisecond)
				out := allStored(1)
				mu.Lock()
				defer mu.Unlock()
				if sent++; sent%3 > 0 { // two of three are refused
					out[0].status = schemas.EnqueueStatus_quotaExceeded
					return out, nil
				}
				n := batch[0].number
				if under[n] = true; len(under) > window {
					t.Errorf("%d messages are under way", len(under))
				}
				time.AfterFunc(50*time.Millisecond, func() {
					mu.Lock()
					delete(under, n)
					mu.Unlock()
					s.received(n)
				})
				return out, nil
			}, nil
		})
		if err := r.send(t.Context(), []*sender{s}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if c := s.pace.(*closed); c.room != window || len(under) != 0 || sent < 100 {
			t.Errorf("%d sent, %d under way, room for %d of %d", sent, len(under), c.room, window)
		}
	})
}

// TestAwaitGoesByProgress: as long as messages come, a run waits for them; when none comes for a time, it does not.
func TestAwaitGoesByProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRun(t, func(c *Config) { c.Drain = time.Second })
		tr := newTracker("q", 1, &r.faults)
		stored := map[string]digest{"q": {Count: 20}}
		go func() {
			for n := uint64(1); n <= 19; n++ {
				time.Sleep(900 * time.Millisecond)
				deliver(tr, [2]uint64{n, n})
				r.signal()
			}
		}()
		began := time.Now()
		if err := r.await(t.Context(), []*tracker{tr}, stored); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 19*900*time.Millisecond+time.Second {
			t.Errorf("it waited for %v", took)
		}
	})
}
