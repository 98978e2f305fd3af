package hotlog

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// eioFS fails reads of the log while it is on.
type eioFS struct {
	vfs.FS
	on   atomic.Bool
	hits atomic.Int64
}

func (f *eioFS) Create(n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	x, err := f.FS.Create(n, c)
	if err != nil || !strings.HasSuffix(n, "tmp") {
		return x, err
	}
	return &eioFile{x, f}, err
}

type eioFile struct {
	vfs.File
	f *eioFS
}

func (x *eioFile) ReadAt(b []byte, at int64) (int, error) {
	if x.f.on.Load() {
		x.f.hits.Add(1)
		return 0, errors.New("input/output error, once")
	}
	return x.File.ReadAt(b, at)
}

// TestFaultPassingRead: a read of the log that fails, once, while a segment is retired costs no message.
func TestFaultPassingRead(t *testing.T) {
	fs := &eioFS{FS: vfs.NewMem()}
	o := small("/store")
	o.FS, o.PayloadCache = fs, 1
	s := mustOpen(t, o)
	defer mustClose(t, s)
	q := store.QueueID{Owner: benchOwner(1)}
	for n := uint64(1); n <= 20; n++ {
		put(t, s, testMessage(q, n))
	}
	next := uint64(0)
	fs.on.Store(true)
	for s.retirer.messages.Load() == 0 && fs.hits.Load() == 0 {
		next++
		qq := store.QueueID{Owner: benchOwner(2)}
		m := testMessage(qq, next)
		m.Payload = make([]byte, 2000)
		put(t, s, m)
	}
	fs.on.Store(false)
	retireAll(t, s)
	p, err := s.Read(t.Context(), q, 0, 100, 1<<20)
	if err != nil || len(p.Messages) != 20 {
		t.Errorf("%d messages of 20, %v", len(p.Messages), err)
	}
}

// TestSweepPastDamage: an owner whose state is damaged, and who has something to expire, keeps nobody else from being swept.
func TestSweepPastDamage(t *testing.T) {
	c := newClock()
	o := small("/store")
	o.FS = vfs.NewMem()
	o.Clock = c.now
	s := mustOpen(t, o)
	defer mustClose(t, s)
	bad, good := store.QueueID{Owner: benchOwner(1)}, store.QueueID{Owner: benchOwner(2)}
	name1 := s.names.stream(&bad)
	k := keyOf(&bad)
	on := s.names.object(&k)
	mk := appendMetaKey(nil, &on, &name1)
	var ch changes
	ch.set(mk, []byte{1, 2, 3})
	ek := appendExpiryKey(nil, 1, &name1, 5)
	ch.setSealed(s.tree, ek, appendQueue(nil, &bad))
	if err := s.do(t.Context(), &changeOp{ch}); err != nil {
		t.Fatal(err)
	}
	m := testMessage(good, 1)
	m.Expires = c.now().Add(time.Hour)
	put(t, s, m)
	c.pass(5 * time.Hour)
	for range 3 {
		if _, err := s.Sweep(t.Context(), 1000); err != nil {
			t.Errorf("sweep: %v", err)
		}
	}
	st, _, _ := s.Queues(t.Context(), store.QueueID{Owner: good.Owner}, 10)
	if len(st) != 0 {
		t.Errorf("expired message of another queue is never swept: %+v", st)
	}
}

// TestSweepPastMoves: notes of messages that the log holds again, as a crash leaves them, keep nobody else from being swept.
func TestSweepPastMoves(t *testing.T) {
	c := newClock()
	o := small("/store")
	o.FS = vfs.NewMem()
	o.Clock, o.LogBytes, o.HotRecords = c.now, 1<<30, 1<<30
	s := mustOpen(t, o)
	defer mustClose(t, s)
	var ch changes
	for i := range sweepStreams { // what a crash between copy and movedOp leaves: notes of messages that are hot again
		q := store.QueueID{Owner: benchOwner(100 + i)}
		put(t, s, testMessage(q, 1)) // 30 days
		m := testMessage(q, 2)
		m.Expires = c.now().Add(time.Minute)
		put(t, s, m)
		n := s.names.stream(&q)
		ch.setSealed(s.tree, appendExpiryKey(nil, hourOf(m.Expires.UnixMilli()), &n, 2), appendQueue(nil, &q))
		if len(ch) > 5000 {
			if err := s.do(t.Context(), &changeOp{ch}); err != nil {
				t.Fatal(err)
			}
			ch = nil
		}
	}
	if err := s.do(t.Context(), &changeOp{ch}); err != nil {
		t.Fatal(err)
	}
	// another queue, cold
	q := store.QueueID{Owner: benchOwner(1)}
	m := testMessage(q, 1)
	m.Expires = c.now().Add(2 * time.Hour)
	put(t, s, m)
	object, err := s.pin(keyOf(&q))
	if err != nil {
		t.Fatal(err)
	}
	defer object.unpin()
	if err := s.retirer.move(&segment{number: s.log.Segment(), streams: []*stream{object.find("")}}); err != nil {
		t.Fatal(err)
	}
	c.pass(10 * time.Hour)
	for range 5 {
		if _, err := s.Sweep(t.Context(), 1000); err != nil {
			t.Errorf("sweep: %v", err)
		}
		c.pass(time.Hour)
	}
	st, _, _ := s.Queues(t.Context(), store.QueueID{Owner: q.Owner}, 10)
	if len(st) != 0 {
		t.Errorf("expired cold message is never swept: %+v", st)
	}
}

// TestExpiresFarAway: a time that has no milliseconds is later than the latest.
func TestExpiresFarAway(t *testing.T) {
	o := small("/store")
	o.FS = vfs.NewMem()
	s := mustOpen(t, o)
	defer mustClose(t, s)
	q := store.QueueID{Owner: benchOwner(1)}
	m := testMessage(q, 1)
	m.Expires = time.Unix(math.MaxInt64/1000+1000, 0)
	put(t, s, m)
	p, err := s.Read(t.Context(), q, 0, 10, 1<<20)
	if len(p.Messages) != 1 {
		t.Errorf("far future: %d messages of %d %v", len(p.Messages), p.Last, err)
	}
}

// TestAcknowledgeForgotten: a queue that made room for another can be acknowledged once more.
func TestAcknowledgeForgotten(t *testing.T) {
	c := newClock()
	o := small("/store")
	o.FS = vfs.NewMem()
	o.Clock, o.Quota.Queues = c.now, 1
	s := mustOpen(t, o)
	defer mustClose(t, s)
	a, b := store.QueueID{Owner: benchOwner(1), Group: "a"}, store.QueueID{Owner: benchOwner(1), Group: "b"}
	put(t, s, testMessage(a, 1))
	ack(t, s, a, 1)
	c.pass(60 * time.Hour)
	put(t, s, testMessage(b, 2))
	if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: a, Seq: 1}}); errors.Is(err, store.ErrBeyondLast) {
		t.Errorf("acknowledging again what was assigned: %v", err)
	}
	ack(t, s, b, 2)
}
