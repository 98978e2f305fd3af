package hotlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

var _ store.Groups = (*Store)(nil)

func shared(member int, group string) store.QueueID {
	return store.QueueID{Owner: benchOwner(member), Group: group, Shared: true}
}

func testPost(group string, sender int, n uint64) store.Post {
	m := testMessage(store.QueueID{}, n)
	return store.Post{Group: group, Sender: benchOwner(sender), ID: m.ID, Payload: m.Payload}
}

func commitID(n uint64) (id store.MessageID) {
	id[15] = 1
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

func testCommit(group string, sender int, epoch uint64) store.Commit {
	return store.Commit{Group: group, Sender: benchOwner(sender), Epoch: epoch, ID: commitID(epoch<<32 | uint64(sender)), Payload: []byte{'c', byte(epoch)}, Info: fmt.Append(nil, "info ", epoch+1)}
}

func newGroup(t testing.TB, s *Store, id string, members int) {
	t.Helper()
	if err := s.CreateGroup(t.Context(), store.NewGroup{ID: id, Founder: benchOwner(0), Epoch: 7, Info: []byte("info 7")}); err != nil {
		t.Fatal(err)
	}
	if members < 2 {
		return
	}
	c := testCommit(id, 0, 7)
	for i := 1; i < members; i++ {
		c.Added = append(c.Added, benchOwner(i))
	}
	mustCommit(t, s, c, 1)
}

func mustCommit(t testing.TB, s *Store, c store.Commit, seq uint64) {
	t.Helper()
	if r, err := s.Commit(t.Context(), c); err != nil || r != (store.Result{Status: store.Stored, Seq: seq}) {
		t.Fatalf("commit: %+v, %v, want %d", r, err, seq)
	}
}

func mustPost(t testing.TB, s *Store, p store.Post, want store.Result) {
	t.Helper()
	if r, err := s.Append(t.Context(), []store.Post{p}); err != nil || r[0] != want {
		t.Fatalf("post: %+v, %v, want %+v", r, err, want)
	}
}

// reads checks the numbers that a member can read.
func reads(t testing.TB, s *Store, q store.QueueID, first, last uint64) {
	t.Helper()
	p, err := s.Read(t.Context(), q, 0, 100_000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(p.Messages)) != last+1-first {
		t.Fatalf("%x reads %d messages, want %d to %d; cursor %d, last %d", q.Owner[:4], len(p.Messages), first, last, p.Acknowledged, p.Last)
	}
	for i, d := range p.Messages {
		if d.Seq != first+uint64(i) {
			t.Fatalf("%x reads %d in place of %d", q.Owner[:4], d.Seq, first+uint64(i))
		}
	}
	queues, _, err := s.Queues(t.Context(), q, 1)
	if err != nil {
		t.Fatal(err)
	}
	listed := len(queues) == 1 && queues[0].Group == q.Group && queues[0].Shared
	if listed != (last >= first) || listed && queues[0].Messages != last+1-first {
		t.Fatalf("%x has %d to %d to read, listed as %+v", q.Owner[:4], first, last, queues)
	}
}

func ack(t testing.TB, s *Store, q store.QueueID, seq uint64) {
	t.Helper()
	if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: seq}}); err != nil {
		t.Fatal(err)
	}
}

