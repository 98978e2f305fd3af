package hotlog

import (
	"testing"

	"quicnprotochat/store/internal/wal"
)

// TestForgetIDs: what is forgotten with a segment is what that segment holds, not an id that was stored anew after it.
func TestForgetIDs(t *testing.T) {
	w := newWindow()
	anew, once := name{1}, name{2}
	w.add(anew, 1, wal.Pos{Segment: 1})
	w.add(once, 2, wal.Pos{Segment: 1})
	w.add(anew, 3, wal.Pos{Segment: 2})
	first, second := w.take(1), w.take(2)
	for _, block := range first.ids {
		w.forgetIDs(block)
	}
	if w.ids[anew] != 3 || w.ids[once] != 0 || w.hot != 1 {
		t.Fatalf("after the first segment: %v, %d hot", w.ids, w.hot)
	}
	for _, block := range second.ids {
		w.forgetIDs(block)
	}
	if len(w.ids) != 0 || w.hot != 0 {
		t.Fatalf("at the end: %v, %d hot", w.ids, w.hot)
	}
}
