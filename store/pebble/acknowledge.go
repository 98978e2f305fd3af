package pebble

import (
	"context"
	"fmt"

	"quicnprotochat/store"
)

// maxRemoved is how many messages one batch removes for one call.
const maxRemoved = 4096

// Acknowledge is as in store.Store.
func (s *Store) Acknowledge(ctx context.Context, cursors []store.Cursor) error {
	for i := range cursors {
		if err := store.CheckGroup(cursors[i].Queue.Group); err != nil {
			return err
		}
	}
	if err := s.checkCursors(cursors); err != nil {
		return err
	}
	for done := false; !done; {
		o := &ackOp{}
		var err error
		if done, err = s.removals(cursors, o); err != nil {
			return err
		}
		if len(o.queues) == 0 {
			continue
		}
		if err := s.do(ctx, o); err != nil {
			return err
		}
		if o.err != nil {
			return o.err
		}
	}
	return nil
}

// checkCursors refuses a call that names what was never stored, before it changes anything.
func (s *Store) checkCursors(cursors []store.Cursor) error {
	v, err := s.views.acquire()
	if err != nil {
		return err
	}
	defer s.views.release(v)
	for i := range cursors {
		c := &cursors[i]
		h, _, err := headOf(v, &c.Queue)
		if err != nil {
			return err
		}
		if c.Seq > h.last {
			return fmt.Errorf("%w: %d above %d", store.ErrBeyondLast, c.Seq, h.last)
		}
	}
	return nil
}

// removals fills o with what is to be removed next, at most maxRemoved messages; done says that this is all. It runs in
// the caller's goroutine, so that the committer need not read.
func (s *Store) removals(cursors []store.Cursor, o *ackOp) (done bool, err error) {
	v, err := s.views.acquire()
	if err != nil {
		return false, err
	}
	defer s.views.release(v)
	bucket := bucketOf(s.opts.Clock().UnixMilli())
	left := maxRemoved
	for i := range cursors {
		c := &cursors[i]
		h, ok, err := headOf(v, &c.Queue)
		if err != nil {
			return false, err
		}
		if !ok || c.Seq <= h.acked {
			continue
		}
		if left == 0 {
			return false, nil
		}
		to := min(c.Seq, h.acked+uint64(left), h.last)
		q := ackQueue{queue: c.Queue, removed: make([]removal, 0, to-h.acked)}
		err = scan(v, h.number, h.acked+1, to, func(seq uint64, value []byte) (bool, error) {
			d, err := decodeMessage(seq, value)
			if err != nil {
				return false, err
			}
			q.removed = append(q.removed, removal{seq: seq, size: len(d.Payload), id: d.ID, late: bucketOf(d.AcceptedAt.UnixMilli()) < bucket})
			return true, nil
		})
		if err != nil {
			return false, err
		}
		left -= len(q.removed)
		q.to = to
		o.queues = append(o.queues, q)
		if to < c.Seq {
			return false, nil
		}
	}
	return true, nil
}

type removal struct {
	seq  uint64
	size int
	id   store.MessageID
	late bool // stored in an earlier bucket than the present one
}

type ackQueue struct {
	queue   store.QueueID
	to      uint64
	removed []removal
}

type ackOp struct {
	queues []ackQueue
	err    error
}

func (o *ackOp) sync() bool     { return false }
func (o *ackOp) fail(err error) { o.err = err }

func (o *ackOp) apply(t *tx) bool {
	for i := range o.queues {
		if o.err = t.acknowledge(&o.queues[i]); o.err != nil {
			break
		}
	}
	return true
}

func (t *tx) acknowledge(q *ackQueue) error {
	e, err := t.head(q.queue)
	if err != nil || e == nil {
		return err
	}
	h := &e.value
	if q.to <= h.acked {
		return nil // another call was faster
	}
	for i := range q.removed {
		r := &q.removed[i]
		if r.seq <= h.acked {
			continue
		}
		d := t.b.DeleteDeferred(17)
		appendMessageKey(d.Key[:0], h.number, r.seq)
		must(d.Finish())
		h.bytes -= min(h.bytes, uint64(r.size))
		if r.late {
			t.putID(h, &r.id, r.seq) // so that it outlives the acknowledgement by the retention
		}
	}
	t.c.s.counters.acknowledged.Add(q.to - h.acked)
	h.acked = q.to
	h.touched = t.now.UnixMilli()
	t.c.heads.mark(e)
	t.notice(q.queue)
	return nil
}
