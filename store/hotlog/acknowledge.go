package hotlog

import (
	"context"
	"fmt"
	"sync"

	"quicnprotochat/store"
)

const (
	// ackShare is how many cursors go into one op, and ackCold how many messages of the tree.
	ackShare = 512
	ackCold  = 4096
	// maxIDChange is the size of the change that keeps an id.
	maxIDChange = 2 + 21 + 1 + 8
)

// Acknowledge implements store.Store. It is written when it returns, and on disk within a second: it may be lost when the machine crashes, not when
// the process does.
func (s *Store) Acknowledge(ctx context.Context, cursors []store.Cursor) error {
	for i := range cursors {
		if err := store.CheckGroup(cursors[i].Queue.Group); err != nil {
			return err
		}
	}
	if !s.use() {
		return store.ErrClosed
	}
	defer s.life.RUnlock()
	if len(cursors) > 1 { // one is checked when it is prepared
		if err := s.checkCursors(cursors); err != nil {
			return err
		}
	}
	for len(cursors) > 0 {
		if cursors[0].Queue.Shared {
			if err := s.acknowledgeShared(ctx, &cursors[0]); err != nil {
				return err
			}
			cursors = cursors[1:]
			continue
		}
		n := 1
		for n < len(cursors) && n < min(ackShare, s.share/maxCursor) && !cursors[n].Queue.Shared {
			n++
		}
		if err := s.acknowledge(ctx, cursors[:n]); err != nil {
			return err
		}
		cursors = cursors[n:]
	}
	return nil
}

