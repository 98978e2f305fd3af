package storetest

import (
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

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
