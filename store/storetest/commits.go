package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"quicnprotochat/store"
)

// testCommitRace has many members commit in the same epoch, again and again: one wins each time, and the rest learn of the epoch that it made.
func testCommitRace(t *testing.T, e *engine) {
	const racers, epochs = 64, 25
	e.start(store.Quota{})
	e.create("g", 0)
	c := change("g", 0, 3, 1_000_000)
	for n := 1; n < racers; n++ {
		c.Added = append(c.Added, owner(n))
	}
	e.commit(c)
	for epoch := uint64(4); epoch < 4+epochs; epoch++ {
		if epoch == 4+epochs/2 {
			e.again()
		}
		var wins atomic.Int64
		var wg sync.WaitGroup
		for n := range racers {
			wg.Go(func() {
				r, err := e.Commit(context.Background(), change("g", n, epoch, int(epoch)*racers+n))
				var lost *store.EpochError
				switch {
				case err == nil && r.Status == store.Stored && r.Seq == epoch-2:
					wins.Add(1)
				case errors.As(err, &lost) && lost.Current == epoch+1 && errors.Is(err, store.ErrEpoch):
				default:
					t.Errorf("epoch %d: %+v, %v", epoch, r, err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("epoch %d: %d won", epoch, wins.Load())
		}
	}
	g, p := e.group("g"), e.read(shared(5, "g"), 0)
	if g.Epoch != 4+epochs || g.Last != 1+epochs || len(p.Messages) != epochs {
		t.Fatalf("%+v with %d commits", g, len(p.Messages))
	}
	for i, m := range p.Messages {
		if number(m)/racers != 4+i {
			t.Fatalf("commit of epoch %d at place %d", number(m)/racers, i)
		}
	}
}

// testCommitWhole looks at all that one commit does.
func testCommitWhole(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 1)
	c := change("g", 1, 3, 10)
	c.Added = owners(2, 3)
	c.Welcomes = []store.Message{message(inbox(2), 20), message(inbox(3), 30), message(inbox(2), 20)}
	e.put(inbox(3), 30)
	e.commit(c)
	check := func() {
		t.Helper()
		if g := e.group("g"); g.Epoch != 4 || g.Members != 3 || string(g.Info) != "info of 4" || g.Last != 1 {
			t.Fatalf("%+v", g)
		}
		e.expect(shared(1, "g"), 1, 10)
		e.expect(shared(2, "g"), 2)
		e.expect(inbox(2), 1, 20)
		e.expect(inbox(3), 1, 30)
	}
	check()
	if e.again() {
		check()
	}
	members := e.members("g")
	for i, n := range []int{1, 2, 3} {
		if members[i].Identity != owner(n) {
			t.Fatalf("%+v", members)
		}
	}
	if some, more, err := e.Members(t.Context(), "g", owner(2), 1); err != nil || !more || len(some) != 1 || some[0] != members[1] {
		t.Fatalf("a page of members: %+v, %v, %v", some, more, err)
	}
	if some, more, err := e.Members(t.Context(), "g", owner(3), 1); err != nil || more || len(some) != 1 {
		t.Fatalf("the last page of members: %+v, %v, %v", some, more, err)
	}
	external := change("g", 9, 4, 40)
	external.Added = owners(9)
	e.commit(external)
	if g := e.group("g"); g.Epoch != 5 || g.Members != 4 {
		t.Fatalf("after one came by itself: %+v", g)
	}
}

// testCommitRefused tries commits that must not be done, each of which would change everything.
func testCommitRefused(t *testing.T, e *engine) {
	e.start(store.Quota{Messages: 6, Members: 4, Groups: 2})
	e.create("g", 1)
	for _, g := range []string{"x", "y"} {
		e.create(g, 5) // who is in as many as are allowed
	}
	start := change("g", 1, 3, 1)
	start.Added = owners(2)
	e.commit(start)
	for n := range 6 {
		e.put(inbox(6), n)
	}
	all := func(f func(c *store.Commit)) store.Commit {
		c := change("g", 1, 4, 50)
		c.Added, c.Removed, c.Welcomes = owners(3), owners(2), []store.Message{message(inbox(3), 60)}
		f(&c)
		return c
	}
	tests := map[string]struct {
		c      store.Commit
		err    error
		status store.Status
	}{
		"an earlier epoch":       {all(func(c *store.Commit) { c.Epoch = 3 }), store.ErrEpoch, 0},
		"a later epoch":          {all(func(c *store.Commit) { c.Epoch = 5 }), store.ErrEpoch, 0},
		"no member":              {all(func(c *store.Commit) { c.Sender = owner(7) }), store.ErrNotMember, 0},
		"no group":               {all(func(c *store.Commit) { c.Group = "none" }), store.ErrNotFound, 0},
		"removes a stranger":     {all(func(c *store.Commit) { c.Removed = owners(2, 8) }), store.ErrInvalid, 0},
		"adds too many":          {all(func(c *store.Commit) { c.Added = owners(3, 4, 7, 8) }), store.ErrQuota, 0},
		"adds one in many":       {all(func(c *store.Commit) { c.Added = owners(3, 5) }), store.ErrQuota, 0},
		"welcome to a log":       {all(func(c *store.Commit) { c.Welcomes[0].Queue = shared(3, "g") }), store.ErrInvalid, 0},
		"large info":             {all(func(c *store.Commit) { c.Info = make([]byte, store.MaxInfo+1) }), store.ErrTooLarge, 0},
		"too many changes":       {all(func(c *store.Commit) { c.Added = make([]store.Identity, store.MaxChange) }), store.ErrInvalid, 0},
		"a full inbox":           {all(func(c *store.Commit) { c.Welcomes = append(c.Welcomes, message(inbox(6), 70)) }), nil, store.QuotaExceeded},
		"a blob that is missing": {all(func(c *store.Commit) { c.Welcomes[0].Blobs = []store.BlobID{{1}} }), nil, store.NoBlob},
	}
	before := e.picture("g", 1, 2, 3, 6)
	for range 2 {
		for name, test := range tests {
			r, err := e.Commit(t.Context(), test.c)
			if !errors.Is(err, test.err) || test.err == nil && err != nil || r != (store.Result{Status: test.status}) {
				t.Errorf("%s: %+v, %v, want %v", name, r, err, test.err)
			}
			if after := e.picture("g", 1, 2, 3, 6); after != before {
				t.Fatalf("%s changed\n%s to\n%s", name, before, after)
			}
		}
		e.again()
	}
	for n := range 5 {
		e.post("g", 1, 100+n)
	}
	before = e.picture("g", 1, 2, 3, 6)
	if r, err := e.Commit(t.Context(), all(func(*store.Commit) {})); err != nil || r.Status != store.QuotaExceeded {
		t.Fatalf("to a full log: %+v, %v", r, err)
	}
	if after := e.picture("g", 1, 2, 3, 6); after != before {
		t.Fatalf("a commit to a full log changed\n%s to\n%s", before, after)
	}
	e.ack(shared(1, "g"), 6)
	e.ack(shared(2, "g"), 6)
	e.commit(all(func(*store.Commit) {}))
}

// testRemoved follows one who is removed, one who is added, and one who comes back.
func testRemoved(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 1)
	c := change("g", 1, 3, 0)
	c.Added = owners(2, 3)
	e.commit(c)
	e.post("g", 1, 1)
	e.post("g", 2, 2)
	c = change("g", 1, 4, 3)
	c.Removed, c.Added = owners(2), owners(4)
	if seq := e.commit(c); seq != 4 {
		t.Fatalf("number %d", seq)
	}
	e.post("g", 1, 4)
	check := func() {
		t.Helper()
		e.expect(shared(2, "g"), 2, 1, 2, 3)
		e.expect(shared(3, "g"), 2, 1, 2, 3, 4)
		e.expect(shared(4, "g"), 5, 4)
		if p := e.read(shared(2, "g"), 0); p.Last != 4 || p.More {
			t.Fatalf("one who was removed sees %+v", p)
		}
	}
	check()
	e.again()
	check()
	if r := e.postAs(post("g", 2, 50)); r.Status != store.NotMember {
		t.Fatalf("a post of one who was removed: %+v", r)
	}
	if r := e.postAs(post("g", 2, 2)); r != (store.Result{Status: store.Duplicate, Seq: 3}) {
		t.Fatalf("a repeated post of one who was removed: %+v", r)
	}
	if err := e.Acknowledge(t.Context(), []store.Cursor{{Queue: shared(2, "g"), Seq: 5}}); !errors.Is(err, store.ErrBeyondLast) {
		t.Fatalf("acknowledged above its removal: %v", err)
	}
	for _, m := range e.members("g") {
		if m.Identity == owner(2) {
			t.Fatal("it is listed")
		}
	}
	e.ack(shared(2, "g"), 4)
	if queues, _, err := e.Queues(t.Context(), inbox(2), 10); err != nil || len(queues) != 0 {
		t.Fatalf("one who was removed and has read all: %+v, %v", queues, err)
	}
	e.expect(shared(2, "g"), 1)
	c = change("g", 3, 5, 6)
	c.Added = owners(2)
	e.commit(c)
	e.post("g", 2, 7)
	e.expect(shared(2, "g"), 7, 7)
	replaced := change("g", 4, 6, 8) // joins again by itself, in its own place
	replaced.Added, replaced.Removed = owners(4), owners(4)
	e.commit(replaced)
	e.again()
	if g := e.group("g"); g.Members != 4 || g.Epoch != 7 {
		t.Fatalf("%+v", g)
	}
	e.expect(shared(4, "g"), 9)
	e.post("g", 4, 9)
	e.expect(shared(4, "g"), 9, 9)
}

// largeInfo is as large as every engine takes, however small it was made for a test.
const largeInfo = 1 << 20

func testGroupArguments(t *testing.T, e *engine) {
	e.start(store.Quota{Groups: 2})
	ctx := t.Context()
	long := fmt.Sprintf("%*d", store.MaxGroup+1, 0)
	e.create("a", 1)
	e.create("b", 1)
	for name, c := range map[string]struct{ err, want error }{
		"one group too many": {e.CreateGroup(ctx, store.NewGroup{ID: "c", Founder: owner(1)}), store.ErrQuota},
		"no id":              {e.CreateGroup(ctx, store.NewGroup{Founder: owner(2)}), store.ErrInvalid},
		"long id":            {e.CreateGroup(ctx, store.NewGroup{ID: long, Founder: owner(2)}), store.ErrInvalid},
		"large info":         {e.CreateGroup(ctx, store.NewGroup{ID: "c", Founder: owner(2), Info: make([]byte, store.MaxInfo+1)}), store.ErrTooLarge},
		"group of none":      {second(e.Group(ctx, "none")), store.ErrNotFound},
		"group of long":      {second(e.Group(ctx, long)), store.ErrInvalid},
		"member of none":     {second(e.Member(ctx, "none", owner(0))), store.ErrNotFound},
		"members none":       {third(e.Members(ctx, "none", owner(0), 1)), store.ErrNotFound},
		"members at most 0":  {third(e.Members(ctx, "a", owner(0), 0)), store.ErrInvalid},
		"a message to a log": {second(e.Enqueue(ctx, []store.Message{message(shared(1, "a"), 1)})), store.ErrInvalid},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if _, err := e.Group(ctx, "c"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a refused group is there: %v", err)
	}
	large := store.NewGroup{ID: "large", Founder: owner(3), Info: make([]byte, largeInfo)}
	if err := e.CreateGroup(ctx, large); err != nil {
		t.Fatal(err)
	}
	e.again()
	if g := e.group("large"); len(g.Info) != largeInfo {
		t.Fatalf("a GroupInfo of %d bytes came back", len(g.Info))
	}
}

func third[T, U any](_ T, _ U, err error) error { return err }
