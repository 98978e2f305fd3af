package hotlog

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// holdUp keeps the decider until it is closed.
type holdUp chan struct{}

func (o holdUp) size() (int, int)    { return 0, 0 }
func (o holdUp) needs() (bool, bool) { return false, false }
func (o holdUp) decide(*batch)       { <-o }

// TestLineBound: a line that is given more than the disk takes waits, and what it has under way stays within maxLine, so that others get their turn.
func TestLineBound(t *testing.T) {
	o := small("/store")
	o.FS, o.SegmentBytes, o.LogBytes = vfs.NewMem(), 16<<20, 64<<20
	s := mustOpen(t, o)
	defer mustClose(t, s)
	held := make(holdUp)
	free := make(chan error, 1)
	go func() { free <- s.do(t.Context(), held) }()
	l := s.NewLine().(*line)
	const size, calls = 100 << 10, 40
	fit := maxLine / (size + maxHeader)
	handed := make(chan int, calls)
	var told lineCalls
	go func() {
		for n := range uint64(calls) {
			m := testMessage(store.QueueID{Owner: benchOwner(1)}, n+1)
			m.Payload = make([]byte, size)
			told.enqueue(l, m)
			l.mu.Lock()
			handed <- l.under
			l.mu.Unlock()
		}
		close(handed)
	}()
	for range fit {
		<-handed
	}
	l.mu.Lock()
	if l.under <= maxLine-size-maxHeader || l.under > maxLine {
		t.Errorf("%d bytes under way after %d calls, at most %d allowed", l.under, fit, maxLine)
	}
	l.mu.Unlock()
	close(held)
	if err := <-free; err != nil {
		t.Fatal(err)
	}
	for under := range handed {
		if under > maxLine {
			t.Errorf("%d bytes under way, at most %d allowed", under, maxLine)
		}
	}
	told.wait(t)
	for i, c := range told.all {
		if c.err != nil || c.results[0].Seq != uint64(i+1) {
			t.Errorf("call %d: %v, %v", i, c.results, c.err)
		}
	}
	if l.under != 0 {
		t.Errorf("%d bytes under way at the end", l.under)
	}
}
