package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
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

func testDuplicates(t *testing.T, e *engine) {
	e.start(store.Quota{})
	q, other := inbox(1), store.QueueID{Owner: owner(1), Group: "g"}
	check := func(when string) {
		t.Helper()
		for n := range 3 {
			if r := e.enqueue(message(q, n)); r != (store.Result{Status: store.Duplicate, Seq: uint64(n) + 1}) {
				t.Fatalf("%s: message %d again: %+v", when, n, r)
			}
		}
	}
	for n := range 3 {
		e.put(q, n)
	}
	check("queued")
	if seq := e.put(other, 1); seq != 1 {
		t.Fatalf("same id in another queue: seq %d", seq)
	}
	e.ack(q, 2)
	check("partly acknowledged")
	e.ack(q, 3)
	check("acknowledged")
	r, err := e.Enqueue(t.Context(), []store.Message{message(q, 9), message(q, 9)})
	if err != nil || r[0] != (store.Result{Status: store.Stored, Seq: 4}) || r[1] != (store.Result{Status: store.Duplicate, Seq: 4}) {
		t.Fatalf("twice in one call: %v, %v", r, err)
	}
	if e.again() {
		check("after a restart")
		e.expect(q, 4, 9)
	}
}

func testDuplicatesInFlight(t *testing.T, e *engine) {
	e.start(store.Quota{})
	q := inbox(1)
	for n := range 30 {
		var wg sync.WaitGroup
		results := make([]store.Result, 8)
		for i := range results {
			wg.Go(func() {
				r, err := e.Enqueue(t.Context(), []store.Message{message(q, n)})
				if err != nil {
					t.Error(err)
					return
				}
				results[i] = r[0]
				if p, err := e.Read(t.Context(), q, r[0].Seq-1, 1, 100); err != nil || len(p.Messages) != 1 || number(p.Messages[0]) != n {
					t.Errorf("answered %+v, but it cannot be read: %+v, %v", r[0], p, err)
				}
			})
		}
		wg.Wait()
		stored := 0
		for _, r := range results {
			if r.Status == store.Stored {
				stored++
			}
			if r.Seq != uint64(n)+1 {
				t.Fatalf("round %d: %+v", n, results)
			}
		}
		if stored != 1 {
			t.Fatalf("round %d: stored %d times", n, stored)
		}
	}
}

// testDuplicatesInTime: ids are recognised for a day after storing and after acknowledgement, through sweeps.
func testDuplicatesInTime(t *testing.T, e *engine) {
	e.start(store.Quota{})
	q := inbox(1)
	sweep := func() {
		t.Helper()
		for {
			r, err := e.Sweep(t.Context(), 100)
			if err != nil {
				t.Fatal(err)
			}
			if !r.More {
				return
			}
		}
	}
	e.put(q, 0) // stays queued for 20 hours
	e.put(q, 1)
	e.ack(q, 1)
	for range 20 {
		e.pass(time.Hour)
		sweep()
		e.put(q, int(e.clock().Unix())) // keeps every bucket busy
	}
	for n := range 2 {
		if r := e.enqueue(message(q, n)); r != (store.Result{Status: store.Duplicate, Seq: uint64(n) + 1}) {
			t.Fatalf("message %d after 20 hours: %+v", n, r)
		}
	}
	e.ack(q, 22)
	for range 23 {
		e.pass(time.Hour)
		sweep()
	}
	if r := e.enqueue(message(q, 1)); r != (store.Result{Status: store.Duplicate, Seq: 2}) {
		t.Fatalf("23 hours after its acknowledgement: %+v", r)
	}
	e.pass(60 * time.Hour)
	sweep()
	if r := e.enqueue(message(q, 1)); r.Status != store.Stored || r.Seq != 23 {
		t.Fatalf("long after: %+v, want stored at 23", r)
	}
}

