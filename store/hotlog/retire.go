package hotlog

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store/internal/disk"
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
	added   chan struct{} // receives when there is another run of ids
	stop    chan struct{}
	stopped chan struct{}
	hot     atomic.Int64  // ids in the log, of window.hot
	late    atomic.Bool   // the log is much longer than it should be
	step    chan struct{} // receives when it has done a step, and asks the decider for the next
	taken   *segment      // what is being retired; kept when that has to be tried again
	still   sync.Mutex    // held while a segment is retired, or a snapshot is made

	segments, messages atomic.Uint64 // retired, moved
}

func newRetirer(s *Store) *retirer {
	return &retirer{s: s, kick: make(chan struct{}, 1), added: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}), step: make(chan struct{}, 1)}
}

// look is the decider's: it wakes the retirer when the log is too long.
func (r *retirer) look(w *window) {
	r.hot.Store(int64(w.hot))
	size, long := r.long()
	r.late.Store(long && size > 2*r.s.opts.LogBytes+r.s.opts.SegmentBytes)
	if !long {
		return
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// long says how long the log is, and whether that is too long.
func (r *retirer) long() (size int64, tooLong bool) {
	count := r.s.log.Segment() - r.s.log.Oldest() + 1
	size = int64(count) * r.s.opts.SegmentBytes
	return size, count > 1 && (size > r.s.opts.LogBytes || r.hot.Load() > int64(r.s.opts.HotRecords))
}

func (r *retirer) run() {
	defer close(r.stopped)
	for {
		select {
		case <-r.stop:
			return
		case <-r.s.fail.Failed():
			return
		case <-r.kick:
		}
		if _, long := r.long(); !long { // any more: the decider looked before the last one was retired
			continue
		}
		if err := r.retire(); err != nil {
			r.s.opts.Logger.Warn("store: retiring a segment of the log", "err", err)
			select {
			case <-r.stop:
				return
			case <-time.After(disk.RetryPause):
			}
		}
	}
}

// wait waits for its end; but after a failure the tree may hold it for ever.
func (r *retirer) wait() {
	select {
	case <-r.stopped:
	case <-r.s.fail.Failed():
		select {
		case <-r.stopped:
		case <-time.After(time.Second):
		}
	}
}

// retire retires the oldest segment.
func (r *retirer) retire() error {
	r.still.Lock()
	defer r.still.Unlock()
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

// do has the decider decide o, which is a retiring op.
func (r *retirer) do(o op) error {
	select {
	case r.step <- struct{}{}: // before: it may be held up
	default:
	}
	return r.s.do(context.Background(), o)
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
	case <-r.s.fail.Failed():
		return r.s.fail.Err()
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
