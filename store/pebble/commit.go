package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

const (
	// maxBatch is when a batch is written even though more waits: bytes, and requests.
	maxBatch    = 8 << 20
	maxRequests = 4096
	// lazySync is how long what needs no sync (cursors) may wait for one when nothing else comes.
	lazySync = time.Second
	// spaceInterval and spaceBytes are how often free disk space is looked at.
	spaceInterval = time.Second
	spaceBytes    = 8 << 20
)

// op is a change. apply runs in the committer; it checks everything before it changes anything, and returns false
// if it has more to do in the next batch. When the batch is on disk the op's result is the caller's.
type op interface {
	apply(t *tx) (done bool)
	// sync says whether the caller may be answered only after an fsync.
	sync() bool
	// fail sets the result when the op was not, or not certainly, done.
	fail(err error)
}

type request struct {
	ctx  context.Context
	op   op
	done chan struct{}

	mu        sync.Mutex // held while the op is applied, and reads what is the caller's
	started   bool
	abandoned bool // the caller has gone
}

// abandon makes the committer leave the request alone, so that the caller may return. Whatever is applied by then is a copy.
func (r *request) abandon() {
	r.mu.Lock()
	r.abandoned = true
	r.mu.Unlock()
}

// apply returns false if there is more to do in the next batch, and whether the caller's answer needs an fsync.
func (r *request) apply(t *tx) (done, sync bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.abandoned {
		return true, false
	}
	if !r.started && r.ctx.Err() != nil {
		r.op.fail(context.Cause(r.ctx))
		return true, false
	}
	r.started = true
	return r.op.apply(t), r.op.sync()
}

var donePool = sync.Pool{New: func() any { return make(chan struct{}, 1) }}

// do hands o to the committer and waits. On an error the op's results must not be read.
func (s *Store) do(ctx context.Context, o op) error {
	if err := s.fail.Err(); err != nil {
		return err
	}
	r := &request{ctx: ctx, op: o, done: donePool.Get().(chan struct{})}
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.closing:
		return store.ErrClosed
	case <-s.fail.Failed():
		return s.fail.Err()
	}
	select {
	case <-r.done:
		donePool.Put(r.done)
		return nil
	case <-ctx.Done():
		r.abandon()
		return context.Cause(ctx)
	case <-s.fail.Failed():
		r.abandon()
		return s.fail.Err()
	case <-s.stopped:
		select {
		case <-r.done:
			return nil
		default:
		}
		if err := s.fail.Err(); err != nil {
			return err // which is why it ended
		}
		return store.ErrClosed
	}
}

// committer is the goroutine that writes. Nothing else touches its fields.
type committer struct {
	s      *Store
	heads  *lru[store.QueueID, head]
	owners *lru[store.Identity, owner]
	next   uint64 // number of the next queue
	ids    *filters
	loaded chan *filters // the ids of before the start, once

	pending  []*request
	finished []*request
	unsynced bool

	spaceAt    time.Time
	spaceBytes uint64
	free       uint64
}

func newCommitter(s *Store) (*committer, error) {
	c := &committer{
		s:      s,
		heads:  newLRU[store.QueueID, head](s.opts.CachedQueues),
		owners: newLRU[store.Identity, owner](s.opts.CachedQueues),
		next:   1,
		ids:    newFilters(),
		loaded: make(chan *filters, 1),
	}
	value, closer, err := s.db.Get(counterKey)
	if errors.Is(err, lsm.ErrNotFound) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer closer.Close()
	if len(value) != 8 {
		return nil, fmt.Errorf("%w: queue counter of %d bytes", store.ErrCorrupt, len(value))
	}
	c.next = binary.BigEndian.Uint64(value)
	return c, nil
}