// checkCursors refuses a call that names what was never stored, before it changes anything.
func (s *Store) checkCursors(cursors []store.Cursor) error {
	for i := range cursors {
		q := &cursors[i].Queue
		o, err := s.pin(keyOf(q))
		if err != nil {
			return err
		}
		o.mu.Lock()
		if q.Shared {
			err = s.checkShared(o, &cursors[i])
		} else {
			err = s.checkCursor(o, o.find(q.Group), cursors[i].Seq)
		}
		o.mu.Unlock()
		o.unpin()
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCursor returns ErrBeyondLast if nobody can have read message seq of st, which may be nil: it may have been forgotten then.
func (s *Store) checkCursor(o *object, st *stream, seq uint64) error {
	last := o.floor
	if st != nil {
		last = st.readable(s.durable.Load())
	}
	if seq > last {
		return fmt.Errorf("%w: %d above %d", store.ErrBeyondLast, seq, last)
	}
	return nil
}

var ackPool = sync.Pool{New: func() any { return new(ackOp) }}

// acknowledge repeats until everything is done.
func (s *Store) acknowledge(ctx context.Context, cursors []store.Cursor) error {
	o := ackPool.Get().(*ackOp)
	defer ackPool.Put(o)
	for o.again = true; o.again; {
		err := o.prepare(s, cursors)
		if err == nil && len(o.moves) > 0 {
			err = s.do(ctx, o)
		}
		if err == nil && s.watchers.Load() > 0 {
			for i := range o.moves {
				s.hub.Notify(o.moves[i].stream.id)
			}
		}
		o.release()
		if err != nil {
			return err
		}
	}
	return nil
}

// move is what is to be done with one stream. The part about the tree was read when its cold part went up to cold.
type move struct {
	stream *stream
	to     uint64
	cold   uint64
	cum    uint64 // of message to, if that is in the tree
}

// ackOp moves cursors of queues. Sweep uses it too.
type ackOp struct {
	objects []*object
	moves   []move
	ids     changes // that are kept longer because their messages lay in the tree
	again   bool    // there is more to do
	cursors []cursor
}

func (o *ackOp) size() (int, int)    { return 1 + timeSize + len(o.moves)*maxCursor + len(o.ids) + 1, 2 }
func (o *ackOp) needs() (bool, bool) { return false, false }

// prepare finds the streams, and reads what has to be known of messages in the tree.
func (o *ackOp) prepare(s *Store, cursors []store.Cursor) error {
	o.again = false
	left, bucket := uint64(min(ackCold, s.share/maxIDChange)), bucketOf(s.opts.Clock().UnixMilli())
	for i := range cursors {
		c := &cursors[i]
		object, err := s.pin(keyOf(&c.Queue))
		if err != nil {
			return err
		}
		o.objects = append(o.objects, object)
		object.mu.Lock()
		st := object.find(c.Queue.Group)
		if err := s.checkCursor(object, st, c.Seq); err != nil || st == nil || c.Seq <= st.acked {
			object.mu.Unlock()
			if err != nil {
				return err
			}
			continue
		}
		m := move{stream: st, to: c.Seq, cold: st.cold}
		acked, cum, seen := st.acked, st.ackedCum, st.seen
		object.mu.Unlock()
		if m.cold > acked {
			if left == 0 {
				o.again = true
				continue
			}
			if m.to > acked+left {
				m.to, o.again = acked+left, true
			}
			m.cum = cum
			if seen.to == min(m.to, m.cold) && seen.bucket >= bucket {
				m.cum = seen.cum
			} else if err := o.readCold(s, &m, acked, bucket); err != nil {
				return err
			}
			left -= min(left, m.to-acked)
		}
		o.moves = append(o.moves, m)
	}
	return nil
}

// readCold finds the cum of the last message, and the ids that would otherwise be forgotten too soon.
func (o *ackOp) readCold(s *Store, m *move, acked uint64, bucket uint32) error {
	return s.scanCold(&m.stream.name, acked+1, min(m.to, m.cold), func(seq uint64, c *cold, err error) (bool, error) {
		if err != nil {
			return true, nil // it is acknowledged away
		}
		m.cum = c.cum
		if c.bucket < bucket {
			id := s.names.id(&m.stream.name, &c.id)
			o.ids.set(appendIDKey(nil, bucket, &id), appendSeq(nil, seq))
			s.ids.runs.Note(bucket, &id)
		}
		return true, nil
	})
}

func (o *ackOp) release() {
	for i, object := range o.objects {
		object.unpin()
		o.objects[i] = nil
	}
	clear(o.moves)
	o.objects, o.moves, o.ids, o.cursors = o.objects[:0], o.moves[:0], o.ids[:0], o.cursors[:0]
}

func (o *ackOp) decide(b *batch) {
	n := 1 + timeSize
	kept := o.moves[:0]
	for _, m := range o.moves {
		if c, ok := b.move(&m); ok {
			o.cursors = append(o.cursors, c)
			kept = append(kept, m)
			n += c.size()
		} else if m.stream.acked < m.to && !m.stream.forgotten {
			o.again = true
		}
	}
	if o.moves = kept; len(kept) == 0 {
		return
	}
	if len(o.ids) > 0 {
		b.changeLogged(o.ids)
	}
	record, pos := b.record(n)
	record = appendTime(append(record[:0], recordAck), b.ms)
	for i := range o.cursors {
		record = o.cursors[i].append(record)
		b.d.window.touch(kept[i].stream, pos)
	}
}

// move moves a cursor if that is still right, and returns what the log is to say.
func (b *batch) move(m *move) (cursor, bool) {
	st := m.stream
	st.object.mu.Lock()
	defer st.object.mu.Unlock()
	if st.forgotten || m.to <= st.acked || m.to > st.last {
		return cursor{}, false
	}
	if st.cold > st.acked && st.cold != m.cold {
		return cursor{}, false // more went to the tree since
	}
	cum := m.cum
	if m.to > st.cold {
		cum = st.cumAt(m.to)
	}
	c := cursor{}
	if st.cold > st.acked {
		c.coldTop = min(m.to, st.cold)
		c.cold = c.coldTop - st.acked
		b.change(removeCold(&st.name, c.coldTop, c.cold))
	}
	b.s.counters.acknowledged.Add(m.to - st.acked)
	st.drop(m.to)
	st.acked, st.ackedCum = m.to, min(max(cum, st.ackedCum), st.lastCum)
	st.touched = b.ms
	now := st.cursor()
	now.cold, now.coldTop = c.cold, c.coldTop
	return now, true
}

// removeCold removes the n messages up to top from the tree.
func removeCold(stream *name, top, n uint64) (c changes) {
	var key [messageKeySize]byte
	for seq := top - n + 1; seq <= top && seq != 0; seq++ {
		c.delete(appendMessageKey(key[:0], stream, seq))
	}
	return c
}
