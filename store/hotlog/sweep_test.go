package hotlog

import (
	"testing"
	"time"

	"quicnprotochat/store"
)

// TestSweepBesideMove: what a sweep finds copied to the tree, and not yet taken from the log, is swept later.
func TestSweepBesideMove(t *testing.T) {
	c := newClock()
	o := small(t.TempDir())
	o.Clock, o.LogBytes, o.HotRecords = c.now, 1<<30, 1<<30 // only the test moves anything
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	fill := func(from, to uint64) {
		for n := from; n <= to; n++ {
			m := testMessage(q, n)
			m.Expires = c.now().Add(time.Hour)
			put(t, s, m)
		}
	}
	object, err := s.pin(keyOf(&q))
	if err != nil {
		t.Fatal(err)
	}
	defer object.unpin()
	fill(1, 10)
	st := object.find("")
	number := s.log.Segment()
	if err := s.retirer.move(&segment{number: number, streams: []*stream{st}}); err != nil {
		t.Fatal(err)
	}
	fill(11, 20)
	b := s.tree.db.NewBatch()
	l, err := s.retirer.copy(b, st, s.log.Segment())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.retirer.apply(b); err != nil {
		t.Fatal(err)
	}
	c.pass(2 * time.Hour)
	if n, _, err := s.sweepCold(t.Context(), 100); n != 10 || err != nil {
		t.Errorf("%d removed, %v, want the 10 that are in the tree alone", n, err)
	}
	if n, _, err := s.sweepHot(t.Context(), 5); n != 5 || err != nil {
		t.Errorf("%d removed, %v, want 5 from the log", n, err)
	}
	if n, _, err := s.sweepCold(t.Context(), 100); n != 0 || err != nil {
		t.Errorf("%d removed, %v, want none from the tree", n, err)
	}
	if err := s.retirer.do(&movedOp{segment: s.log.Segment(), streams: []leaving{l}}); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Hour) // when the note of the move is looked at again
	sweepAll(t, s, 100)
	if p, err := s.Read(t.Context(), q, 0, 100, 1<<20); err != nil || p.Acknowledged != 20 {
		t.Errorf("acknowledged up to %d, %v, want all 20", p.Acknowledged, err)
	}
}
