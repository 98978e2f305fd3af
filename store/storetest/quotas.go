package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

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
		queues, more, err := e.Queues(t.Context(), store.QueueID{Owner: owner(1), Group: from}, max)
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
