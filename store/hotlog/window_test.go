package hotlog

import (
	"testing"

	"quicnprotochat/store/internal/wal"
)

// TestForgetIDs: an id is found where it was stored last, also while its segment is retired, and what is forgotten with a segment is what that segment holds, not an id
// that was stored anew after it.
func TestForgetIDs(t *testing.T) {
	w := newWindow()
	anew, once, late := name{1}, name{2}, name{3}
	want := func(what string, ofAnew, ofOnce, ofLate uint64, hot int) {
		t.Helper()
		if a, o, l := w.find(&anew), w.find(&once), w.find(&late); a != ofAnew || o != ofOnce || l != ofLate || w.hot != hot {
			t.Errorf("%s: %d, %d, %d, %d hot; want %d, %d, %d, %d", what, a, o, l, w.hot, ofAnew, ofOnce, ofLate, hot)
		}
	}
	w.add(anew, 1, wal.Pos{Segment: 1})
	w.add(once, 2, wal.Pos{Segment: 1})
	want("in one segment", 1, 2, 0, 2)
	first := w.take(1)
	want("while the first is retired", 1, 2, 0, 2)
	w.add(anew, 3, wal.Pos{Segment: 2})
	w.add(late, 4, wal.Pos{Segment: 2})
	w.add(late, 5, wal.Pos{Segment: 2}) // twice in one
	want("stored anew meanwhile", 3, 2, 5, 4)
	w.forgetIDs(first)
	want("after the first segment", 3, 0, 5, 2)
	w.forgetIDs(first) // as when the rest of its retirement is tried again
	want("after it once more", 3, 0, 5, 2)
	w.forgetIDs(w.take(2))
	want("at the end", 0, 0, 0, 0)
	if len(w.segments) != 0 || len(w.recent) != 0 {
		t.Errorf("left: %v, %v", w.segments, w.recent)
	}
}
