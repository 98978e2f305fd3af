package hotlog

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

const (
	// retireStep is how many bytes of messages, and retireStreams how many streams, leave the log together.
	retireStep    = 1 << 20
	retireStreams = 512
)

// retirer moves what is left of the oldest segments of the log to the tree, in a goroutine of its own, step by step.
type retirer struct {
	s       *Store
	kick    chan struct{}
	stop    chan struct{}
	stopped chan struct{}
	late    atomic.Bool   // the log is much longer than it should be
	step    chan struct{} // receives when the retirer has come a step further
	taken   *segment      // what is being retired; kept when that has to be tried again

	segments, messages atomic.Uint64 // retired, moved
}

func newRetirer(s *Store) *retirer {
	return &retirer{s: s, kick: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}), step: make(chan struct{}, 1)}
}

// look is the decider's: it wakes the retirer when the log is too long.
func (r *retirer) look(w *window) {
	count := r.s.log.Segment() - r.s.log.Oldest() + 1
	size := int64(count) * r.s.opts.SegmentBytes
	if count > 1 && (size > r.s.opts.LogBytes || w.hot > r.s.opts.HotRecords) {
		r.late.Store(size > 2*r.s.opts.LogBytes+r.s.opts.SegmentBytes)
		select {
		case r.kick <- struct{}{}:
		default:
		}
		return
	}
	r.late.Store(false)
}

// throttle holds the decider up for a moment while the retirer cannot follow.
func (s *Store) throttle() {
	if !s.retirer.late.Load() {
		return
	}
	select {
	case <-s.retirer.step:
	case <-time.After(20 * time.Millisecond):
	case <-s.fail.failed:
	}
}

func (r *retirer) run() {
	defer close(r.stopped)
	for {
		select {
		case <-r.stop:
			return
		case <-r.s.fail.failed:
			return
		case <-r.kick:
		}
		if err := r.retire(); err != nil {
			r.s.opts.Logger.Warn("store: retiring a segment of the log", "err", err)
			select {
			case <-r.stop:
				return
			case <-time.After(retryPause):
			}
		}
	}
}

// retire retires the oldest segment.
func (r *retirer) retire() error {
	number := r.s.log.Oldest()
	if number >= r.s.log.Segment() {
		return nil
	}
	take := &takeOp{number: number}
	if err := r.do(take); err != nil { // from here on all that is in the segment is durable
		return err
	}
	if err := r.set([]byte{kindFirst}, firstNote(number, true)); err != nil {
		return err
	}
	if take.segment != nil {
		r.taken = take.segment
	}
	if g := r.taken; g != nil {
		if err := r.move(g); err != nil {
			return err
		}
		if err := r.moveIDs(g); err != nil {
			return err
		}
	}
	if err := r.do(&takeOp{number: 0}); err != nil { // all changes before are in the tree
		return err
	}
	if err := r.set([]byte{kindFirst}, firstNote(number+1, false)); err != nil {
		return err
	}
	if err := r.flush(); err != nil {
		return err
	}
	if err := r.s.log.Retire(number); err != nil {
		return err
	}
	r.taken = nil
	r.segments.Add(1)
	return nil
}

func (r *retirer) do(o op) error {
	err := r.s.do(context.Background(), o)
	select {
	case r.step <- struct{}{}:
	default:
	}
	return err
}

func (r *retirer) set(key, value []byte) error { return r.s.tree.db.Set(key, value, lsm.NoSync) }

func (r *retirer) apply(b *lsm.Batch) error {
	defer b.Close()
	if b.Empty() {
		return nil
	}
	return r.s.tree.db.Apply(b, lsm.NoSync)
}

// flush waits until the tree's memory is on disk, or the engine has failed.
func (r *retirer) flush() error {
	done, err := r.s.tree.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-r.s.fail.failed:
		return r.s.fail.err()
	}
}

// takeOp takes a segment out of the window; it is answered when all before it is durable, and in the tree.
type takeOp struct {
	number  uint64
	segment *segment
}

func (o *takeOp) size() (int, int)    { return 1, 1 }
func (o *takeOp) needs() (bool, bool) { return true, false }

func (o *takeOp) decide(b *batch) {
	record, _ := b.record(1)
	record[0] = recordPad
	if o.number != 0 {
		o.segment = b.d.window.take(o.number)
	}
}

// moveIDs brings the ids of a segment to the tree. The decider forgets them when nobody can have looked them up before that.
func (r *retirer) moveIDs(g *segment) error {
	bucket := bucketOf(r.s.opts.Clock().UnixMilli())
	for _, block := range g.ids {
		seqs := &idsOp{ids: block, seqs: make([]uint64, len(block)), segment: g.number}
		if err := r.do(seqs); err != nil {
			return err
		}
		b := r.s.tree.db.NewBatch()
		for i := range block {
			if seqs.seqs[i] == 0 {
				continue
			}
			r.s.ids.add(bucket, &block[i])
			must(b.Set(appendIDKey(nil, bucket, &block[i]), appendSeq(nil, seqs.seqs[i]), nil))
		}
		if err := r.apply(b); err != nil {
			return err
		}
	}
	epoch := r.s.idEpoch.Add(1)
	for _, block := range g.ids {
		if err := r.do(&idsOp{ids: block, epoch: epoch}); err != nil {
			return err
		}
	}
	return nil
}

// idsOp reads what the decider knows of ids, or, with an epoch, has it forget them.
type idsOp struct {
	ids     []name
	seqs    []uint64
	segment uint64
	epoch   uint64
}

func (o *idsOp) size() (int, int)    { return 0, 0 }
func (o *idsOp) needs() (bool, bool) { return false, false }

func (o *idsOp) decide(b *batch) {
	w := &b.d.window
	if o.epoch > 0 {
		w.retired = max(w.retired, o.epoch)
		w.forgetIDs(o.ids)
		return
	}
	for i := range o.ids {
		o.seqs[i] = w.ids[o.ids[i]]
	}
}

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
			key := appendExpiryKey(nil, hour, &st.name)
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
