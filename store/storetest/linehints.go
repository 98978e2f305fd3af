package storetest

import (
	"testing"
	"time"

	"quicnprotochat/store"
)

// testLineHints: who watches is told of what comes by a line.
func testLineHints(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 1)
	c := change("g", 1, 3, 1000)
	c.Added = owners(2)
	e.commit(c)
	w, err := e.Watch(owner(2))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	hears := func(what string, want store.QueueID) {
		t.Helper()
		for {
			select {
			case <-w.C():
			case <-time.After(time.Minute):
				t.Fatalf("%s: no hint", what)
			}
			queues, all := w.Take()
			if all || len(queues) > 1 || len(queues) == 1 && queues[0] != want {
				t.Fatalf("%s: hints for %v, all %v", what, queues, all)
			}
			if len(queues) == 1 {
				return
			}
		}
	}
	l := e.NewLine()
	for n := range 3 {
		if _, err := handEnqueue(t, l, message(inbox(1), n), message(inbox(2), n), message(inbox(2), 10+n)).wait(); err != nil {
			t.Fatal(err)
		}
		hears("a message", inbox(2))
		if _, err := handAppend(t, l, post("g", 1, n)).wait(); err != nil {
			t.Fatal(err)
		}
		hears("a post", shared(2, "g"))
	}
}
