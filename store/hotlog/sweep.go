package hotlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// sweeper removes some kind of expired things, at most budget, and says how many, and whether there may be more.
type sweeper func(ctx context.Context, budget int) (removed int, more bool, err error)

// Sweep implements store.Store. What has not expired costs it nothing.
func (s *Store) Sweep(ctx context.Context, budget int) (store.SweepResult, error) {
	if budget < 1 {
		return store.SweepResult{}, fmt.Errorf("%w: a budget of %d", store.ErrInvalid, budget)
	}
	if !s.use() {
		return store.SweepResult{}, store.ErrClosed
	}
	defer s.life.RUnlock()
	if err := s.fail.Err(); err != nil {
		return store.SweepResult{}, err
	}
	var result store.SweepResult
	var failed error
	for _, f := range append([]sweeper{s.sweepIDs, s.sweepCold, s.sweepHot}, s.sweepers...) {
		if result.Removed >= budget {
			result.More = true
			return result, failed
		}
		removed, more, err := f(ctx, budget-result.Removed)
		failed = errors.Join(failed, err) // what keeps one kind from being swept keeps no other
		result.Removed += removed
		s.counters.swept.Add(uint64(removed))
		result.More = result.More || more && err == nil
	}
	return result, failed
}

// sweepIDs drops the buckets of message ids that nobody needs any more, each as a whole.
func (s *Store) sweepIDs(context.Context, int) (removed int, more bool, err error) {
	oldest := oldestBucket(s.opts.Clock())
	if _, err := s.ids.runs.Drop(oldest); err != nil {
		return 0, false, err
	}
	end := binary.BigEndian.AppendUint32([]byte{kindID}, oldest)
	var first []byte
	err = s.tree.scan([]byte{kindID}, end, func(key, _ []byte) (bool, error) {
		first = append(first, key[:min(len(key), 5)]...)
		return false, nil
	})
	if err != nil || len(first) != 5 {
		return 0, false, err
	}
	if err := s.tree.db.DeleteRange(first, end, lsm.NoSync); err != nil {
		return 0, false, err
	}
	return int(oldest - binary.BigEndian.Uint32(first[1:])), false, nil
}

// sweepStreams is how many queues one op looks at.
const sweepStreams = 40

// sweepHot moves the cursors of queues over what expired in the log.
func (s *Store) sweepHot(ctx context.Context, budget int) (int, bool, error) {
	o := &sweepOp{budget: uint64(budget)}
	if err := s.do(ctx, o); err != nil {
		return 0, false, err
	}
	for _, q := range o.moved {
		s.hub.Notify(q)
	}
	return int(o.removed), o.more, nil
}

// sweepOp looks at the queues that have something to expire by now.
type sweepOp struct {
	ack     ackOp
	budget  uint64
	removed uint64
	more    bool
	moved   []store.QueueID
}

func (o *sweepOp) size() (int, int)    { return 1 + timeSize + sweepStreams*maxCursor + 1, 2 }
func (o *sweepOp) needs() (bool, bool) { return false, false }

func (o *sweepOp) decide(b *batch) {
	w := &b.d.window
	var due []*stream
	hour := uint32(max(b.ms, 0) / msPerHour)
	for h, streams := range w.expiry {
		if h > hour {
			continue
		}
		for st := range streams {
			if len(due) == sweepStreams {
				o.more = true
				break
			}
			due = append(due, st)
		}
	}
	for _, st := range due {
		if o.removed >= o.budget {
			o.more = true
			break
		}
		w.unexpire(st)
		o.one(b, st)
	}
	if len(o.ack.moves) > 0 {
		o.ack.decide(b)
	}
}

// one adds a move over the expired messages at the head of a queue, and sees to it that the rest is looked at in time.
func (o *sweepOp) one(b *batch, st *stream) {
	st.object.mu.Lock()
	defer st.object.mu.Unlock()
	if st.forgotten {
		return
	}
	if st.cold > st.acked { // what lies in the tree comes first
		b.d.window.expire(st, b.ms+1)
		return
	}
	to := st.acked
	for _, e := range st.entries() {
		if e.expires > b.ms || e.batch > b.s.durable.Load() {
			b.d.window.expire(st, e.expires)
			break
		}
		if o.removed >= o.budget {
			o.more = true
			b.d.window.expire(st, 0)
			break
		}
		o.removed++
		to++
	}
	if to > st.acked {
		o.ack.moves = append(o.ack.moves, move{stream: st, to: to, cold: st.cold})
		o.moved = append(o.moved, st.id)
	}
}

// expiryNote says that a queue has something to expire among the messages that came to the tree with, or before, message seq.
type expiryNote struct {
	key   []byte
	queue store.QueueID
	seq   uint64
}

