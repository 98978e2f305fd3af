package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"quicnprotochat/store"
)

func shared(n int, group string) store.QueueID {
	return store.QueueID{Owner: owner(n), Group: group, Shared: true}
}

func (e *engine) create(group string, founder int) {
	e.Helper()
	g := store.NewGroup{ID: group, Founder: owner(founder), Epoch: 3, Info: []byte("info of 3")}
	if err := e.CreateGroup(context.Background(), g); err != nil {
		e.Fatalf("create %q: %v", group, err)
	}
}

func post(group string, sender, n int) store.Post {
	m := message(store.QueueID{}, n)
	return store.Post{Group: group, Sender: owner(sender), ID: m.ID, Payload: m.Payload}
}

func (e *engine) postAs(p store.Post) store.Result {
	e.Helper()
	r, err := e.Append(context.Background(), []store.Post{p})
	if err != nil || len(r) != 1 {
		e.Fatalf("append: %v, %v", r, err)
	}
	return r[0]
}

// post appends number n to a group's log and expects it to be stored.
func (e *engine) post(group string, sender, n int) uint64 {
	e.Helper()
	r := e.postAs(post(group, sender, n))
	if r.Status != store.Stored {
		e.Fatalf("post %d: %+v, want stored", n, r)
	}
	return r.Seq
}

// change is the commit with number n of a group's epoch.
func change(group string, sender int, epoch uint64, n int) store.Commit {
	m := message(store.QueueID{}, n)
	return store.Commit{
		Group: group, Sender: owner(sender), Epoch: epoch, ID: m.ID, Payload: m.Payload, Info: fmt.Appendf(nil, "info of %d", epoch+1),
	}
}

// commit expects a commit to win, and returns its place.
func (e *engine) commit(c store.Commit) uint64 {
	e.Helper()
	r, err := e.Commit(context.Background(), c)
	if err != nil || r.Status != store.Stored {
		e.Fatalf("commit in epoch %d: %+v, %v", c.Epoch, r, err)
	}
	return r.Seq
}

func owners(numbers ...int) (ids []store.Identity) {
	for _, n := range numbers {
		ids = append(ids, owner(n))
	}
	return ids
}

func (e *engine) group(id string) store.Group {
	e.Helper()
	g, err := e.Group(context.Background(), id)
	if err != nil {
		e.Fatalf("group %q: %v", id, err)
	}
	return g
}

func (e *engine) members(id string) []store.Member {
	e.Helper()
	members, more, err := e.Members(context.Background(), id, store.Identity{}, 1<<20)
	if err != nil || more {
		e.Fatalf("members of %q: %v, %v", id, more, err)
	}
	for _, want := range members {
		if m, err := e.Member(context.Background(), id, want.Identity); err != nil || m != want {
			e.Fatalf("member of %q: %+v, %v; want %+v", id, m, err, want)
		}
	}
	if _, err := e.Member(context.Background(), id, owner(12345)); !errors.Is(err, store.ErrNotMember) {
		e.Fatalf("no member of %q: %v", id, err)
	}
	return members
}

// picture is all that can be seen of a group by some readers: what a refused call must not change.
func (e *engine) picture(id string, readers ...int) string {
	e.Helper()
	text := fmt.Sprintf("%+v\n%+v\n", e.group(id), e.members(id))
	for _, n := range readers {
		queues, _, err := e.Queues(context.Background(), inbox(n), 100)
		if err != nil {
			e.Fatal(err)
		}
		text += fmt.Sprintf("%+v\n%+v\n%+v\n", queues, e.read(inbox(n), 0), e.read(shared(n, id), 0))
	}
	return text
}

func testGroupLife(t *testing.T, e *engine) {
	e.start(store.Quota{})
	ctx := t.Context()
	e.create("g", 1)
	if err := e.CreateGroup(ctx, store.NewGroup{ID: "g", Founder: owner(2)}); !errors.Is(err, store.ErrExists) {
		t.Fatalf("a second one: %v", err)
	}
	for n := range 3 {
		if seq := e.post("g", 1, n); seq != uint64(n)+1 {
			t.Fatalf("post %d has number %d", n, seq)
		}
	}
	e.commit(change("g", 1, 3, 10))
	check := func() {
		t.Helper()
		g := e.group("g")
		if g.Founder != owner(1) || g.Epoch != 4 || g.Members != 1 || g.First != 0 || g.Last != 4 || !bytes.Equal(g.Info, []byte("info of 4")) {
			t.Fatalf("%+v", g)
		}
		e.expect(shared(1, "g"), 1, 0, 1, 2, 10)
		e.expect(shared(2, "g"), 1)                             // no member
		e.expect(store.QueueID{Owner: owner(1), Group: "g"}, 1) // a queue of the same name that is not shared
		if r := e.postAs(post("g", 1, 1)); r != (store.Result{Status: store.Duplicate, Seq: 2}) {
			t.Fatalf("a duplicate: %+v", r)
		}
		if r, err := e.Commit(ctx, change("g", 1, 3, 10)); err != nil || r != (store.Result{Status: store.Duplicate, Seq: 4}) {
			t.Fatalf("a duplicate commit: %+v, %v", r, err)
		}
	}
	check()
	if e.again() {
		check()
	}
}

