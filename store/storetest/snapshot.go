package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quicnprotochat/store"
)

// copies skips a test of an engine that keeps nothing.
func (e *engine) copies() {
	e.Helper()
	if e.copyOf != nil {
		return
	}
	if err := e.Snapshot(e.Context(), "copy"); err == nil {
		e.Fatal("a snapshot of nothing")
	}
	e.Skip("no snapshot: the engine keeps nothing on disk")
}

// copied makes a snapshot, and opens it for f.
func (e *engine) copied(f func(c *engine)) {
	e.Helper()
	dir := e.newDir()
	if err := e.Snapshot(e.Context(), dir); err != nil {
		e.Fatalf("snapshot: %v", err)
	}
	if err := e.Snapshot(e.Context(), dir); !errors.Is(err, store.ErrExists) {
		e.Fatalf("a snapshot to where one is: %v", err)
	}
	c := &engine{T: e.T, now: e.clock(), opened: opened{Engine: e.copyOf(dir)}}
	f(c)
	if err := c.Engine.Close(); err != nil {
		e.Fatalf("close of the copy: %v", err)
	}
}

// testSnapshot copies a store that holds some of everything. The copy has it all, and goes on by itself.
func testSnapshot(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.copies()
	e.create("g", 1)
	c := change("g", 1, 3, 0)
	c.Added, c.Welcomes = owners(2), []store.Message{message(inbox(2), 5)}
	e.commit(c)
	e.post("g", 2, 1)
	for n := range 4 {
		e.put(inbox(1), n)
	}
	e.ack(inbox(1), 2)
	e.set("k", "value", 0)
	blob := content(store.ChunkSize+9, 1)
	e.putBlob(blob, 1)
	packages := []store.KeyPackage{e.keyPackage(1, time.Hour), e.keyPackage(2, time.Hour)}
	if err := e.PutKeyPackages(t.Context(), owner(1), packages); err != nil {
		t.Fatal(err)
	}
	if k, err := e.TakeKeyPackage(t.Context(), owner(1)); err != nil || k.Fingerprint != packages[0].Fingerprint {
		t.Fatalf("%v, %v", k, err)
	}
	before := e.picture("g", 1, 2)
	e.copied(func(c *engine) {
		if got := c.picture("g", 1, 2); got != before {
			t.Fatalf("the copy has\n%s, want\n%s", got, before)
		}
		c.hasBlob(blob)
		if r := c.record("k"); string(r.Value) != "value" {
			t.Fatalf("%+v", r)
		}
		if k, err := c.TakeKeyPackage(t.Context(), owner(1)); err != nil || k.Fingerprint != packages[1].Fingerprint {
			t.Fatalf("%v, %v", k, err)
		}
		if r := c.enqueue(message(inbox(1), 1)); r != (store.Result{Status: store.Duplicate, Seq: 2}) {
			t.Fatalf("an acknowledged message that comes again: %+v", r)
		}
		if seq := c.put(inbox(1), 70); seq != 5 {
			t.Fatalf("number %d after 4", seq)
		}
		c.commit(change("g", 2, 4, 71))
	})
	if got := e.picture("g", 1, 2); got != before {
		t.Fatalf("what the copy did changed\n%s to\n%s", before, got)
	}
	if seq := e.put(inbox(1), 80); seq != 5 {
		t.Fatalf("number %d after 4", seq)
	}
}

// testSnapshotBusy copies while writers go on: what was answered before the call is in the copy, without a gap.
func testSnapshotBusy(t *testing.T, e *engine) {
	const writers = 8
	e.start(store.Quota{})
	e.copies()
	e.create("g", 0)
	var stop atomic.Bool
	var done [writers]atomic.Int64
	var wg sync.WaitGroup
	ready := make(chan struct{}, writers)
	for w := range writers {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				r, err := e.Enqueue(context.Background(), []store.Message{message(inbox(100+w), n)})
				if err != nil || r[0].Status != store.Stored {
					t.Errorf("%v, %v", r, err)
					return
				}
				if done[w].Store(int64(n) + 1); n == 20 {
					ready <- struct{}{}
				}
				if w == 0 {
					if r, err := e.Append(context.Background(), []store.Post{post("g", 0, n)}); err != nil || r[0].Status != store.Stored {
						t.Errorf("%v, %v", r, err)
						return
					}
				}
			}
		})
	}
	for range writers {
		select {
		case <-ready:
		case <-time.After(time.Minute):
			t.Fatal("the writers do not get on")
		}
	}
	var sure [writers]int
	for w := range sure {
		sure[w] = int(done[w].Load())
	}
	e.copied(func(c *engine) {
		stop.Store(true)
		wg.Wait()
		for w := range sure {
			p := c.read(inbox(100+w), 0)
			if len(p.Messages) < sure[w] || int64(len(p.Messages)) > done[w].Load() {
				t.Fatalf("%d messages in the copy, %d were sure", len(p.Messages), sure[w])
			}
			for i, m := range p.Messages {
				if number(m) != i || m.Seq != uint64(i)+1 {
					t.Fatalf("number %d at %d", number(m), m.Seq)
				}
			}
		}
		if p := c.read(shared(0, "g"), 0); len(p.Messages) < sure[0]-1 {
			t.Fatalf("%d posts in the copy, %d were sure", len(p.Messages), sure[0]-1)
		}
	})
	if p := e.read(inbox(100), 0); int64(len(p.Messages)) != done[0].Load() {
		t.Fatalf("%d messages in the store that was copied, want %d", len(p.Messages), done[0].Load())
	}
}
