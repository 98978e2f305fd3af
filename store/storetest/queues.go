package storetest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

func testOrder(t *testing.T, e *engine) {
	e.start(store.Quota{})
	const senders, each = 16, 40
	q := inbox(1)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				r, err := e.Enqueue(t.Context(), []store.Message{message(q, s*1000+2*i), message(q, s*1000+2*i+1)})
				if err != nil || r[0].Status != store.Stored || r[1].Seq <= r[0].Seq {
					t.Errorf("sender %d: %v, %v", s, r, err)
					return
				}
			}
		})
	}
	wg.Wait()
	p := e.read(q, 0)
	if len(p.Messages) != senders*each*2 {
		t.Fatalf("%d messages, want %d", len(p.Messages), senders*each*2)
	}
	last := map[int]int{}
	for i, m := range p.Messages {
		if m.Seq != uint64(i)+1 {
			t.Fatalf("message %d has seq %d", i, m.Seq)
		}
		s, n := number(m)/1000, number(m)%1000
		if n != last[s] {
			t.Fatalf("sender %d: message %d comes where %d is due", s, n, last[s])
		}
		last[s]++
	}
}

// testConcurrentReaders reads as fast as it can while others write: never a gap, never something that was not yet answered and then changes.
func testConcurrentReaders(t *testing.T, e *engine) {
	e.start(store.Quota{})
	q := inbox(1)
	const total = 600
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for s := range 8 {
		wg.Go(func() {
			for i := s; i < total; i += 8 {
				if _, err := e.Enqueue(ctx, []store.Message{message(q, i)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			for cursor := uint64(0); cursor < total && ctx.Err() == nil; {
				p, err := e.Read(ctx, q, cursor, 64, 1<<20)
				if err != nil {
					t.Error(err)
					return
				}
				for _, m := range p.Messages {
					if m.Seq != cursor+1 {
						t.Errorf("seq %d after %d", m.Seq, cursor)
						return
					}
					cursor = m.Seq
				}
				if cursor > p.Last {
					t.Errorf("read %d above last %d", cursor, p.Last)
				}
			}
		})
	}
	wg.Wait()
}

func testAcknowledge(t *testing.T, e *engine) {
	e.start(store.Quota{})
	q, g := inbox(1), store.QueueID{Owner: owner(1), Group: "g"}
	ctx := t.Context()
	for n := range 5 {
		e.put(q, n)
		e.put(g, n)
	}
	err := e.Acknowledge(ctx, []store.Cursor{{Queue: q, Seq: 3}, {Queue: g, Seq: 6}})
	if !errors.Is(err, store.ErrBeyondLast) {
		t.Fatalf("beyond last: %v", err)
	}
	e.expect(q, 1, 0, 1, 2, 3, 4)
	if err := e.Acknowledge(ctx, []store.Cursor{{Queue: inbox(2), Seq: 1}}); !errors.Is(err, store.ErrBeyondLast) {
		t.Fatalf("no such queue: %v", err)
	}
	e.ack(inbox(2), 0)
	if err := e.Acknowledge(ctx, []store.Cursor{{Queue: q, Seq: 3}, {Queue: g, Seq: 5}, {Queue: q, Seq: 1}}); err != nil {
		t.Fatal(err)
	}
	e.expect(q, 4, 3, 4)
	e.ack(q, 2)
	e.expect(q, 4, 3, 4)
	if p := e.read(q, 4); len(p.Messages) != 1 || p.Acknowledged != 3 || p.Last != 5 || p.More {
		t.Fatalf("%+v", p)
	}
	for _, after := range []uint64{5, 99, math.MaxUint64} {
		if p := e.read(q, after); len(p.Messages) != 0 || p.More || p.Acknowledged != 3 || p.Last != 5 {
			t.Fatalf("read after %d: %+v", after, p)
		}
	}
	e.expect(g, 6)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := e.Acknowledge(ctx, []store.Cursor{{Queue: q, Seq: 5}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s := e.Stats(); s.Acknowledged != 10 {
		t.Fatalf("%d acknowledged, want 10", s.Acknowledged)
	}
}

func testAcknowledgeMuch(t *testing.T, e *engine) {
	e.start(store.Quota{})
	const total = 10_000
	batch := make([]store.Message, total)
	for i := range batch {
		batch[i] = message(inbox(1), i)
	}
	if _, err := e.Enqueue(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	e.ack(inbox(1), total-1)
	e.expect(inbox(1), total, total-1)
	if q, _, err := e.Queues(t.Context(), inbox(1), 10); err != nil || len(q) != 1 || q[0].Messages != 1 || q[0].Bytes != 8 {
		t.Fatalf("%+v, %v", q, err)
	}
}

func testReadLimits(t *testing.T, e *engine) {
	e.start(store.Quota{})
	q := inbox(1)
	for n := range 10 {
		e.put(q, n)
	}
	for _, c := range []struct {
		after           uint64
		messages, bytes int
		want            int
		more            bool
	}{
		{0, 3, 1000, 3, true}, {0, 10, 1000, 10, false}, {0, 99, 80, 10, false}, {0, 99, 79, 9, true}, {0, 99, 1, 1, true},
		{9, 1, 1, 1, false}, {10, 1, 1, 0, false}, {4, 100, 16, 2, true},
	} {
		p, err := e.Read(t.Context(), q, c.after, c.messages, c.bytes)
		if err != nil || len(p.Messages) != c.want || p.More != c.more {
			t.Errorf("%+v: %d messages, more %v, %v", c, len(p.Messages), p.More, err)
		}
	}
}

func testLarge(t *testing.T, e *engine) {
	e.start(store.Quota{})
	q := inbox(1)
	payload := bytes.Repeat([]byte("0123456789abcdef"), store.MaxPayload/16)
	var batch []store.Message
	for i := range 12 {
		batch = append(batch, store.Message{Queue: q, ID: id(i), Payload: payload}, message(inbox(2), i))
	}
	r, err := e.Enqueue(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r {
		if r[i] != (store.Result{Status: store.Stored, Seq: uint64(i/2) + 1}) {
			t.Fatalf("%d: %+v", i, r[i])
		}
	}
	e.again()
	p := e.read(q, 0)
	if len(p.Messages) != 12 || !bytes.Equal(p.Messages[11].Payload, payload) {
		t.Fatalf("%d large messages came back", len(p.Messages))
	}
	p.Messages[0].Payload[0] ^= 1 // the reader's own
	if p := e.read(q, 0); !bytes.Equal(p.Messages[0].Payload, payload) {
		t.Fatal("a reader changed what is stored")
	}
}

func testBadArguments(t *testing.T, e *engine) {
	e.start(store.Quota{})
	ctx := t.Context()
	long := store.QueueID{Owner: owner(1), Group: strings.Repeat("g", store.MaxGroup+1)}
	ok := message(inbox(1), 1)
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"empty payload": {second(e.Enqueue(ctx, []store.Message{ok, {Queue: inbox(1)}})), store.ErrInvalid},
		"large payload": {second(e.Enqueue(ctx, []store.Message{ok, {Queue: inbox(1), Payload: make([]byte, store.MaxPayload+1)}})), store.ErrTooLarge},
		"long group":    {second(e.Enqueue(ctx, []store.Message{ok, {Queue: long, Payload: []byte{1}}})), store.ErrInvalid},
		"read group":    {second(e.Read(ctx, long, 0, 1, 1)), store.ErrInvalid},
		"read none":     {second(e.Read(ctx, inbox(1), 0, 0, 1)), store.ErrInvalid},
		"read nothing":  {second(e.Read(ctx, inbox(1), 0, 1, 0)), store.ErrInvalid},
		"ack group":     {e.Acknowledge(ctx, []store.Cursor{{Queue: long}}), store.ErrInvalid},
		"sweep":         {second(e.Sweep(ctx, 0)), store.ErrInvalid},
		"large package": {e.PutKeyPackages(ctx, owner(1), []store.KeyPackage{{NotAfter: e.clock(), Data: make([]byte, store.MaxKeyPackage+1)}}), store.ErrTooLarge},
		"empty package": {e.PutKeyPackages(ctx, owner(1), []store.KeyPackage{{NotAfter: e.clock()}}), store.ErrInvalid},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if _, _, err := e.Queues(ctx, inbox(1), 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("queues: %v", err)
	}
	e.expect(inbox(1), 1)
}

func second[T any](_ T, err error) error { return err }
