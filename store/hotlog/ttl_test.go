package hotlog

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"quicnprotochat/store"
)

// clock is moved by hand.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ms.Store(1_750_000_000_000)
	return c
}

func (c *clock) now() time.Time       { return time.UnixMilli(c.ms.Load()) }
func (c *clock) pass(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// sweepAll sweeps until nothing is left, and returns what was removed.
func sweepAll(t *testing.T, s *Store, budget int) (removed int) {
	t.Helper()
	for range 100_000 {
		r, err := s.Sweep(t.Context(), budget)
		if err != nil {
			t.Fatal(err)
		}
		if removed += r.Removed; !r.More {
			return removed
		}
		if r.Removed > budget {
			t.Fatalf("%d removed with a budget of %d", r.Removed, budget)
		}
	}
	t.Fatal("the sweep has no end")
	return 0
}

func put(t *testing.T, s *Store, m store.Message) uint64 {
	t.Helper()
	r, err := s.Enqueue(t.Context(), []store.Message{m})
	if err != nil || r[0].Status != store.Stored {
		t.Fatalf("%+v, %v", r, err)
	}
	return r[0].Seq
}

// retireAll fills the log until what was in it before has gone to the tree.
func retireAll(t *testing.T, s *Store) {
	t.Helper()
	last := s.log.Segment()
	q := store.QueueID{Owner: benchOwner(1 << 30)}
	for n := uint64(last) << 32; s.log.Oldest() <= last; n++ {
		m := testMessage(q, n)
		m.Payload = make([]byte, 2000)
		m.Expires = s.opts.Clock().Add(10000 * time.Hour)
		seq := put(t, s, m)
		if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: seq}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExpiry: short and long lives in one queue, in the log and in the tree, before and after a restart.
func TestExpiry(t *testing.T) {
	for _, where := range []string{"log", "tree", "replayed"} {
		t.Run(where, func(t *testing.T) {
			c := newClock()
			o := small(t.TempDir())
			o.Clock = c.now
			s := mustOpen(t, o)
			q := store.QueueID{Owner: benchOwner(1)}
			for n := range uint64(12) {
				m := testMessage(q, n+1)
				m.Expires = c.now().Add(time.Duration([]int{1, 1, 5, 1}[n%4]) * time.Hour)
				put(t, s, m)
			}
			switch where {
			case "tree":
				retireAll(t, s)
			case "replayed":
				mustClose(t, s)
				s = mustOpen(t, o)
			}
			want := func(acked uint64, seqs ...uint64) {
				t.Helper()
				p, err := s.Read(t.Context(), q, 0, 100, 1<<20)
				if err != nil || p.Acknowledged != acked || p.Last != 12 || p.More || len(p.Messages) != len(seqs) {
					t.Fatalf("%+v, %v, want %v above %d", p, err, seqs, acked)
				}
				for i, d := range p.Messages {
					if d.Seq != seqs[i] {
						t.Fatalf("%d, want %d", d.Seq, seqs[i])
					}
				}
			}
			if n := sweepAll(t, s, 5); n != 0 {
				t.Fatalf("%d removed too early", n)
			}
			c.pass(time.Hour)
			want(0, 3, 7, 11)
			c.pass(time.Hour)
			if n := sweepAll(t, s, 1); n != 2 {
				t.Fatalf("%d removed at the head, want 2", n)
			}
			want(2, 3, 7, 11)
			if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: 3}}); err != nil {
				t.Fatal(err)
			}
			c.pass(4 * time.Hour)
			want(3)
			if n := sweepAll(t, s, 100); n < 9 {
				t.Fatalf("%d removed, want 9", n)
			}
			want(12)
			r, err := s.Enqueue(t.Context(), []store.Message{testMessage(q, 5)})
			if err != nil || r[0] != (store.Result{Status: store.Duplicate, Seq: 5}) {
				t.Fatalf("id of an expired message: %+v, %v", r, err)
			}
			if seq := put(t, s, testMessage(q, 100)); seq != 13 {
				t.Fatalf("seq %d after all expired", seq)
			}
		})
	}
}

// TestIDsOutliveAcknowledgement: a message that lay in the tree for long is recognised for a day after it was acknowledged.
func TestIDsOutliveAcknowledgement(t *testing.T) {
	c := newClock()
	o := small(t.TempDir())
	o.Clock = c.now
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	put(t, s, testMessage(q, 1))
	retireAll(t, s)
	c.pass(20 * 24 * time.Hour)
	sweepAll(t, s, 1000)
	if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: 1}}); err != nil {
		t.Fatal(err)
	}
	retireAll(t, s)
	mustClose(t, s)
	s = mustOpen(t, o)
	c.pass(23 * time.Hour)
	sweepAll(t, s, 1000)
	again := func() store.Result {
		r, err := s.Enqueue(t.Context(), []store.Message{testMessage(q, 1)})
		if err != nil {
			t.Fatal(err)
		}
		return r[0]
	}
	if r := again(); r != (store.Result{Status: store.Duplicate, Seq: 1}) {
		t.Fatalf("within a day: %+v", r)
	}
	c.pass(60 * time.Hour)
	sweepAll(t, s, 1000)
	if r := again(); r != (store.Result{Status: store.Stored, Seq: 2}) {
		t.Fatalf("long after: %+v", r)
	}
}

func TestMaxTTL(t *testing.T) {
	c := newClock()
	o := small(t.TempDir())
	o.Clock, o.DefaultTTL, o.MaxTTL = c.now, time.Hour, 3*time.Hour
	s := mustOpen(t, o)
	count := func(n int) {
		t.Helper()
		left := 0
		for i := range 3 {
			p, err := s.Read(t.Context(), store.QueueID{Owner: benchOwner(i)}, 0, 10, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			left += len(p.Messages)
		}
		if left != n {
			t.Fatalf("%d messages, want %d", left, n)
		}
	}
	for i, d := range []time.Duration{0, 2 * time.Hour, 1 << 62} {
		m := testMessage(store.QueueID{Owner: benchOwner(i)}, 1)
		if d != 0 {
			m.Expires = c.now().Add(d)
		}
		put(t, s, m)
	}
	count(3)
	c.pass(time.Hour)
	count(2)
	c.pass(time.Hour)
	count(1)
	c.pass(time.Hour)
	count(0)
}

func TestFormat(t *testing.T) {
	o := small(t.TempDir())
	mustClose(t, mustOpen(t, o))
	for _, text := range []string{"quicnprotochat store 1\n", fmt.Sprintf("quicnprotochat store %d 00\n", formatVersion+1), "something else", ""} {
		writeFile(t, o.Dir+"/"+formatFile, text)
		if _, err := Open(o); !errors.Is(err, store.ErrVersion) {
			t.Errorf("%q: %v", text, err)
		}
	}
	o.Dir = t.TempDir()
	writeFile(t, o.Dir+"/something", "")
	if _, err := Open(o); !errors.Is(err, store.ErrVersion) {
		t.Errorf("a directory of something else: %v", err)
	}
}
