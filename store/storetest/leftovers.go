package storetest

import (
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

// testRemovedNeverReads removes a member that never reads anything again. When what it could read has expired, it holds up the log no more.
func testRemovedNeverReads(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 1)
	c := change("g", 1, 3, 0)
	c.Added = owners(2)
	e.commit(c)
	e.post("g", 1, 1)
	c = change("g", 1, 4, 2)
	c.Removed = owners(2)
	e.commit(c)
	e.pass(40 * 24 * time.Hour) // beyond the default
	e.sweep()
	last := e.commit(change("g", 1, 5, 3))
	e.ack(shared(1, "g"), last)
	e.sweep()
	if g := e.group("g"); g.First != last || g.Last != last {
		t.Fatalf("the log holds what is above %d up to %d, all of which everybody has read", g.First, g.Last)
	}
}

// testWelcomesToIdle welcomes somebody in two queues, of which one is long unused and the other is one too many: both Welcomes are there, or nothing is.
func testWelcomesToIdle(t *testing.T, e *engine) {
	e.start(store.Quota{Queues: 2})
	e.create("g", 1)
	idle, busy, third := store.QueueID{Owner: owner(2), Group: "idle"}, store.QueueID{Owner: owner(2), Group: "busy"}, store.QueueID{Owner: owner(2), Group: "third"}
	e.put(idle, 1)
	e.ack(idle, 1)
	e.pass(3 * 26 * time.Hour)
	e.put(busy, 2)
	c := change("g", 1, 3, 3)
	c.Added = owners(2)
	c.Welcomes = []store.Message{message(idle, 4), message(third, 5)}
	r, err := e.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	if r.Status == store.Stored {
		want = 1
	} else if g := e.group("g"); r.Status != store.QuotaExceeded || g.Epoch != 3 || g.Members != 1 {
		t.Fatalf("%+v, %+v", r, g)
	}
	for _, q := range []store.QueueID{idle, third} {
		if p := e.read(q, 0); len(p.Messages) != want {
			t.Errorf("%q holds %d messages after %+v", q.Group, len(p.Messages), r)
		}
	}
}

// testDropRace drops a group while somebody waits to take its id: what is posted to the new group is there.
func testDropRace(t *testing.T, e *engine) {
	e.start(store.Quota{})
	n := 0
	for range 200 {
		e.create("g", 1)
		n++
		e.post("g", 1, n)
		var wg sync.WaitGroup
		wg.Go(func() { e.drop(store.QueueID{Group: "g", Shared: true}) })
		for e.CreateGroup(t.Context(), store.NewGroup{ID: "g", Founder: owner(1), Epoch: 3}) != nil { // until it is gone
		}
		n++
		seq := e.post("g", 1, n)
		wg.Wait()
		e.expect(shared(1, "g"), seq, n)
		e.drop(store.QueueID{Group: "g", Shared: true})
	}
}
