package hotlog

import (
	"context"
	"fmt"

	"quicnprotochat/store"
)

// checkShared returns ErrBeyondLast if the owner of a cursor cannot have read that far. The lock of o is held.
func (s *Store) checkShared(o *object, c *store.Cursor) error {
	last := uint64(0)
	durable := s.durable.Load()
	if v := o.seen(&c.Queue.Owner, durable); v != nil {
		last = max(min(o.group.log.readable(durable), v.end()), v.acked)
	}
	if c.Seq > last {
		return fmt.Errorf("%w: %d above %d", store.ErrBeyondLast, c.Seq, last)
	}
	return nil
}

// acknowledgeShared moves the cursor of a member of a group, and trims the group's log to the slowest.
func (s *Store) acknowledgeShared(ctx context.Context, c *store.Cursor) error {
	o := &memberOp{to: c.Seq}
	var err error
	if o.object, err = s.pinGroup(c.Queue.Group); err != nil {
		return err
	}
	defer o.object.unpin()
	o.object.mu.Lock()
	err = s.checkShared(o.object, c)
	v := o.object.seen(&c.Queue.Owner, s.durable.Load())
	o.object.mu.Unlock()
	if err != nil || v == nil || c.Seq <= v.acked && v.acked < v.end() {
		return err
	}
	if o.owner, err = s.pin(objectKey{id: c.Queue.Owner}); err != nil {
		return err
	}
	defer o.owner.unpin()
	o.bytes = manySize(2, 1+timeSize+maxCursor+1+s.readerChange())
	if err := s.do(ctx, o); err != nil {
		return err
	}
	if o.moved && s.watchers.Load() > 0 {
		s.hub.Notify(c.Queue)
	}
	if o.trim > 0 {
		q := store.QueueID{Group: c.Queue.Group, Shared: true}
		return s.acknowledge(ctx, []store.Cursor{{Queue: q, Seq: o.trim}})
	}
	return nil
}

// memberOp moves a member's cursor. Its record says all about the log, too, because that is what keeps the group in memory until the tree knows.
type memberOp struct {
	object, owner *object
	to            uint64
	bytes         int
	moved         bool
	trim          uint64 // up to where the log is to be trimmed, if part of that is in the tree
}

func (o *memberOp) size() (int, int)    { return o.bytes, 1 }
func (o *memberOp) needs() (bool, bool) { return false, false }

func (o *memberOp) decide(b *batch) {
	c, ok := o.move(b)
	if !ok {
		return
	}
	g := o.object.group
	st := g.log
	at := st.cursor()
	if to := min(g.trim(), st.readable(b.s.durable.Load())); to > st.acked {
		if st.cold > st.acked {
			o.trim = to
		} else if moved, ok := b.move(&move{stream: st, to: to, cold: st.cold}); ok {
			at = moved
		}
	}
	ack := at.append(appendTime([]byte{recordAck}, b.ms))
	pos := b.many([]part{{text: ack}, {text: append([]byte{recordTree}, c...)}})
	b.d.window.touch(st, pos)
	b.change(c)
}

// move moves the cursor in memory, and returns what the tree is to hold.
func (o *memberOp) move(b *batch) (c changes, ok bool) {
	o.object.mu.Lock()
	defer o.object.mu.Unlock()
	g := o.object.group
	if g == nil {
		return nil, false
	}
	m := g.readers[o.owner.key.id]
	if m == nil {
		return nil, false
	}
	to := min(o.to, m.end(), g.log.last)
	if m.until == 0 && (to <= m.acked || to < m.joined) {
		return nil, false
	}
	m.acknowledge(to)
	o.moved = true
	if m.until != 0 && m.acked >= m.until {
		g.drop(m)
		o.owner.leave(g.id)
		b.s.dropReader(&c, o.object, o.owner, g)
		return c, true
	}
	g.moved(m)
	b.s.saveReader(&c, o.object, o.owner, g, m)
	return c, true
}