func describe(t testing.TB, s *Store, id string) store.Group {
	t.Helper()
	g, err := s.Group(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGroup goes through the life of a group, looking at everything again after a restart.
func TestGroup(t *testing.T) {
	for _, key := range [][]byte{nil, make([]byte, KeySize)} {
		t.Run(fmt.Sprintf("encrypted=%v", key != nil), func(t *testing.T) {
			o := small("/store")
			o.FS, o.Key = vfs.NewMem(), key
			s := mustOpen(t, o)
			const id = "g"
			newGroup(t, s, id, 3) // its commit is number 1
			mustPost(t, s, testPost(id, 1, 1), store.Result{Status: store.Stored, Seq: 2})
			c := testCommit(id, 1, 8)
			c.Removed = []store.Identity{benchOwner(2)}
			c.Added = []store.Identity{benchOwner(3)}
			c.Welcomes = []store.Message{testMessage(store.QueueID{Owner: benchOwner(3)}, 5), testMessage(store.QueueID{Owner: benchOwner(3)}, 6)}
			mustCommit(t, s, c, 3)
			mustPost(t, s, testPost(id, 0, 2), store.Result{Status: store.Stored, Seq: 4})
			ack(t, s, shared(0, id), 4)
			ack(t, s, shared(1, id), 3)
			for range 2 {
				reads(t, s, shared(0, id), 5, 4)
				reads(t, s, shared(1, id), 4, 4)
				reads(t, s, shared(2, id), 2, 3)
				reads(t, s, shared(3, id), 4, 4)
				reads(t, s, shared(4, id), 1, 0)
				if p, err := s.Read(t.Context(), store.QueueID{Owner: benchOwner(3)}, 0, 9, 9000); err != nil || len(p.Messages) != 2 {
					t.Fatalf("Welcomes: %+v, %v", p, err)
				}
				g := describe(t, s, id)
				if g.Epoch != 9 || g.Members != 3 || string(g.Info) != "info 9" || g.First != 1 || g.Last != 4 || g.Founder != benchOwner(0) {
					t.Fatalf("group: %+v", g)
				}
				members, more, err := s.Members(t.Context(), id, store.Identity{}, 10)
				if err != nil || more || len(members) != 3 {
					t.Fatalf("members: %+v, %v, %v", members, more, err)
				}
				refused(t, s, id)
				mustClose(t, s)
				s = mustOpen(t, o)
			}
			ack(t, s, shared(2, id), 3)
			reads(t, s, shared(2, id), 1, 0)
			if g := describe(t, s, id); g.First != 3 {
				t.Errorf("the log begins above %d after the slowest acknowledged 3", g.First)
			}
			c = testCommit(id, 0, 9)
			c.Added = []store.Identity{benchOwner(2)}
			mustCommit(t, s, c, 5)
			mustPost(t, s, testPost(id, 2, 3), store.Result{Status: store.Stored, Seq: 6})
			reads(t, s, shared(2, id), 6, 6)
		})
	}
}

// refused tries what is not to be done in the group of TestGroup.
func refused(t *testing.T, s *Store, id string) {
	t.Helper()
	c := testCommit(id, 1, 8)
	if r, err := s.Commit(t.Context(), c); err != nil || r != (store.Result{Status: store.Duplicate, Seq: 3}) {
		t.Errorf("the same commit again: %+v, %v", r, err)
	}
	c = testCommit(id, 0, 8)
	var epoch *store.EpochError
	if _, err := s.Commit(t.Context(), c); !errors.As(err, &epoch) || epoch.Current != 9 || !errors.Is(err, store.ErrEpoch) {
		t.Errorf("a commit of a past epoch: %v", err)
	}
	for what, want := range map[string]error{"sender": store.ErrNotMember, "group": store.ErrNotFound, "removed": store.ErrInvalid} {
		c := testCommit(id, 0, 9)
		switch what {
		case "sender":
			c.Sender = benchOwner(2)
		case "group":
			c.Group = "none"
		case "removed":
			c.Removed = []store.Identity{benchOwner(2)}
		}
		if _, err := s.Commit(t.Context(), c); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	if err := s.CreateGroup(t.Context(), store.NewGroup{ID: id, Founder: benchOwner(0)}); !errors.Is(err, store.ErrExists) {
		t.Errorf("the same group again: %v", err)
	}
	mustPost(t, s, testPost(id, 1, 1), store.Result{Status: store.Duplicate, Seq: 2})
	mustPost(t, s, testPost(id, 2, 9), store.Result{Status: store.NotMember})
	mustPost(t, s, testPost("none", 1, 9), store.Result{Status: store.NoGroup})
	p := testPost(id, 1, 9)
	p.Current, p.Epoch = true, 8
	mustPost(t, s, p, store.Result{Status: store.WrongEpoch})
	if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: shared(2, id), Seq: 4}}); !errors.Is(err, store.ErrBeyondLast) {
		t.Errorf("one who was removed acknowledges what came after: %v", err)
	}
}

// TestCommitRace has many members commit in the same epoch, again and again: one wins each time.
func TestCommitRace(t *testing.T) {
	o := small("/store")
	o.FS = vfs.NewMem()
	s := mustOpen(t, o)
	const members = 48 // the change that adds them must fit in a quarter of a small segment
	newGroup(t, s, "g", members)
	for epoch := uint64(8); epoch < 18; epoch++ {
		var wg sync.WaitGroup
		var won, lost atomic.Int64
		for i := range members {
			wg.Go(func() {
				_, err := s.Commit(t.Context(), testCommit("g", i, epoch))
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, store.ErrEpoch):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != members-1 {
			t.Fatalf("epoch %d: %d won, %d lost", epoch, won.Load(), lost.Load())
		}
	}
	reads(t, s, shared(5, "g"), 2, 11)
}

// TestStoredOnce posts to a group of 1,000, of which half never read: each post is stored once, moves to the tree once, and is gone when all have
// acknowledged it.
func TestStoredOnce(t *testing.T) {
	const members, posts = 1000, 10_000
	o := small("/store")
	o.FS, o.SegmentBytes, o.LogBytes = vfs.NewMem(), 1<<20, 2<<20
	s := mustOpen(t, o)
	newGroup(t, s, "g", members)
	for n := uint64(0); n < posts; n += 500 {
		batch := make([]store.Post, 500)
		for i := range batch {
			batch[i] = testPost("g", i, n+uint64(i)+1)
		}
		if _, err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		for i := range members / 2 {
			ack(t, s, shared(i, "g"), n+400)
		}
	}
	last := uint64(posts + 1)
	if moved := s.Internals().Moved; moved == 0 || moved > posts+1 {
		t.Errorf("%d messages moved to the tree, of %d posts", moved, posts)
	}
	if g := describe(t, s, "g"); g.First != 1 || g.Last != last {
		t.Errorf("the log is %d to %d", g.First, g.Last)
	}
	mustClose(t, s)
	s = mustOpen(t, o)
	reads(t, s, shared(members-1, "g"), 2, last)
	reads(t, s, shared(0, "g"), posts-500+401, last)
	for i := range members {
		ack(t, s, shared(i, "g"), last)
	}
	if g := describe(t, s, "g"); g.First != last {
		t.Errorf("all acknowledged %d, the log begins above %d", last, g.First)
	}
}
