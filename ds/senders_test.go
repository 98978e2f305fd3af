package ds

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// statusesOf enqueues messages n to m for somebody, one call each, and returns the statuses.
func (k *caller) statusesOf(t *testing.T, to byte, n, m int) (out string) {
	t.Helper()
	for ; n <= m; n++ {
		results, err := k.submit(submission{id: id16(n), payload: []byte("x"), to: [][]byte{key(to)}})
		if err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprint(uint8(results[0][0].Status))
	}
	return out
}

// TestSenderPart: one sender fills no more than its part of an inbox, others still have theirs, and it gets its own again when the owner has read.
func TestSenderPart(t *testing.T) {
	f := start(Limits{SenderMessages: 5})
	defer f.Close()
	alice, bob, carol := f.caller(t, 1), f.caller(t, 2), f.caller(t, 3)
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Fatalf("statuses %s, want %s", got, want)
		}
	}
	check(bob.statusesOf(t, 1, 1, 3), "111")
	check(bob.statusesOf(t, 1, 1, 3), "222")   // duplicates do not count
	check(bob.statusesOf(t, 1, 4, 8), "11111") // there is little in the inbox: five of his were taken for read
	check(bob.statusesOf(t, 1, 9, 12), "1133")
	check(carol.statusesOf(t, 1, 101, 106), "111113")
	check(bob.statusesOf(t, 3, 201, 203), "111") // another's inbox
	check(alice.statusesOf(t, 1, 301, 312), "111111111111")
	_, last := f.cursor(t, store.QueueID{Owner: alice.c.peer})
	alice.want(alice.acknowledge(store.Cursor{Seq: last}), nil)
	check(bob.statusesOf(t, 1, 13, 15), "111")
}

// TestSenderPartOfGroup: the same in a group's order.
func TestSenderPartOfGroup(t *testing.T) {
	f := start(Limits{SenderMessages: 3})
	defer f.Close()
	alice, bob := f.caller(t, 1), f.caller(t, 2)
	const g = testGroup
	alice.want(alice.create(g, 0, nil), nil)
	alice.mustCommit(change{group: g, id: 1, added: []byte{2}}, 1)
	stored := 0
	for n := range byte(20) {
		status, _, _, err := bob.post(g, 50+n, mlsHeader(privateMessage, g, 1, application))
		if err != nil {
			t.Fatal(err)
		}
		if status == schemas.EnqueueStatus_stored {
			stored++
		} else if status != schemas.EnqueueStatus_quotaExceeded {
			t.Fatal(status)
		}
	}
	if stored > 7 {
		t.Fatalf("%d posts of one member are stored, its part is 3", stored)
	}
	if status, _, _, err := alice.post(g, 90, mlsHeader(privateMessage, g, 1, application)); err != nil || status != schemas.EnqueueStatus_stored {
		t.Fatalf("another member's post: %v, %v", status, err)
	}
}

// TestSendersForget: what is counted is bounded.
func TestSendersForget(t *testing.T) {
	s := newSenders(1, 10)
	for n := range 3 * maxSendings {
		k := sending{queue: store.QueueID{Group: fmt.Sprint(n)}}
		if ok, err := s.take(k, 5, nil); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if len(s.count) > maxSendings {
		t.Fatalf("%d are counted", len(s.count))
	}
}

// unreadable is a store whose queues cannot be read.
type unreadable struct{ store.Store }

func (unreadable) Read(context.Context, store.QueueID, uint64, int, int) (store.Page, error) {
	return store.Page{}, store.ErrFailed
}

// TestAdmitFails: a batch that comes to nothing, since the store does not say how much a queue holds, counts nothing.
func TestAdmitFails(t *testing.T) {
	f := start(Limits{SenderMessages: 3})
	defer f.Close()
	f.Service.store = unreadable{f.store}
	from, to := store.Identity{1}, func(n byte) store.Message {
		return store.Message{Queue: store.QueueID{Owner: store.Identity{n}}, Payload: []byte("x")}
	}
	batch := []store.Message{to(2), to(3), to(1), to(3), to(3), to(3)} // one is the sender's own, one too many for 3
	for range 5 {
		if _, err := admit(t.Context(), f.Service, batch, f.sendingOf(from)); !errors.Is(err, store.ErrFailed) {
			t.Fatal(err)
		}
	}
	if a, err := admit(t.Context(), f.Service, batch[:5], f.sendingOf(from)); err != nil || len(a.refused) != 0 {
		t.Errorf("%v, %v refused", err, a.refused)
	}
}

// TestEpochOfNoGroup: that a group is gone does not make a frame fail of which posts were stored.
func TestEpochOfNoGroup(t *testing.T) {
	f := start(Limits{})
	defer f.Close()
	if e, err := f.epochOf(t.Context(), testGroup, store.Result{Status: store.WrongEpoch}); e != 0 || err != nil {
		t.Errorf("%d, %v", e, err)
	}
}
