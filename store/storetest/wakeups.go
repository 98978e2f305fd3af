package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

// testWakeUps has a reader look only into the queues that it is told of, with many writers to inbox, group queues and logs at once. It must end with
// everything, though nobody tells it anything a second time.
func testWakeUps(t *testing.T, e *engine) {
	const writers, each = 24, 80
	e.start(store.Quota{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w, err := e.Watch(owner(1))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	queues := []store.QueueID{inbox(1)}
	for n := range 3 {
		name := fmt.Sprint("g", n)
		e.create(name, 0)
		c := change(name, 0, 3, 1_000_000)
		c.Added = owners(1)
		e.commit(c)
		queues = append(queues, store.QueueID{Owner: owner(1), Group: name}, shared(1, name))
	}
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			q := queues[n%len(queues)]
			for i := range each {
				if err := e.send(ctx, q, n*each+i); err != nil {
					t.Errorf("writer %d: %v", n, err)
					return
				}
			}
		})
	}
	cursors, got := map[store.QueueID]uint64{}, map[int]bool{}
	for len(got) < writers*each {
		select {
		case <-w.C():
		case <-ctx.Done():
			t.Errorf("%d of %d messages, and nothing more is heard", len(got), writers*each)
			cancel()
			wg.Wait()
			return
		}
		news, all := w.Take()
		if all {
			news = queues
		}
		for _, q := range news {
			for _, m := range e.news(q, cursors) {
				got[number(m)] = true
			}
		}
	}
	wg.Wait()
}

// send stores number n in a queue or, as owner 0, in a log.
func (e *engine) send(ctx context.Context, q store.QueueID, n int) error {
	var r []store.Result
	var err error
	if q.Shared {
		r, err = e.Append(ctx, []store.Post{post(q.Group, 0, n)})
	} else {
		r, err = e.Enqueue(ctx, []store.Message{message(q, n)})
	}
	if err == nil && r[0].Status != store.Stored {
		err = fmt.Errorf("message %d: %+v", n, r[0])
	}
	return err
}

// news are the messages above the cursor of a queue, page by page, which it moves.
func (e *engine) news(q store.QueueID, cursors map[store.QueueID]uint64) (messages []store.Delivery) {
	e.Helper()
	for {
		p, err := e.Read(e.Context(), q, cursors[q], 5, 1<<20)
		if err != nil {
			e.Fatal(err)
		}
		for _, m := range p.Messages {
			cursors[q] = m.Seq
		}
		messages = append(messages, p.Messages...)
		if !p.More {
			return messages
		}
	}
}
