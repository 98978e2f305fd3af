package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

// testHints reads only when told, with writers at full speed: whoever subscribes first and then reads misses nothing.
func testHints(t *testing.T, e *engine) {
	e.start(store.Quota{})
	const owners, each = 4, 150
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for o := range owners {
		w, err := e.Watch(owner(o))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer w.Close()
			for cursor := uint64(0); cursor < each; {
				p, err := e.Read(ctx, inbox(o), cursor, 16, 1<<20)
				if err != nil {
					t.Error(err)
					return
				}
				cursor += uint64(len(p.Messages))
				if p.More || cursor == each {
					continue
				}
				select {
				case <-w.C():
					if queues, all := w.Take(); !all && (len(queues) > 1 || len(queues) == 1 && queues[0].Group != "") {
						t.Errorf("hints for %v", queues)
					}
				case <-ctx.Done():
					t.Errorf("owner %d: no hint after %d messages", o, cursor)
					return
				}
			}
		})
		wg.Go(func() {
			for n := range each {
				if _, err := e.Enqueue(ctx, []store.Message{message(inbox(o), n)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()

	w, err := e.Watch(owner(1))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	e.ack(inbox(1), 10)
	select {
	case <-w.C():
		if queues, _ := w.Take(); len(queues) != 1 || queues[0].Group != "" {
			t.Fatalf("hint of an acknowledgement: %v", queues)
		}
	case <-ctx.Done():
		t.Fatal("no hint of an acknowledgement")
	}
	if n := e.Stats().Watchers; n != 1 {
		t.Fatalf("%d watchers, want 1", n)
	}
}

func testHintsOverflow(t *testing.T, e *engine) {
	e.start(store.Quota{})
	w, err := e.Watch(owner(1))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for n := range 600 {
		e.put(store.QueueID{Owner: owner(1), Group: fmt.Sprint(n)}, n)
	}
	<-w.C()
	if queues, all := w.Take(); !all {
		t.Fatalf("%d groups remembered, and not said that there were more", len(queues))
	}
	if queues, all := w.Take(); all || len(queues) != 0 {
		t.Fatal("hints twice")
	}
}

// testHintsCall: with a function to call, news calls it once until it is taken, and also what came before there was one.
func testHintsCall(t *testing.T, e *engine) {
	e.start(store.Quota{})
	w, err := e.Watch(owner(1))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	calls := make(chan struct{}, 10)
	want := func(what string, groups int) {
		t.Helper()
		<-calls
		if queues, all := w.Take(); len(queues) != groups || all {
			t.Fatalf("%s: %v, %v", what, queues, all)
		}
		if len(calls) > 0 {
			t.Fatalf("%s: called twice", what)
		}
	}
	e.put(inbox(1), 1)
	w.Call(func() { calls <- struct{}{} })
	want("before there was a function", 1)
	e.put(inbox(1), 2)
	e.put(store.QueueID{Owner: owner(1), Group: "g"}, 1)
	e.put(inbox(2), 1)
	want("two queues", 2)
	e.put(inbox(1), 3)
	want("after that", 1)
}

func testClose(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.put(inbox(1), 1)
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if r, err := e.Enqueue(t.Context(), []store.Message{message(inbox(2), n)}); err == nil && r[0].Status != store.Stored || err != nil && !errors.Is(err, store.ErrClosed) {
				t.Errorf("while closing: %v, %v", r, err)
			}
		})
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	ctx := t.Context()
	for name, err := range map[string]error{
		"enqueue": second(e.Enqueue(ctx, []store.Message{message(inbox(1), 2)})),
		"read":    second(e.Read(ctx, inbox(1), 0, 1, 1)),
		"ack":     e.Acknowledge(ctx, []store.Cursor{{Queue: inbox(1), Seq: 1}}),
		"put":     e.PutKeyPackages(ctx, owner(1), []store.KeyPackage{e.keyPackage(1, time.Hour)}),
		"take":    second(e.TakeKeyPackage(ctx, owner(1))),
		"count":   second(e.CountKeyPackages(ctx, owner(1))),
		"sweep":   second(e.Sweep(ctx, 1)),
		"watch":   second(e.Watch(owner(1))),
		"close":   e.Close(),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = e.Stats()
}

func testContext(t *testing.T, e *engine) {
	e.start(store.Quota{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Enqueue(ctx, []store.Message{message(inbox(1), 1)}); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("enqueue: %v", err)
	}
	e.put(inbox(1), 2)
	e.put(inbox(1), 2+1)
	if p := e.read(inbox(1), 0); number(p.Messages[len(p.Messages)-1]) != 3 {
		t.Fatalf("%+v", p)
	}
}
