package hotlog

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk/disktest"
)

// TestLineAfterOutdated: a line that is never idle shares the syncs of the disk after an op of it was outdated as it did before.
func TestLineAfterOutdated(t *testing.T) { synctest.Test(t, lineAfterOutdated) }

func lineAfterOutdated(t *testing.T) {
	o := small("/store")
	o.FS, o.SegmentBytes, o.LogBytes = disktest.Slow(vfs.NewMem(), time.Millisecond), 16<<20, 1<<30
	s := mustOpen(t, o)
	defer mustClose(t, s)
	q := store.QueueID{Owner: benchOwner(1)}
	l := s.NewLine()
	const under, calls = 50, 1000
	room := make(chan struct{}, under)
	n := uint64(0)
	send := func() {
		room <- struct{}{}
		n++
		want := store.Result{Status: store.Stored, Seq: n}
		l.Enqueue([]store.Message{testMessage(q, n)}, func(r []store.Result, err error) {
			if err != nil || r[0] != want {
				t.Errorf("%+v, %v, want %+v", r, err, want)
			}
			<-room
		})
	}
	for range under {
		send()
	}
	if err := s.do(t.Context(), &retireIDs{s.idEpoch.Load() + 1}); err != nil {
		t.Fatal(err)
	}
	send()
	s.idEpoch.Add(1)
	before := s.counters.syncs.Load()
	for range calls {
		send()
	}
	if n := s.counters.syncs.Load() - before; n > calls/5 {
		t.Errorf("%d syncs for %d calls, of which %d are under way at a time", n, calls, under)
	}
	for range under {
		room <- struct{}{}
	}
}
