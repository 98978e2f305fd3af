package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/store"
)

// modelQueue is the simplest thing that could be right.
type modelQueue struct {
	acked    uint64
	messages []int          // all ever stored; seq is the index + 1
	seqs     map[int]uint64 // by number
}

// testModel walks at random through enqueues, reads, acknowledgements and restarts, beside a model.
func testModel(t *testing.T, e *engine) {
	rapid.Check(t, func(r *rapid.T) {
		run := &engine{T: t, open: e.open, now: e.now}
		o := run.open(t, Config{Quota: store.Quota{Messages: 12}, Clock: run.clock})
		run.opened = opened{o.Store, o.Restart}
		defer func() { _ = run.Engine.Close() }()
		queues := map[store.QueueID]*modelQueue{}
		for g := range 3 {
			queues[store.QueueID{Owner: owner(1), Group: fmt.Sprint(g)}] = &modelQueue{seqs: map[int]uint64{}}
		}
		pick := func(r *rapid.T) (store.QueueID, *modelQueue) {
			q := store.QueueID{Owner: owner(1), Group: fmt.Sprint(rapid.IntRange(0, 2).Draw(r, "queue"))}
			return q, queues[q]
		}
		r.Repeat(map[string]func(*rapid.T){
			"enqueue": func(r *rapid.T) {
				var batch []store.Message
				var want []store.Result
				for range rapid.IntRange(1, 5).Draw(r, "batch") {
					q, m := pick(r)
					n := rapid.IntRange(0, 40).Draw(r, "number")
					batch = append(batch, message(q, n))
					want = append(want, m.enqueue(n))
				}
				got, err := run.Enqueue(context.Background(), batch)
				if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					r.Fatalf("enqueue: %v, %v, want %v", got, err, want)
				}
			},
			"acknowledge": func(r *rapid.T) {
				q, m := pick(r)
				seq := uint64(rapid.IntRange(0, len(m.messages)+1).Draw(r, "seq"))
				err := run.Acknowledge(context.Background(), []store.Cursor{{Queue: q, Seq: seq}})
				if beyond := seq > uint64(len(m.messages)); beyond != errors.Is(err, store.ErrBeyondLast) || !beyond && err != nil {
					r.Fatalf("acknowledge %d of %d: %v", seq, len(m.messages), err)
				}
				if err == nil {
					m.acked = max(m.acked, seq)
				}
			},
			"restart": func(r *rapid.T) {
				if run.restart != nil && rapid.IntRange(0, 9).Draw(r, "really") == 0 {
					run.Engine = run.restart()
				}
			},
			"": func(r *rapid.T) {
				for q, m := range queues {
					p, err := run.Read(context.Background(), q, 0, 100, 1<<20)
					if err != nil || p.Last != uint64(len(m.messages)) || p.Acknowledged != m.acked || uint64(len(p.Messages)) != p.Last-p.Acknowledged {
						r.Fatalf("queue %q: %+v, %v, want %+v", q.Group, p, err, m)
					}
					for i, d := range p.Messages {
						if seq := m.acked + uint64(i) + 1; d.Seq != seq || number(d) != m.messages[seq-1] {
							r.Fatalf("queue %q: seq %d number %d", q.Group, d.Seq, number(d))
						}
					}
				}
			},
		})
	})
}

func (m *modelQueue) enqueue(n int) store.Result {
	if seq, ok := m.seqs[n]; ok {
		return store.Result{Status: store.Duplicate, Seq: seq}
	}
	if uint64(len(m.messages))-m.acked >= 12 {
		return store.Result{Status: store.QuotaExceeded}
	}
	m.messages = append(m.messages, n)
	m.seqs[n] = uint64(len(m.messages))
	return store.Result{Status: store.Stored, Seq: m.seqs[n]}
}
