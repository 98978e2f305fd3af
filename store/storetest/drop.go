package storetest

import (
	"errors"
	"testing"
	"time"

	"quicnprotochat/store"
)

func (e *engine) drop(q store.QueueID) {
	e.Helper()
	if err := e.Drop(e.Context(), q); err != nil {
		e.Fatalf("drop: %v", err)
	}
}

// testDropQueue drops one of three queues of a name.
func testDropQueue(t *testing.T, e *engine) {
	e.start(store.Quota{Messages: 5})
	e.create("g", 1)
	q := store.QueueID{Owner: owner(1), Group: "g"}
	for n := range 5 {
		e.put(q, n)
		e.put(store.QueueID{Owner: owner(2), Group: "g"}, n)
		e.post("g", 1, n)
	}
	e.drop(inbox(9)) // there is none
	e.drop(q)
	check := func() {
		t.Helper()
		e.expect(q, 1)
		e.expect(store.QueueID{Owner: owner(2), Group: "g"}, 1, 0, 1, 2, 3, 4)
		e.expect(shared(1, "g"), 1, 0, 1, 2, 3, 4)
		if r := e.enqueue(message(q, 2)); r != (store.Result{Status: store.Duplicate, Seq: 3}) {
			t.Fatalf("a message that was dropped comes again: %+v", r)
		}
	}
	check()
	e.again()
	check()
	if seq := e.put(q, 10); seq != 6 {
		t.Fatalf("number %d after 5", seq)
	}
	e.drop(q)
	e.again()
	e.expect(q, 1)
}

// testDropGroup drops a group, and makes another of the same id: numbers and ids of the two never mix.
func testDropGroup(t *testing.T, e *engine) {
	e.start(store.Quota{Groups: 1})
	ctx := t.Context()
	if err := e.Drop(ctx, shared(1, "g")); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("no group: %v", err)
	}
	if err := e.Drop(ctx, shared(1, "")); !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("no id: %v", err)
	}
	e.create("g", 1)
	c := change("g", 1, 3, 10)
	c.Added = owners(2, 3)
	e.commit(c)
	c = change("g", 1, 4, 11)
	c.Removed = owners(3)
	e.commit(c)
	e.post("g", 2, 12)
	e.put(store.QueueID{Owner: owner(2), Group: "g"}, 1)
	e.drop(shared(77, "g"))
	check := func() {
		t.Helper()
		if _, err := e.Group(ctx, "g"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("a dropped group: %v", err)
		}
		if _, _, err := e.Members(ctx, "g", owner(0), 10); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("members of a dropped group: %v", err)
		}
		if r := e.postAs(post("g", 1, 20)); r != (store.Result{Status: store.NoGroup}) {
			t.Fatalf("a post: %+v", r)
		}
		if _, err := e.Commit(ctx, change("g", 1, 5, 21)); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("a commit: %v", err)
		}
		for n := 1; n <= 3; n++ {
			e.expect(shared(n, "g"), 1)
			queues, _, err := e.Queues(ctx, inbox(n), 10)
			if err != nil || len(queues) > 0 && queues[0].Shared {
				t.Fatalf("queues of %d: %+v, %v", n, queues, err)
			}
		}
		e.expect(store.QueueID{Owner: owner(2), Group: "g"}, 1, 1)
		if err := e.Drop(ctx, shared(1, "g")); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("dropped again: %v", err)
		}
	}
	check()
	e.again()
	check()
	e.create("g", 2)
	if r := e.postAs(post("g", 2, 12)); r != (store.Result{Status: store.Duplicate, Seq: 3}) {
		t.Fatalf("a message of the group that was: %+v", r)
	}
	if seq := e.post("g", 2, 30); seq != 4 {
		t.Fatalf("number %d after 3", seq)
	}
	e.expect(shared(2, "g"), 4, 30)
	e.expect(shared(1, "g"), 1)
	if g := e.group("g"); g.Members != 1 || g.Epoch != 3 || g.Founder != owner(2) {
		t.Fatalf("%+v", g)
	}
	e.create("other", 1) // its first member has room for one again
	e.pass(100 * 24 * time.Hour)
	e.sweep()
	e.drop(shared(2, "g"))
	e.sweep()
	e.again()
	e.create("g", 3)
	if seq := e.post("g", 3, 40); seq <= 4 {
		t.Fatalf("number %d after 4", seq)
	}
}
