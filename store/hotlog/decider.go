package hotlog

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

const (
	// maxBatch and maxRecords are when a batch is written even though more waits.
	maxBatch   = 4 << 20
	maxRecords = 8192
	// maxChange is the largest single op, bytes: one that is larger than a batch is written alone.
	maxChange = 16 << 20
	// lazySync is how long what needs no sync may wait for one when nothing else comes.
	lazySync = time.Second
	// maxLazy is how much of the tree's changes may wait for a sync, bytes.
	maxLazy = 4 << 20
)

// op is a change. The decider calls size, and then decide, which must not wait for anything nor read the disk; what is decided cannot fail any more, but
// for the disk, so decide writes records of at most the size that was said. What an op touches is pinned and loaded by the caller.
type op interface {
	// size bounds the bytes and the number of the records.
	size() (bytes, records int)
	// needs says whether the caller may be answered only when it is on disk, and whether it takes room that a full disk does not have.
	needs() (sync, room bool)
	decide(b *batch)
}

// after is what an op that needs a sync may have beside: its end. published is called in the decider once its batch is durable, and its changes
// are in the tree.
type after interface{ published(b *batch) }

// batch is what is written at once. Only ops use it, in decide.
type batch struct {
	s      *Store
	d      *decider
	number uint64
	now    time.Time
	ms     int64 // of now
	log    *wal.Batch
	tree   *lsm.Batch // applied with the next sync

	mayForget bool // the op left room for one record of kind recordForget
}

// record gives room for a record of n bytes, to be filled before decide returns.
func (b *batch) record(n int) ([]byte, wal.Pos) { return b.log.Record(n) }

// change applies what a record says to the tree, once it is durable.
func (b *batch) change(c changes) { must(c.apply(b.tree)) }

// changeLogged makes a record of kind recordTree of c, and applies it.
func (b *batch) changeLogged(c changes) {
	r, _ := b.record(1 + len(c))
	r[0] = recordTree
	copy(r[1:], c)
	b.change(c)
}

// must is for writes to a batch, which is memory: pebble returns an error there only for a batch that is closed or too large.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// decider decides everything, in one goroutine, batch after batch. While the disk syncs what it wrote it goes on; the next sync is for all of that.
type decider struct {
	s      *Store
	number uint64
	batch  batch
	taken  []*call
	cache  cache
	window window
	sync   syncing
}

func newDecider(s *Store) *decider {
	d := &decider{s: s, cache: cache{limit: s.opts.PayloadCache}, window: newWindow(), sync: newSyncing(s)}
	d.batch = batch{s: s, d: d, tree: s.tree.db.NewBatch()}
	return d
}

func (d *decider) run() {
	defer close(d.s.stopped)
	go d.sync.run(d.s.log, d.s.tree.db)
	defer close(d.sync.begin)
	failed := d.s.fail.Failed()
	for {
		select {
		case <-failed:
			d.surrender()
			failed = nil
		case <-d.s.queue.kick:
			if d.drain() {
				d.end()
				return
			}
		case err := <-d.sync.ended:
			d.land(err)
		case <-d.sync.lazy.C:
			d.sync.runs, d.sync.wanted = false, true
			d.depart()
		}
	}
}

// drain decides all that waits. It returns true if the store is closed, and nothing more will come.
func (d *decider) drain() (closed bool) {
	for {
		var calls []*call
		calls, closed = d.s.queue.swap(d.sync.spare[:0])
		if len(calls) == 0 {
			d.sync.spare = calls
			return closed
		}
		d.throttle(calls)
		for rest := calls; len(rest) > 0; {
			rest = d.some(rest)
			select {
			case err := <-d.sync.ended:
				d.land(err)
			default:
			}
		}
		clear(calls)
		d.sync.spare = calls
	}
}

// some decides and writes the first of the calls, as many as one batch holds, and returns the others.
func (d *decider) some(calls []*call) []*call {
	limit := int(min(maxBatch, d.s.opts.SegmentBytes/4))
	if err := d.s.fail.Err(); err != nil {
		d.refuse(calls, err)
		return nil
	}
	noRoom := d.s.space.check()
	d.taken = d.taken[:0]
	bytes, records := 0, 0
	n := 0
	for ; n < len(calls); n++ {
		c := calls[n]
		if !c.state.CompareAndSwap(callWaits, callTaken) {
			continue
		}
		size, count := c.op.size()
		if len(d.taken) > 0 && (bytes+size > limit || records+count > maxRecords) {
			c.state.Store(callWaits)
			break
		}
		if _, room := c.op.needs(); room && noRoom != nil {
			c.end(noRoom)
			continue
		}
		if size > int(min(maxChange, d.s.opts.SegmentBytes/4)) {
			c.end(fmt.Errorf("%w: a change of %d bytes, segments of the log are too small for it", store.ErrTooLarge, size))
			continue
		}
		bytes, records = bytes+size, records+count
		d.taken = append(d.taken, c)
	}
	if len(d.taken) > 0 {
		d.begin(bytes, records)
	}
	return calls[n:]
}

// begin gets room for the taken calls, decides and writes them. Without room, only those are done that need none.
func (d *decider) begin(bytes, records int) {
	log, err := d.s.log.Begin(bytes, records)
	if errors.Is(err, store.ErrFull) {
		kept := d.taken[:0]
		bytes, records = 0, 0
		for _, c := range d.taken {
			if _, room := c.op.needs(); room {
				c.end(err)
				continue
			}
			size, count := c.op.size()
			bytes, records = bytes+size, records+count
			kept = append(kept, c)
		}
		if d.taken = kept; len(kept) == 0 {
			return
		}
		log, err = d.s.log.Begin(bytes, records)
	}
	if err != nil {
		if errors.Is(err, store.ErrFailed) {
			d.s.fail.Set(err)
		}
		d.refuse(d.taken, err)
		return
	}
	d.write(log)
}

// refuse answers calls with an error.
func (d *decider) refuse(calls []*call, err error) {
	for _, c := range calls {
		if c.state.CompareAndSwap(callWaits, callTaken) || c.state.Load() == callTaken {
			c.end(err)
		}
	}
}

// write decides the taken calls, writes what they say, and answers those that need no more.
func (d *decider) write(log *wal.Batch) {
	b := &d.batch
	d.number++
	b.number, b.log = d.number, log
	b.now = d.s.opts.Clock()
	b.ms = b.now.UnixMilli()
	for _, c := range d.taken {
		c.op.decide(b)
	}
	if err := d.s.log.Write(log, false); err != nil {
		d.s.fail.Set(err)
		d.refuse(d.taken, d.s.fail.Err())
		d.depart()
		return
	}
	d.s.counters.commits.Add(1)
	for _, c := range d.taken {
		if sync, _ := c.op.needs(); sync {
			d.sync.waiting = append(d.sync.waiting, c)
		} else {
			c.end(nil)
		}
	}
	d.sync.wanted = d.sync.wanted || len(d.sync.waiting) > 0 || b.tree.Len() > maxLazy
	d.depart()
	d.s.retirer.look(&d.window)
	runtime.Gosched() // who was answered may have more, for the same sync
}
