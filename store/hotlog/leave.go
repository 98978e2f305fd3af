package hotlog

import (
	"errors"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// leaving is what of one stream leaves the log: the messages above the cursor, first to last.
type leaving struct {
	stream      *stream
	first, last uint64
}

// move brings a segment's messages, and the states of streams that nothing else in the log tells of, to the tree.
func (r *retirer) move(g *segment) error {
	var step []leaving
	b := r.s.tree.db.NewBatch()
	end := func() error {
		if err := r.apply(b); err != nil {
			return err
		}
		err := r.do(&movedOp{segment: g.number, streams: step})
		step, b = nil, r.s.tree.db.NewBatch()
		return err
	}
	for _, st := range g.streams {
		l, err := r.copy(b, st, g.number)
		if err != nil {
			_ = b.Close()
			return err
		}
		step = append(step, l)
		if b.Len() > retireStep || len(step) >= retireStreams {
			if err := end(); err != nil {
				return err
			}
		}
	}
	return end()
}

// copy adds the messages that one stream has in a segment to b.
func (r *retirer) copy(b *lsm.Batch, st *stream, segment uint64) (leaving, error) {
	l := leaving{stream: st}
	st.object.mu.Lock()
	entries := st.entries()
	n := 0
	for n < len(entries) && entries[n].pos.Segment <= segment {
		n++
	}
	entries = append([]entry(nil), entries[:n]...)
	l.first = st.firstHot()
	st.object.mu.Unlock()
	if n == 0 {
		return l, nil
	}
	l.last = l.first + uint64(n) - 1
	now := r.s.opts.Clock().UnixMilli()
	bucket, hour := bucketOf(now), uint32(0)
	for i := range entries {
		e := &entries[i]
		m, err := r.s.coldOf(e, now)
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				return l, err
			}
			r.s.opts.Logger.Error("store: a message is lost to a corrupt log", "segment", e.pos.Segment, "offset", e.pos.Offset, "err", err)
			continue
		}
		m.bucket = bucket
		key := appendMessageKey(nil, &st.name, l.first+uint64(i))
		must(b.Set(key, r.s.tree.seal.seal(nil, key, m.append(nil)), nil))
		if h := hourOf(m.expires); hour == 0 || h < hour {
			hour = h
			key := appendExpiryKey(nil, hour, &st.name, l.last)
			must(b.Set(key, r.s.tree.seal.seal(nil, key, appendQueue(nil, &st.id)), nil))
		}
		r.messages.Add(1)
	}
	return l, nil
}

// coldOf is the message of an entry as the tree is to hold it.
func (s *Store) coldOf(e *entry, now int64) (cold, error) {
	h, payload, err := s.message(e)
	if err != nil {
		return cold{}, err
	}
	m := cold{accepted: h.accepted, expires: h.expires, cum: h.cum, id: h.id, payload: payload}
	if h.expires <= now {
		m.payload = nil
	}
	return m, nil
}

// movedOp makes what was copied cold, and what the log tells nothing else of clean.
type movedOp struct {
	segment uint64
	streams []leaving
	clean   []*stream
}

func (o *movedOp) size() (int, int)    { return 0, 0 }
func (o *movedOp) needs() (bool, bool) { return true, false }

func (o *movedOp) decide(b *batch) {
	for i := range o.streams {
		o.one(b, &o.streams[i])
	}
}

func (o *movedOp) one(b *batch, l *leaving) {
	st := l.stream
	st.object.mu.Lock()
	defer st.object.mu.Unlock()
	if l.last >= l.first && l.last > 0 {
		if gone := min(l.last, st.acked); gone >= l.first || st.forgotten { // acknowledged meanwhile
			if st.forgotten {
				gone = l.last
			}
			b.change(removeCold(&st.name, gone, gone-l.first+1))
		}
		if !st.forgotten {
			st.cold = max(st.cold, l.last)
			st.drop(l.last)
		}
	}
	if st.segment > o.segment {
		return
	}
	if !st.forgotten {
		var c changes
		c.setSealed(b.s.tree, appendMetaKey(nil, &st.object.name, &st.name), st.appendMeta(nil))
		b.change(c)
	}
	o.clean = append(o.clean, st)
}

func (o *movedOp) published(b *batch) {
	for _, st := range o.clean {
		st.object.mu.Lock()
		if st.segment <= o.segment && st.segment != 0 {
			st.segment = 0
			st.object.dirty.Add(-1)
			b.d.window.unexpire(st)
		}
		st.object.mu.Unlock()
	}
}
