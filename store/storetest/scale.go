package storetest

import (
	"os"
	"testing"
	"time"

	"quicnprotochat/store"
)

// Full says that QUICNPROTOCHAT_CONFORMANCE=full asks for everything at its full size.
func Full() bool { return os.Getenv("QUICNPROTOCHAT_CONFORMANCE") == "full" }

// testEmptyHead reads a queue that is empty after many messages came and went: what is gone must not cost the reader anything.
func testEmptyHead(t *testing.T, e *engine) {
	cycles, batch := 20_000, 500
	if Full() {
		cycles = 1_000_000
	}
	e.start(store.Quota{})
	q := inbox(1)
	messages := make([]store.Message, batch)
	for n := 0; n < cycles; n += batch {
		for i := range messages {
			messages[i] = message(q, n+i)
		}
		r, err := e.Enqueue(t.Context(), messages)
		if err != nil || r[batch-1] != (store.Result{Status: store.Stored, Seq: uint64(n + batch)}) {
			t.Fatalf("%v, %v", r, err)
		}
		e.ack(q, uint64(n+batch))
	}
	for range 2 {
		best := time.Hour
		for range 100 {
			start := time.Now()
			p := e.read(q, 0)
			best = min(best, time.Since(start))
			if len(p.Messages) != 0 || p.More || p.Last != uint64(cycles) || p.Acknowledged != p.Last {
				t.Fatalf("%+v", p)
			}
		}
		t.Logf("best of 100 reads after %d messages: %v", cycles, best)
		if Full() && best > 100*time.Microsecond {
			t.Fatalf("the best read of an empty queue takes %v", best)
		}
		e.again()
	}
	if seq := e.put(q, cycles); seq != uint64(cycles)+1 {
		t.Fatalf("number %d", seq)
	}
	e.expect(q, uint64(cycles)+1, cycles)
}

func testManyQueues(t *testing.T, e *engine) {
	total, batch := 20_000, 10_000
	if Full() {
		total = 1_000_000
	}
	e.start(store.Quota{})
	messages := make([]store.Message, batch)
	for n := 0; n < total; n += batch {
		for i := range messages {
			messages[i] = message(inbox(n+i), n+i)
		}
		r, err := e.Enqueue(t.Context(), messages)
		if err != nil {
			t.Fatal(err)
		}
		for i := range r {
			if r[i] != (store.Result{Status: store.Stored, Seq: 1}) {
				t.Fatalf("queue %d: %+v", n+i, r[i])
			}
		}
	}
	e.again()
	for i := 0; i < total; i += total / 200 {
		e.expect(inbox(i), 1, i)
		if seq := e.put(inbox(i), total+i); seq != 2 {
			t.Fatalf("queue %d: seq %d", i, seq)
		}
		e.ack(inbox(i), 2)
		e.expect(inbox(i), 3)
	}
}
