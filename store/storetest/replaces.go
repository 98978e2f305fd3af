package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"quicnprotochat/store"
)

// testCommitReplaced has a bad commit remove two members and add a stranger, and another one take its place.
func testCommitReplaced(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 0)
	if _, err := e.LastCommit(context.Background(), "g"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("the last commit of a group without one: %v", err)
	}
	first := change("g", 0, 3, 1)
	first.Added = owners(1, 2, 3, 4)
	e.commit(first)
	for _, n := range []int{0, 1, 2, 3, 4} {
		e.ack(shared(n, "g"), 1)
	}
	e.post("g", 4, 2) // which 1 has read when it is removed, and 2 has not
	e.ack(shared(1, "g"), 2)
	bad := change("g", 4, 4, 3)
	bad.Added, bad.Removed = owners(5), owners(0, 1, 2)
	e.commit(bad)
	e.ack(shared(1, "g"), 3)
	e.post("g", 5, 4)
	want := store.Change{Seq: 3, Epoch: 5, Sender: owner(4), Added: owners(5), Removed: owners(0, 1, 2)}
	e.lastCommit("g", want)
	if e.again() {
		e.lastCommit("g", want)
	}

	good := change("g", 1, 4, 5)
	good.Added, good.Removed = owners(6), owners(4, 2)
	for _, replaces := range []uint64{0, 1, 2, 4, 1 << 40} {
		c := good
		c.Replaces = replaces
		if r, err := e.Commit(context.Background(), c); !errors.Is(err, store.ErrEpoch) && !errors.Is(err, store.ErrNotMember) {
			t.Fatalf("replaces %d: %+v, %v", replaces, r, err)
		}
	}
	e.lastCommit("g", want)
	good.Replaces = 3
	stranger := good
	stranger.Sender = owner(5) // who came with the bad commit
	if r, err := e.Commit(context.Background(), stranger); !errors.Is(err, store.ErrNotMember) {
		t.Fatalf("replaced by one that it added: %+v, %v", r, err)
	}
	if seq := e.commit(good); seq != 5 {
		t.Fatalf("replaced at %d", seq)
	}
	check := func() {
		t.Helper()
		if g := e.group("g"); g.Epoch != 5 || g.Members != 4 || g.Last != 5 || string(g.Info) != "info of 5" {
			t.Fatalf("%+v", g)
		}
		if got := e.roster("g"); !slices.Equal(got, owners(0, 1, 3, 6)) {
			t.Fatalf("members: %x", got)
		}
		e.lastCommit("g", store.Change{Seq: 5, Epoch: 5, Sender: owner(1), Added: owners(6), Removed: owners(4, 2)})
		e.expect(shared(0, "g"), 2, 2, 3, 4, 5) // it had not read on, so nothing is left out
		e.expect(shared(1, "g"), 5, 5)
		e.expect(shared(2, "g"), 2, 2, 3, 4, 5)
		e.expect(shared(5, "g"), 4, 4, 5)
		e.expect(shared(6, "g"), 6)
	}
	check()
	if e.again() {
		check()
	}
	if r, err := e.Commit(context.Background(), good); err != nil || r.Status != store.Duplicate || r.Seq != 5 {
		t.Fatalf("repeated: %+v, %v", r, err)
	}
	// The replacing one can be replaced in turn, by one whom it removed.
	once := change("g", 2, 4, 6)
	once.Replaces = 5
	e.commit(once)
	if got := e.roster("g"); !slices.Equal(got, owners(0, 1, 2, 3, 4)) {
		t.Fatalf("members: %x", got)
	}
	e.post("g", 2, 7)
	e.expect(shared(6, "g"), 6, 6)
	e.expect(shared(2, "g"), 2, 2, 3, 4, 5, 6, 7)
	next := change("g", 0, 5, 8)
	e.commit(next)
}

func (e *engine) lastCommit(group string, want store.Change) {
	e.Helper()
	got, err := e.LastCommit(context.Background(), group)
	if err != nil || got.Seq != want.Seq || got.Epoch != want.Epoch || got.Sender != want.Sender || !slices.Equal(got.Added, want.Added) || !slices.Equal(got.Removed, want.Removed) {
		e.Fatalf("last commit: %+v, %v, want %+v", got, err, want)
	}
}

// roster is who is a member.
func (e *engine) roster(group string) (ids []store.Identity) {
	e.Helper()
	for _, m := range e.members(group) {
		ids = append(ids, m.Identity)
	}
	return ids
}
