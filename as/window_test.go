package as

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWindow: never more than Max in any Per, room that does not depend on Max, and with few events exactly Max.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rate := Rate{Max: rapid.SampledFrom([]int{1, 6, 50, 1000}).Draw(r, "max"), Per: time.Minute}
		w := newWindows[int](rate, 1)
		now := time.Unix(1_750_000_000, 0)
		var events []time.Time
		for range rapid.IntRange(1, 2000).Draw(r, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(r, "ms")) * time.Millisecond / time.Duration(max(rate.Max/10, 1)))
			in := 0
			for i := len(events) - 1; i >= 0 && now.Before(events[i].Add(rate.Per)); i-- {
				in++
			}
			allowed := w.has(0, now)
			if allowed && in >= rate.Max || !allowed && rate.Max <= exactMarks && in < rate.Max {
				r.Fatalf("%d events in the window, one more allowed: %v", in, allowed)
			}
			if allowed {
				w.take(0, now)
				events = append(events, now)
			}
			if n := len(w.order.Front().Value.(*entry[int]).marks); n > exactMarks+fineMarks+1 {
				r.Fatalf("%d marks", n)
			}
		}
	})
}
