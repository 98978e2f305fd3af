package hotlog

import (
	"time"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store/internal/wal"
)

// syncing is the part of the decider that waits for the disk. One sync is under way at a time, for all that was written before it began; what is
// written meanwhile waits for the next. The decider owns all of it.
type syncing struct {
	begin chan struct{} // asks for a sync
	ended chan error    // tells of its end

	under   bool    // a sync is under way
	number  uint64  // the last batch that it is for
	calls   []*call // that it is for
	tree    *lsm.Batch
	waiting []*call // for the next
	wanted  bool    // there is to be a next one

	lazy  *time.Timer // runs while something is written for which no sync was asked
	runs  bool        // it does
	spare []*call     // an empty list, for drain
}

func newSyncing(s *Store) syncing {
	y := syncing{begin: make(chan struct{}, 1), ended: make(chan error, 1), tree: s.tree.db.NewBatch(), lazy: time.NewTimer(lazySync)}
	y.lazy.Stop()
	return y
}

// run syncs, and gives the tree the changes that are durable by that, in a goroutine of its own, until begin is closed. The tree may make it wait, for
// ever if it cannot be flushed any more; the decider does not.
func (y *syncing) run(log *wal.Log, db *lsm.DB) {
	for range y.begin {
		err := log.Sync()
		if err == nil && !y.tree.Empty() {
			err = db.Apply(y.tree, lsm.NoSync)
		}
		y.ended <- err
	}
}

// surrender answers all who wait, after a failure: the sync that is under way may never end.
func (d *decider) surrender() {
	y := &d.sync
	err := d.s.fail.Err()
	d.refuse(y.calls, err)
	d.refuse(y.waiting, err)
	clear(y.calls)
	clear(y.waiting)
	y.calls, y.waiting = y.calls[:0], y.waiting[:0]
}

// depart begins a sync if one is wanted and none is under way.
func (d *decider) depart() {
	y := &d.sync
	if y.under {
		return
	}
	if err := d.s.fail.Err(); err != nil {
		d.refuse(y.waiting, err)
		y.waiting = y.waiting[:0]
		return
	}
	if !y.wanted {
		if y.number != d.number && !y.runs { // it is not begun anew for what is written later, which might never end
			y.runs = true
			y.lazy.Reset(lazySync)
		}
		return
	}
	y.runs = false
	y.lazy.Stop()
	y.under, y.wanted, y.number = true, false, d.number
	y.calls, y.waiting = y.waiting, y.calls[:0]
	y.tree, d.batch.tree = d.batch.tree, y.tree
	y.begin <- struct{}{}
}

// land publishes what a sync made durable, and what the tree knows by now: readers see the messages, callers are answered.
func (d *decider) land(err error) {
	y := &d.sync
	y.under = false
	if err != nil {
		d.s.fail.Set(err)
		d.refuse(y.calls, d.s.fail.Err())
		y.calls = y.calls[:0]
		d.depart()
		return
	}
	d.s.counters.syncs.Add(1)
	y.tree.Reset()
	d.s.durable.Store(y.number)
	for _, c := range y.calls {
		if a, ok := c.op.(after); ok {
			a.published(&d.batch)
		}
	}
	for _, c := range y.calls {
		c.end(nil)
	}
	clear(y.calls)
	y.calls = y.calls[:0]
	d.depart()
}

// end makes everything durable, when nothing more will come.
func (d *decider) end() {
	y := &d.sync
	y.lazy.Stop()
	for last := false; ; last = true {
		for y.under {
			select {
			case err := <-y.ended:
				d.land(err)
			case <-d.s.fail.Failed():
				d.surrender()
				return // what is under way has its hands on the batches
			}
		}
		if last {
			break
		}
		y.wanted = true
		d.depart()
	}
	y.lazy.Stop()
	must(d.batch.tree.Close())
	must(y.tree.Close())
}