func testPostRefused(t *testing.T, e *engine) {
	e.start(store.Quota{Messages: 3, Bytes: 100})
	e.create("g", 1)
	e.post("g", 1, 1)
	stale, blob := post("g", 1, 2), post("g", 1, 3)
	stale.Epoch, stale.Current = 2, true
	blob.Blobs = []store.BlobID{{1}}
	large := post("g", 1, 4)
	large.Payload = make([]byte, 93)
	before := e.picture("g", 1, 2)
	got, err := e.Append(t.Context(), []store.Post{post("none", 1, 9), post("g", 2, 9), stale, blob, large, post("g", 1, 1)})
	want := []store.Result{
		{Status: store.NoGroup}, {Status: store.NotMember}, {Status: store.WrongEpoch}, {Status: store.NoBlob}, {Status: store.QuotaExceeded},
		{Status: store.Duplicate, Seq: 1},
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%v, %v, want %v", got, err, want)
	}
	for name, p := range map[string]store.Post{"no id": {Sender: owner(1), Payload: []byte{1}}, "empty": {Group: "g", Sender: owner(1)}} {
		if _, err := e.Append(t.Context(), []store.Post{post("g", 1, 5), p}); !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if after := e.picture("g", 1, 2); after != before {
		t.Fatalf("what was refused changed\n%s to\n%s", before, after)
	}
	stale.Current = false
	if r := e.postAs(stale); r.Status != store.Stored {
		t.Fatalf("a post of an earlier epoch: %+v", r)
	}
	e.post("g", 1, 6)
	if r := e.postAs(post("g", 1, 7)); r.Status != store.QuotaExceeded {
		t.Fatalf("a fourth: %+v", r)
	}
	e.ack(shared(1, "g"), 1)
	e.post("g", 1, 7)
}

// testCursors has many readers, each with its own place in one log, which is trimmed to the slowest.
func testCursors(t *testing.T, e *engine) {
	const readers, posts = 40, 60
	e.start(store.Quota{})
	e.create("g", 0)
	c := change("g", 0, 3, 1000)
	for n := 1; n < readers; n++ {
		c.Added = append(c.Added, owner(n))
	}
	e.commit(c)
	for n := range posts {
		e.post("g", n%readers, n)
	}
	for n := range readers {
		e.ack(shared(n, "g"), uint64(2+n))
	}
	check := func(first uint64) {
		t.Helper()
		if g := e.group("g"); g.First != first || g.Last != 1+posts {
			t.Fatalf("the log holds %d to %d, want %d to %d", g.First, g.Last, first, 1+posts)
		}
		for n := range readers {
			p := e.read(shared(n, "g"), 0)
			acked := max(uint64(2+n), first)
			if p.Acknowledged != acked || p.Last != 1+posts || len(p.Messages) != int(1+posts-acked) || p.Messages[0].Seq != acked+1 {
				t.Fatalf("reader %d: %d messages above %d, want them above %d", n, len(p.Messages), p.Acknowledged, acked)
			}
		}
		for n, m := range e.members("g") {
			if m.Identity != owner(n) || m.Acknowledged != max(uint64(2+n), first) {
				t.Fatalf("member %d: %+v", n, m)
			}
		}
	}
	check(2)
	e.again()
	check(2)
	if err := e.Acknowledge(t.Context(), []store.Cursor{{Queue: shared(1, "g"), Seq: 2 + posts}}); !errors.Is(err, store.ErrBeyondLast) {
		t.Fatalf("beyond the last: %v", err)
	}
	if err := e.Acknowledge(t.Context(), []store.Cursor{{Queue: shared(99, "g"), Seq: 1}}); !errors.Is(err, store.ErrBeyondLast) {
		t.Fatalf("of one who is no member: %v", err)
	}
	for n := range readers {
		e.ack(shared(n, "g"), 50)
	}
	if g := e.group("g"); g.First != 50 {
		t.Fatalf("trimmed to %d, want 50", g.First)
	}
	if seq := e.post("g", 1, 500); seq != 2+posts {
		t.Fatalf("number %d after %d", seq, 1+posts)
	}
}

// testSharedQueues pages through private and shared queues of the same names.
func testSharedQueues(t *testing.T, e *engine) {
	e.start(store.Quota{})
	groups := []string{"a", "a\x00", "b", "c"}
	var all []store.QueueID
	for i, g := range groups {
		e.create(g, 1)
		e.post(g, 1, i)
		e.put(store.QueueID{Owner: owner(1), Group: g}, i)
		all = append(all, store.QueueID{Owner: owner(1), Group: g}, shared(1, g))
	}
	e.create("empty", 1)
	for range 2 {
		for from := range all {
			for most := 1; most <= len(all)-from+1; most++ {
				queues, more, err := e.Queues(t.Context(), all[from], most)
				end := min(from+most, len(all))
				if err != nil || len(queues) != end-from || more != (end < len(all)) {
					t.Fatalf("from %+v at most %d: %d queues, %v, %v", all[from], most, len(queues), more, err)
				}
				for i, q := range queues {
					id := all[from+i]
					if q != (store.QueueStatus{Group: id.Group, Shared: id.Shared, Last: 1, Messages: 1, Bytes: 8}) {
						t.Fatalf("%+v, want %+v", q, id)
					}
				}
			}
			at, next := all[from].Next(), store.QueueID{}
			if queues, _, err := e.Queues(t.Context(), at, 1); err != nil {
				t.Fatal(err)
			} else if len(queues) > 0 {
				next = store.QueueID{Owner: owner(1), Group: queues[0].Group, Shared: queues[0].Shared}
			}
			if from+1 < len(all) && next != all[from+1] {
				t.Fatalf("after %+v comes %+v", all[from], next)
			}
		}
		e.again()
	}
	e.ack(shared(1, "a"), 1)
	e.expect(store.QueueID{Owner: owner(1), Group: "a"}, 1, 0)
	e.ack(store.QueueID{Owner: owner(1), Group: "b"}, 1)
	e.expect(shared(1, "b"), 1, 2)
}
