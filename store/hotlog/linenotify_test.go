package hotlog

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// loud is an op of which as many are to be told as it says, which takes until told is closed.
type loud struct {
	retireIDs
	heard int
	told  chan struct{}
}

func (o *loud) prepare(*Store) error { return nil }
func (o *loud) outdated() bool       { return false }
func (o *loud) notify(*Store)        { <-o.told }
func (o *loud) hearers() int         { return o.heard }
func (o *loud) unpin()               {}
func (o *loud) release()             {}
func (o *loud) fresh() storing       { return o }

// TestLineNotify: that many are told of what a line stored holds up nobody but that line's call.
func TestLineNotify(t *testing.T) {
	o := small("/store")
	o.FS = vfs.NewMem()
	s := mustOpen(t, o)
	defer mustClose(t, s)
	q := store.QueueID{Owner: benchOwner(1)}
	w, err := s.Watch(q.Owner)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	l := s.NewLine().(*line)
	op, done := &loud{heard: fewHearers + 1, told: make(chan struct{})}, make(chan error, 1)
	if !s.use() {
		t.Fatal("closed")
	}
	c := newLineCall(s, 0, func(_ []store.Result, err error) { done <- err })
	lo := &lineOp{line: l, whole: c, op: op}
	lo.call.op, lo.call.line = lo, lo
	if err := s.submit(&lo.call); err != nil {
		t.Fatal(err)
	}
	put(t, s, testMessage(q, 1)) // waits for the decider
	put(t, s, testMessage(q, 2))
	if len(done) > 0 {
		t.Error("told of before its hearers were")
	}
	close(op.told)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestHearers: each queue, and each member of a group, counts once where messages to it follow one another.
func TestHearers(t *testing.T) {
	o := small("/store")
	o.FS = vfs.NewMem()
	s := mustOpen(t, o)
	defer mustClose(t, s)
	newGroup(t, s, "g", 5)
	a, b := testMessage(store.QueueID{Owner: benchOwner(1)}, 1), testMessage(store.QueueID{Owner: benchOwner(2)}, 1)
	if n := (&enqueueOp{messages: []store.Message{a, a, b, b, a}}).hearers(); n != 3 {
		t.Errorf("%d queues", n)
	}
	posts := &appendOp{posts: []store.Post{testPost("g", 0, 1), testPost("g", 0, 2), testPost("none", 0, 3)}}
	defer posts.release()
	if err := posts.prepare(s); err != nil {
		t.Fatal(err)
	}
	if n := posts.hearers(); n != 5 {
		t.Errorf("%d members", n)
	}
}