// sweepCold moves the cursors of queues over what expired in the tree.
func (s *Store) sweepCold(ctx context.Context, budget int) (removed int, more bool, err error) {
	found, more, err := s.expiryNotes(min(budget, sweepStreams))
	if err != nil || len(found) == 0 {
		return 0, false, err
	}
	var c changes
	for i := range found {
		d := &found[i]
		r, err := s.sweepQueue(ctx, d, budget-removed)
		if errors.Is(err, store.ErrCorrupt) { // it must not keep the others from being swept
			s.opts.Logger.Error("store: a queue cannot be swept", "err", err)
			r, err = sweptQueue{seq: d.seq, next: s.opts.Clock().UnixMilli()}, nil
		}
		if err != nil {
			return removed, true, err
		}
		if removed += r.removed; removed >= budget {
			more = true
			break // the note of this queue stays
		}
		if r.moving { // in an hour it will have moved
			r.seq, r.next = d.seq, s.opts.Clock().UnixMilli()
		}
		c.delete(d.key)
		if r.next != 0 {
			stream := s.names.stream(&d.queue)
			key := appendExpiryKey(nil, hourOf(r.next), &stream, r.seq)
			c.setSealed(s.tree, key, appendQueue(nil, &d.queue))
		}
	}
	if len(c) == 0 {
		return removed, more, nil
	}
	return removed, more, s.do(ctx, &changeOp{c})
}

// expiryNotes are the notes of the hours up to now, at most n, and whether there are more.
func (s *Store) expiryNotes(n int) (found []expiryNote, more bool, err error) {
	hour := uint32(max(s.opts.Clock().UnixMilli(), 0) / msPerHour)
	end := binary.BigEndian.AppendUint32([]byte{kindExpiry}, hour+1)
	err = s.tree.scan([]byte{kindExpiry}, end, func(key, value []byte) (bool, error) {
		if len(found) == n {
			more = true
			return false, nil
		}
		plain, err := s.tree.seal.open(key, value)
		d := expiryNote{key: append([]byte(nil), key...)}
		if err == nil {
			r := reader{b: plain}
			d.queue = r.queue()
			err = r.err
		}
		if len(key) != expiryKeySize {
			err = fmt.Errorf("%w: key of %d bytes", store.ErrCorrupt, len(key))
		} else {
			d.seq = binary.BigEndian.Uint64(key[expiryKeySize-8:])
		}
		if err != nil { // nothing can be found by it
			s.opts.Logger.Error("store: corrupt note of what expires", "err", err)
		}
		found = append(found, d)
		return true, nil
	})
	return found, more, err
}

// sweptQueue is what a look at one queue's part in the tree came to.
type sweptQueue struct {
	removed int
	moving  bool   // the note is of messages that the log still has, too: it stays
	seq     uint64 // of the first message that is left
	next    int64  // when that is to be looked at, ms; 0 for never
}

// sweepQueue removes the expired messages at the head of a queue's part in the tree.
func (s *Store) sweepQueue(ctx context.Context, d *expiryNote, budget int) (r sweptQueue, err error) {
	o, err := s.pin(keyOf(&d.queue))
	if err != nil {
		return r, err
	}
	defer o.unpin()
	o.mu.Lock()
	st := o.find(d.queue.Group)
	var acked, moved, last uint64
	if st != nil {
		acked, moved, last = st.acked, st.cold, st.last
	}
	o.mu.Unlock()
	if d.seq > max(acked, moved) && d.seq <= last { // copied to the tree, and not yet taken from the log
		r.moving = true
		return r, nil
	}
	if st == nil || moved <= acked {
		return r, nil
	}
	now, to := s.opts.Clock().UnixMilli(), acked
	err = s.scanCold(&st.name, acked+1, moved, func(seq uint64, m *cold, err error) (bool, error) {
		switch {
		case err != nil || seq != to+1: // its reader is to be told, and may do so by the next hour
			r.seq, r.next = to+1, now
		case m.expires > now:
			r.seq, r.next = seq, m.expires
		default:
			to = seq
			r.removed++
			return r.removed < budget, nil
		}
		return false, nil
	})
	if err != nil || r.removed == 0 {
		return r, err
	}
	return r, s.acknowledge(ctx, []store.Cursor{{Queue: d.queue, Seq: to}})
}

// changeOp changes the tree, durably, and nothing else.
type changeOp struct{ c changes }

func (o *changeOp) size() (int, int)    { return 1 + len(o.c), 1 }
func (o *changeOp) needs() (bool, bool) { return true, false }
func (o *changeOp) decide(b *batch)     { b.changeLogged(o.c) }
