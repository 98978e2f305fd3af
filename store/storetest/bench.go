package storetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"quicnprotochat/store"
)

// Bench measures 256-byte messages, at 1, 16 and 256 callers with a queue each: enqueue alone, and the whole cycle of enqueue, read and
// acknowledge. An operation is one message.
func Bench(b *testing.B, open func(b *testing.B) Basic) {
	for _, kind := range []struct {
		name  string
		batch int
		cycle bool
	}{{"enqueue", 1, false}, {"cycle", 1, true}, {"cycle64", 64, true}} {
		for _, callers := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, callers), func(b *testing.B) {
				s := open(b)
				defer s.Close()
				bench(b, s, callers, kind.batch, kind.cycle)
			})
		}
	}
}

func bench(b *testing.B, s Basic, callers, batch int, cycle bool) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range callers {
		wg.Go(func() {
			q := inbox(c)
			payload := make([]byte, 256)
			messages := make([]store.Message, batch)
			for {
				n := next.Add(int64(batch))
				if n-int64(batch) >= int64(b.N) {
					return
				}
				for i := range messages {
					messages[i] = store.Message{Queue: q, Payload: payload}
					binary.BigEndian.PutUint64(messages[i].ID[:], uint64(n)+uint64(i))
				}
				if err := once(s, q, messages, cycle); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func once(s Basic, q store.QueueID, messages []store.Message, cycle bool) error {
	ctx := context.Background()
	r, err := s.Enqueue(ctx, messages)
	if err != nil || !cycle {
		return err
	}
	last := r[len(r)-1]
	if last.Status != store.Stored {
		return fmt.Errorf("status %d", last.Status)
	}
	p, err := s.Read(ctx, q, r[0].Seq-1, len(r), 1<<20)
	if err != nil {
		return err
	}
	if len(p.Messages) != len(messages) {
		return fmt.Errorf("%d of %d messages", len(p.Messages), len(messages))
	}
	return s.Acknowledge(ctx, []store.Cursor{{Queue: q, Seq: last.Seq}})
}