func testRestart(t *testing.T, e *engine) {
	e.start(store.Quota{})
	q, g := inbox(1), store.QueueID{Owner: owner(1), Group: "g"}
	for n := range 5 {
		e.put(q, n)
		e.put(g, n)
	}
	e.ack(q, 5)
	e.ack(g, 2)
	if !e.again() {
		return
	}
	e.expect(g, 3, 2, 3, 4)
	e.expect(q, 6)
	if seq := e.put(q, 5); seq != 6 {
		t.Fatalf("seq %d after drain and restart, want 6", seq)
	}
	e.ack(q, 6)
	e.again()
	if seq := e.put(q, 6); seq != 7 {
		t.Fatalf("seq %d after another, want 7", seq)
	}
	e.expect(q, 7, 6)
	e.again()
	e.expect(q, 7, 6)
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
	if q, _, err := e.Queues(t.Context(), owner(1), "", 10); err != nil || len(q) != 1 || q[0].Messages != 1 || q[0].Bytes != 8 {
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
	if _, _, err := e.Queues(ctx, owner(1), "", 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("queues: %v", err)
	}
	e.expect(inbox(1), 1)
}

func second[T any](_ T, err error) error { return err }

func testQuota(t *testing.T, e *engine) {
	e.start(store.Quota{Messages: 3, Bytes: 100})
	q, b := inbox(1), inbox(2)
	for n := range 3 {
		e.put(q, n)
	}
	if r := e.enqueue(message(q, 3)); r != (store.Result{Status: store.QuotaExceeded}) {
		t.Fatalf("fourth: %+v", r)
	}
	if r := e.enqueue(message(q, 1)); r.Status != store.Duplicate {
		t.Fatalf("a duplicate in a full queue: %+v", r)
	}
	e.ack(q, 1)
	if seq := e.put(q, 3); seq != 4 {
		t.Fatalf("seq %d, want 4", seq)
	}
	big := func(n, size int) store.Status {
		return e.enqueue(store.Message{Queue: b, ID: id(n), Payload: make([]byte, size)}).Status
	}
	if big(0, 60) != store.Stored || big(1, 41) != store.QuotaExceeded || big(2, 40) != store.Stored || big(3, 1) != store.QuotaExceeded {
		t.Fatal("quota of bytes")
	}
	e.again()
	if big(3, 1) != store.QuotaExceeded {
		t.Fatal("quota of bytes after a restart")
	}
	e.ack(b, 1)
	if big(3, 60) != store.Stored || big(4, 1) != store.QuotaExceeded {
		t.Fatal("quota of bytes after an acknowledgement")
	}
}

func testQuotaRace(t *testing.T, e *engine) {
	const limit = 50
	e.start(store.Quota{Messages: limit})
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[store.Status]int{}
	for n := range 3 * limit {
		wg.Go(func() {
			r, err := e.Enqueue(t.Context(), []store.Message{message(inbox(1), n)})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			count[r[0].Status]++
		})
	}
	wg.Wait()
	if count[store.Stored] != limit || count[store.QuotaExceeded] != 2*limit || len(e.read(inbox(1), 0).Messages) != limit {
		t.Fatalf("%v", count)
	}
}

func testQueueQuota(t *testing.T, e *engine) {
	e.start(store.Quota{Queues: 4})
	q := func(n int) store.QueueID { return store.QueueID{Owner: owner(1), Group: fmt.Sprintf("g%d", n)} }
	for n := range 4 {
		e.put(q(n), 0)
		e.put(q(n), 1)
	}
	if r := e.enqueue(message(q(4), 0)); r.Status != store.QuotaExceeded {
		t.Fatalf("fifth queue: %+v", r)
	}
	if r := e.enqueue(message(inbox(2), 0)); r.Status != store.Stored {
		t.Fatalf("another owner: %+v", r)
	}
	e.put(q(0), 2)
	e.ack(q(0), 3)
	e.pass(80 * time.Hour) // queue 0 is empty and long unused: it makes room
	e.put(q(1), 5)
	if seq := e.put(q(4), 0); seq <= 3 {
		t.Fatalf("seq %d in the queue that took the place", seq)
	}
	if r := e.enqueue(message(q(0), 9)); r.Status != store.QuotaExceeded {
		t.Fatalf("the forgotten queue, with none to forget: %+v", r)
	}
	e.ack(q(4), e.read(q(4), 0).Last)
	e.pass(80 * time.Hour)
	e.again()
	if seq := e.put(q(0), 9); seq <= 3 {
		t.Fatalf("seq %d was used before", seq)
	}
}

func testQueues(t *testing.T, e *engine) {
	e.start(store.Quota{})
	groups := []string{"", "\x00", "a", "aa", "b", strings.Repeat("\xff", store.MaxGroup)}
	for _, i := range []int{3, 0, 5, 1, 4, 2} {
		e.put(store.QueueID{Owner: owner(1), Group: groups[i]}, i)
		e.put(store.QueueID{Owner: owner(1), Group: groups[i]}, 100+i)
	}
	e.put(inbox(0), 1)
	e.put(inbox(2), 1)
	e.ack(store.QueueID{Owner: owner(1), Group: "aa"}, 2)
	e.ack(store.QueueID{Owner: owner(1), Group: "b"}, 1)
	list := func(from string, max int) (names []string, more bool) {
		t.Helper()
		queues, more, err := e.Queues(t.Context(), owner(1), from, max)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queues {
			names = append(names, q.Group)
			if q.Group == "b" && q != (store.QueueStatus{Group: "b", Acknowledged: 1, Last: 2, Messages: 1, Bytes: 8}) {
				t.Fatalf("%+v", q)
			}
		}
		return names, more
	}
	want := []string{"", "\x00", "a", "b", groups[5]}
	for from := range want {
		for n := 1; n < 7; n++ {
			end := min(from+n, len(want))
			names, more := list(want[from], n)
			if !slices.Equal(names, want[from:end]) || more != (end < len(want)) {
				t.Fatalf("from %q, %d: %q, %v", want[from], n, names, more)
			}
		}
	}
	if names, more := list(groups[5]+"\x00", 5); len(names) != 0 || more {
		t.Fatalf("past the end: %q", names)
	}
}

func testManyQueues(t *testing.T, e *engine) {
	e.start(store.Quota{})
	const total = 20_000
	batch := make([]store.Message, total)
	for i := range batch {
		batch[i] = message(inbox(i), i)
	}
	r, err := e.Enqueue(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r {
		if r[i] != (store.Result{Status: store.Stored, Seq: 1}) {
			t.Fatalf("queue %d: %+v", i, r[i])
		}
	}
	e.again()
	for i := 0; i < total; i += 97 {
		e.expect(inbox(i), 1, i)
		if seq := e.put(inbox(i), total+i); seq != 2 {
			t.Fatalf("queue %d: seq %d", i, seq)
		}
	}
}

// testGroupsApart uses group ids that are prefixes of each other and look like the numbers that a layout may put behind them.
func testGroupsApart(t *testing.T, e *engine) {
	e.start(store.Quota{})
	groups := []string{"", "a", "a\x00", "a\x00\x00\x00\x00\x00\x00\x00\x01", "a\xff", "\x00\x00\x00\x00\x00\x00\x00\x01", "\xff\xff"}
	for round := range 3 {
		for i, g := range groups {
			e.put(store.QueueID{Owner: owner(1), Group: g}, 10*i+round)
		}
	}
	e.ack(store.QueueID{Owner: owner(1), Group: "a"}, 3)
	for i, g := range groups {
		q := store.QueueID{Owner: owner(1), Group: g}
		if g == "a" {
			e.expect(q, 4)
		} else {
			e.expect(q, 1, 10*i, 10*i+1, 10*i+2)
		}
	}
}
