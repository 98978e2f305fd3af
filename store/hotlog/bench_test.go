package hotlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// BenchmarkCycle measures the whole life of 256-byte messages to 100,000 recipients in turn: durable enqueue, read, acknowledge. An operation is one
// message; callers have one message in flight each.
func BenchmarkCycle(b *testing.B) {
	for _, c := range []struct{ callers, perCall int }{{1, 1}, {16, 1}, {256, 1}, {4096, 1}, {16, 64}} {
		b.Run(fmt.Sprintf("callers=%d/percall=%d", c.callers, c.perCall), func(b *testing.B) {
			s, err := Open(Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			cycles(b, s, c.callers, c.perCall)
		})
	}
}

const benchRecipients = 100_000

func benchOwner(n int) (id store.Identity) {
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[24:], uint64(n))
	return id
}

func cycles(b *testing.B, s *Store, callers, perCall int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	each := benchRecipients / callers
	b.ReportAllocs()
	b.ResetTimer()
	for c := range callers {
		wg.Go(func() {
			payload := make([]byte, 256)
			messages := make([]store.Message, perCall)
			cursors := make([]store.Cursor, perCall)
			for turn := 0; ; turn++ {
				n := next.Add(int64(perCall))
				if n-int64(perCall) >= int64(b.N) {
					return
				}
				for i := range messages {
					messages[i].Queue = store.QueueID{Owner: benchOwner(c*each + (turn*perCall+i)%each)}
					messages[i].Payload = payload
					binary.BigEndian.PutUint64(messages[i].ID[:], uint64(n)+uint64(i))
				}
				if err := benchOnce(s, messages, cursors); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cycles/s")
	b.ReportMetric(float64(b.N)/float64(max(s.Stats().Syncs, 1)), "messages/sync")
}

func benchOnce(s *Store, messages []store.Message, cursors []store.Cursor) error {
	ctx := context.Background()
	results, err := s.Enqueue(ctx, messages)
	if err != nil {
		return err
	}
	for i, r := range results {
		q := messages[i].Queue
		if r.Status != store.Stored {
			return fmt.Errorf("%+v", r)
		}
		p, err := s.Read(ctx, q, r.Seq-1, 1, 1<<20)
		if err != nil || len(p.Messages) != 1 || p.Messages[0].ID != messages[i].ID {
			return fmt.Errorf("read %+v, %v", p, err)
		}
		cursors[i] = store.Cursor{Queue: q, Seq: r.Seq}
	}
	return s.Acknowledge(ctx, cursors)
}

// BenchmarkReplay opens a log of 200,000 messages in 10,000 queues; an operation is one message.
func BenchmarkReplay(b *testing.B) {
	const total, queues = 200_000, 10_000
	o := Options{Dir: b.TempDir(), LogBytes: 1 << 40}
	s := mustOpen(b, o)
	batch := make([]store.Message, 1000)
	payload := make([]byte, 256)
	for first := 0; first < total; first += len(batch) {
		for i := range batch {
			batch[i] = store.Message{Queue: store.QueueID{Owner: benchOwner((first + i) % queues)}, Payload: payload}
			binary.BigEndian.PutUint64(batch[i].ID[:], uint64(first+i))
		}
		if _, err := s.Enqueue(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	mustClose(b, s)
	b.ResetTimer()
	for n := 0; n < b.N; n += total {
		s := mustOpen(b, o)
		b.StopTimer()
		mustClose(b, s)
		b.StartTimer()
	}
}

// BenchmarkWindow looks for new ids among those of five full segments.
func BenchmarkWindow(b *testing.B) {
	w := newWindow()
	var id name
	fill := rand.NewChaCha8([32]byte{})
	for n := range uint64(5 * 190_000) {
		_, _ = fill.Read(id[:])
		w.add(id, n+1, wal.Pos{Segment: n / 190_000})
	}
	for b.Loop() {
		_, _ = fill.Read(id[:])
		if w.find(&id) != 0 {
			b.Fatal("a new id is known")
		}
	}
}
