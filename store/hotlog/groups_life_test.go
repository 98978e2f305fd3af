package hotlog

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// TestGroupDropped: what is dropped is gone, after a restart too, and who takes its id begins anew above its numbers.
func TestGroupDropped(t *testing.T) {
	o := small("/store")
	o.FS = vfs.NewMem()
	s := mustOpen(t, o)
	newGroup(t, s, "g", 5)
	for n := uint64(1); n <= 1000; n++ {
		mustPost(t, s, testPost("g", 1, n), store.Result{Status: store.Stored, Seq: n + 1})
	}
	if err := s.dropGroup(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	s = mustOpen(t, o)
	if err := s.dropGroup(t.Context(), "g"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("dropped again: %v", err)
	}
	if _, err := s.Group(t.Context(), "g"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a dropped group: %v", err)
	}
	for i := range 5 {
		reads(t, s, shared(i, "g"), 1, 0)
	}
	again := store.NewGroup{ID: "g", Founder: benchOwner(2), Epoch: 1}
	if err := s.CreateGroup(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	mustPost(t, s, testPost("g", 2, 5000), store.Result{Status: store.Stored, Seq: 1002})
	reads(t, s, shared(2, "g"), 1002, 1002)
	reads(t, s, shared(1, "g"), 1, 0)
}

// TestGroupExpires: what an idle member never read is given up, from the log and from the tree.
func TestGroupExpires(t *testing.T) {
	for _, cold := range []bool{false, true} {
		o := small("/store")
		var now atomic.Int64
		now.Store(1_700_000_000_000)
		o.FS, o.Clock, o.DefaultTTL = vfs.NewMem(), func() time.Time { return time.UnixMilli(now.Load()) }, 3*time.Hour
		s := mustOpen(t, o)
		newGroup(t, s, "g", 3)
		count := uint64(20)
		if cold {
			count = 3000
		}
		for n := uint64(1); n <= count; n++ {
			mustPost(t, s, testPost("g", 1, n), store.Result{Status: store.Stored, Seq: n + 1})
		}
		c := testCommit("g", 0, 8)
		c.Removed = []store.Identity{benchOwner(2)}
		mustCommit(t, s, c, count+2)
		if moved := s.Internals().Moved > 0; moved != cold {
			t.Fatalf("cold %v, moved %v", cold, moved)
		}
		now.Add((4 * time.Hour).Milliseconds())
		for begin := time.Now(); describe(t, s, "g").First != count+2; {
			// What lies behind a part in the tree is looked at an hour later, and more may have come to the tree by then.
			now.Add(time.Hour.Milliseconds())
			sweepAll(t, s, 500)
			if time.Since(begin) > time.Minute {
				t.Fatalf("cold %v: the log begins above %d, all up to %d has expired", cold, describe(t, s, "g").First, count+2)
			}
		}
		for i := range 3 {
			reads(t, s, shared(i, "g"), 1, 0)
		}
		mustCommit(t, s, testCommit("g", 0, 9), count+3) // clears away member 2
		if m := len(s.mustGroup(t, "g").readers); m != 2 {
			t.Errorf("%d are known to read, want 2", m)
		}
		mustClose(t, s)
	}
}

// mustGroup is what is in memory of a group that nobody else uses.
func (s *Store) mustGroup(t *testing.T, id string) *group {
	o, err := s.pinGroup(id)
	if err != nil {
		t.Fatal(err)
	}
	defer o.unpin()
	return o.group
}

// TestGroupEvicted: cursors and rosters come back from the tree.
func TestGroupEvicted(t *testing.T) {
	o := small("/store")
	o.FS = vfs.NewMem()
	s := mustOpen(t, o)
	newGroup(t, s, "g", 10)
	for n := uint64(1); n <= 10; n++ {
		mustPost(t, s, testPost("g", 1, n), store.Result{Status: store.Stored, Seq: n + 1})
	}
	ack(t, s, shared(3, "g"), 7)
	first := s.mustGroup(t, "g")
	for n := uint64(1); s.mustGroup(t, "g") == first; n++ {
		if n > 20_000 {
			t.Fatal("the group was never evicted")
		}
		q := store.QueueID{Owner: benchOwner(100 + int(n))}
		put(t, s, testMessage(q, n))
	}
	reads(t, s, shared(3, "g"), 8, 11)
	reads(t, s, shared(0, "g"), 1, 11)
	reads(t, s, shared(2, "g"), 2, 11)
	if g := describe(t, s, "g"); g.Members != 10 || g.Epoch != 8 {
		t.Errorf("group: %+v", g)
	}
}

// TestGroupWatched: all members hear of posts, one who is removed hears of that, and of nothing after it.
func TestGroupWatched(t *testing.T) {
	o := small("/store")
	o.FS = vfs.NewMem()
	s := mustOpen(t, o)
	newGroup(t, s, "g", 3)
	w, err := s.Watch(benchOwner(2))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	heard := func() bool {
		queues, all := w.Take()
		return !all && len(queues) == 1 && queues[0] == shared(2, "g")
	}
	mustPost(t, s, testPost("g", 1, 1), store.Result{Status: store.Stored, Seq: 2})
	if !heard() {
		t.Error("a member did not hear of a post")
	}
	c := testCommit("g", 0, 8)
	c.Removed = []store.Identity{benchOwner(2)}
	mustCommit(t, s, c, 3)
	if !heard() {
		t.Error("one who was removed did not hear of it")
	}
	mustPost(t, s, testPost("g", 1, 2), store.Result{Status: store.Stored, Seq: 4})
	if heard() {
		t.Error("one who was removed heard of a post")
	}
}

// TestGroupQuotas: what a quota refuses has no effect.
func TestGroupQuotas(t *testing.T) {
	o := small("/store")
	o.FS, o.SegmentBytes, o.LogBytes = vfs.NewMem(), 64<<20, 256<<20
	o.Quota = store.Quota{Messages: 5, Groups: 2, Members: 4, Queues: 1}
	s := mustOpen(t, o)
	newGroup(t, s, "a", 3)
	newGroup(t, s, "b", 3)
	if err := s.CreateGroup(t.Context(), store.NewGroup{ID: "c", Founder: benchOwner(0)}); !errors.Is(err, store.ErrQuota) {
		t.Errorf("a third group: %v", err)
	}
	if err := s.CreateGroup(t.Context(), store.NewGroup{ID: "c", Founder: benchOwner(9), Epoch: 8}); err != nil {
		t.Fatal(err)
	}
	c := testCommit("c", 9, 8)
	c.Added = []store.Identity{benchOwner(0)}
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, store.ErrQuota) {
		t.Errorf("one added who is in 2 groups: %v", err)
	}
	c = testCommit("a", 0, 8)
	c.Added = []store.Identity{benchOwner(7), benchOwner(8)}
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, store.ErrQuota) {
		t.Errorf("a fifth member: %v", err)
	}
	c.Added = c.Added[:1]
	for i := range uint64(6) {
		c.Welcomes = append(c.Welcomes, testMessage(store.QueueID{Owner: benchOwner(7)}, i+1))
	}
	full := store.Result{Status: store.QuotaExceeded}
	if r, err := s.Commit(t.Context(), c); err != nil || r != full {
		t.Errorf("six Welcomes for a queue of five: %+v, %v", r, err)
	}
	c.Welcomes = c.Welcomes[:2]
	c.Welcomes[1].Queue.Group = "another"
	if r, err := s.Commit(t.Context(), c); err != nil || r != full {
		t.Errorf("two queues for an owner of one: %+v, %v", r, err)
	}
	if p, err := s.Read(t.Context(), store.QueueID{Owner: benchOwner(7)}, 0, 9, 9000); err != nil || p.Last != 0 {
		t.Errorf("a refused Welcome was stored: %+v, %v", p, err)
	}
	if g := describe(t, s, "a"); g.Epoch != 8 || g.Members != 3 || g.Last != 1 {
		t.Errorf("a refused commit left %+v", g)
	}
	c.Welcomes, c.Info = nil, bytes.Repeat([]byte{1}, store.MaxInfo)
	mustCommit(t, s, c, 2)
	if g := describe(t, s, "a"); !bytes.Equal(g.Info, c.Info) || g.Members != 4 {
		t.Errorf("%d members, GroupInfo of %d bytes", g.Members, len(g.Info))
	}
}
