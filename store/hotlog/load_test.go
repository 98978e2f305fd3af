package hotlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"quicnprotochat/store"
)

// small is a store whose log is retired all the time.
func small(dir string) Options {
	return Options{Dir: dir, SegmentBytes: 64 << 10, LogBytes: 128 << 10, PayloadCache: 32 << 10, Owners: 64}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func testMessage(q store.QueueID, n uint64) store.Message {
	m := store.Message{Queue: q, Payload: make([]byte, 8+n%500)}
	binary.BigEndian.PutUint64(m.Payload, n)
	binary.BigEndian.PutUint64(m.ID[:], n)
	return m
}

// TestRetirementUnderLoad has writers, readers that acknowledge, and the retirer at work at once, with restarts: each queue holds its numbers in
// order, none twice, none missing; ids that left the log are still recognised.
func TestRetirementUnderLoad(t *testing.T) {
	for _, key := range [][]byte{nil, make([]byte, KeySize)} {
		t.Run(fmt.Sprintf("encrypted=%v", key != nil), func(t *testing.T) {
			o := small(t.TempDir())
			o.Key = key
			queues := make([]*loadQueue, 60)
			for i := range queues {
				queues[i] = &loadQueue{id: store.QueueID{Owner: benchOwner(i / 2), Group: []string{"", "g"}[i%2]}}
			}
			moved := uint64(0)
			for range 2 {
				s := mustOpen(t, o)
				var wg sync.WaitGroup
				for i, q := range queues {
					wg.Go(func() { q.run(t, s, rand.New(rand.NewPCG(uint64(i), 1)), i%5 == 0) })
				}
				wg.Wait()
				moved += s.Internals().Moved
				if s.Internals().Retired == 0 {
					t.Error("no segment was retired")
				}
				mustClose(t, s)
			}
			if moved == 0 {
				t.Error("no message went to the tree")
			}
		})
	}
}

// loadQueue is what a queue should hold.
type loadQueue struct {
	id          store.QueueID
	last, acked uint64
}

func (q *loadQueue) run(t *testing.T, s *Store, r *rand.Rand, absent bool) {
	ctx := context.Background()
	for range 30 {
		messages := make([]store.Message, 1+r.IntN(5))
		for i := range messages {
			messages[i] = testMessage(q.id, q.last+1+uint64(i))
		}
		results, err := s.Enqueue(ctx, messages)
		if err != nil {
			t.Error(err)
			return
		}
		for i, res := range results {
			if q.last++; res != (store.Result{Status: store.Stored, Seq: q.last}) {
				t.Errorf("message %d of %d: %+v", i, q.last, res)
				return
			}
		}
		if old := 1 + r.Uint64N(q.last); true {
			results, err := s.Enqueue(ctx, []store.Message{testMessage(q.id, old)})
			if err != nil || results[0] != (store.Result{Status: store.Duplicate, Seq: old}) {
				t.Errorf("message %d of %d again: %+v, %v", old, q.last, results, err)
				return
			}
		}
		if r.IntN(3) == 0 {
			q.check(t, s)
		}
		if !absent && q.acked < q.last && r.IntN(2) == 0 {
			to := q.acked + 1 + r.Uint64N(q.last-q.acked)
			if err := s.Acknowledge(ctx, []store.Cursor{{Queue: q.id, Seq: to}}); err != nil {
				t.Error(err)
				return
			}
			q.acked = to
		}
	}
	q.check(t, s)
}

func (q *loadQueue) check(t *testing.T, s *Store) {
	next, bytes := q.acked+1, uint64(0)
	for {
		p, err := s.Read(context.Background(), q.id, next-1, 7, 4000)
		if err != nil || p.Acknowledged != q.acked || p.Last != q.last {
			t.Errorf("read after %d: %v, acknowledged %d of %d, want %d of %d", next-1, err, p.Acknowledged, p.Last, q.acked, q.last)
			return
		}
		for _, d := range p.Messages {
			want := testMessage(q.id, next)
			if d.Seq != next || string(d.Payload) != string(want.Payload) || d.ID != want.ID {
				t.Errorf("found %d with %d bytes, want %d", d.Seq, len(d.Payload), next)
				return
			}
			bytes += uint64(len(d.Payload))
			next++
		}
		if !p.More {
			break
		}
	}
	if next != q.last+1 {
		t.Errorf("queue ends at %d, want %d", next-1, q.last)
	}
	list, _, err := s.Queues(context.Background(), q.id, 1)
	want := store.QueueStatus{Group: q.id.Group, Acknowledged: q.acked, Last: q.last, Messages: q.last - q.acked, Bytes: bytes}
	if err != nil || q.last > q.acked && (len(list) != 1 || list[0] != want) {
		t.Errorf("listed as %+v, %v, want %+v", list, err, want)
	}
}

// TestMemoryBounded has far more queues than are kept in memory.
func TestMemoryBounded(t *testing.T) {
	const total = 50_000
	o := small(t.TempDir())
	o.SegmentBytes, o.LogBytes = 1<<20, 2<<20
	s := mustOpen(t, o)
	batch := make([]store.Message, 2000)
	for first := 0; first < total; first += len(batch) {
		for i := range batch {
			batch[i] = testMessage(store.QueueID{Owner: benchOwner(first + i)}, 1)
		}
		if _, err := s.Enqueue(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	in := s.Internals()
	if limit := 25_000; in.Objects > limit {
		t.Fatalf("%d objects in memory, want at most %d: %+v", in.Objects, limit, in)
	}
	mustClose(t, s)
	s = mustOpen(t, o)
	for i := 0; i < total; i += 997 {
		q := &loadQueue{id: store.QueueID{Owner: benchOwner(i)}, last: 1}
		q.check(t, s)
	}
}

func TestKeys(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 1 << 20, Key: make([]byte, KeySize)}
	s := mustOpen(t, o)
	if _, err := Open(o); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("open twice: %v", err)
	}
	mustClose(t, s)
	for name, key := range map[string][]byte{"another key": append(make([]byte, KeySize-1), 1), "no key": nil} {
		bad := o
		bad.Key = key
		if _, err := Open(bad); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustClose(t, mustOpen(t, o))
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