// run ends when the store closes, after what waits is done, or when writing failed.
func (c *committer) run() {
	defer close(c.s.stopped)
	timer := time.NewTimer(lazySync)
	defer timer.Stop()
	for {
		if len(c.pending) == 0 {
			select {
			case r := <-c.s.requests:
				c.pending = append(c.pending, r)
			case old := <-c.loaded:
				c.ids.merge(old)
				continue
			case <-timer.C:
				if c.unsynced && !c.write(nil, true) {
					return
				}
				continue
			case <-c.s.closing:
				c.drain()
				return
			}
		}
		c.gather()
		if !c.commit() {
			return
		}
		timer.Reset(lazySync)
	}
}

// gather adds what waits already.
func (c *committer) gather() {
	select {
	case old := <-c.loaded:
		c.ids.merge(old)
	default:
	}
	for len(c.pending) < maxRequests {
		select {
		case r := <-c.s.requests:
			c.pending = append(c.pending, r)
		default:
			return
		}
	}
}

// drain finishes what was handed over before Close.
func (c *committer) drain() {
	for {
		c.gather()
		if len(c.pending) == 0 {
			if c.unsynced {
				c.write(nil, true)
			}
			return
		}
		if !c.commit() {
			return
		}
	}
}

// commit applies what is pending to one batch, writes it, publishes it, and answers. It returns false after a failure.
func (c *committer) commit() bool {
	t := &tx{c: c, b: c.s.db.NewBatch(), now: c.s.opts.Clock()}
	c.checkSpace(t.now)
	sync := false
	kept := c.pending[:0]
	for i, r := range c.pending {
		if t.b.Len() >= maxBatch {
			kept = append(kept, c.pending[i:]...)
			break
		}
		done, needsSync := r.apply(t)
		sync = sync || needsSync
		if done {
			c.finished = append(c.finished, r)
		} else {
			kept = append(kept, r)
		}
	}
	clear(c.pending[len(kept):])
	c.pending = kept
	t.flush()
	if !c.write(t.b, sync) {
		return false
	}
	c.heads.trim()
	c.owners.trim()
	for q := range t.news {
		c.s.hub.Notify(q)
	}
	for i, r := range c.finished {
		r.done <- struct{}{}
		c.finished[i] = nil
	}
	c.finished = c.finished[:0]
	return true
}

// write writes b (nil: only syncs) and makes it what readers see. After an error or a panic in pebble the store has failed: what was
// decided here is not on disk, so nobody may be told.
func (c *committer) write(b *lsm.Batch, sync bool) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			c.s.fail.Set(fmt.Errorf("write: %v", r))
			ok = false
		}
	}()
	if b != nil && b.Empty() {
		return b.Close() == nil
	}
	mode := lsm.NoSync
	if sync {
		mode = lsm.Sync
	}
	var err error
	if b != nil {
		if err = b.Commit(mode); err == nil {
			err = b.Close()
		}
	} else {
		err = c.s.db.LogData(nil, mode)
	}
	if err == nil {
		err = c.s.fail.Err()
	}
	if err != nil {
		c.s.fail.Set(err)
		return false
	}
	c.unsynced = !sync
	c.s.counters.commits.Add(1)
	if sync {
		c.s.counters.syncs.Add(1)
	}
	c.s.views.publish(c.s.db.NewSnapshot())
	return true
}

// checkSpace looks at the free disk space now and then.
func (c *committer) checkSpace(now time.Time) {
	if !c.spaceAt.IsZero() && now.Sub(c.spaceAt).Abs() < spaceInterval && c.spaceBytes < spaceBytes {
		return
	}
	c.spaceAt, c.spaceBytes, c.free = now, 0, ^uint64(0)
	if usage, err := c.s.opts.FS.GetDiskUsage(c.s.dir); err == nil {
		c.free = usage.AvailBytes
	}
}

// room returns ErrFull if new data of n bytes would eat into the reserve, which is for cursors, removals and compactions.
func (c *committer) room(n int) error {
	if reserve := c.s.opts.Reserve + 4*c.spaceBytes + uint64(n); c.free < reserve {
		return fmt.Errorf("%w: %d bytes free, %d reserved", store.ErrFull, c.free, c.s.opts.Reserve)
	}
	c.spaceBytes += uint64(n)
	return nil
}
