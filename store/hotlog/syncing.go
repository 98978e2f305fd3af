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
	spare []*call     // an empty list, for drain
}

func newSyncing(s *Store) syncing {
	y := syncing{begin: make(chan struct{}, 1), ended: make(chan error, 1), tree: s.tree.db.NewBatch(), lazy: time.NewTimer(lazySync)}
	y.lazy.Stop()
	return y
}

// run syncs, in a goroutine of its own, until begin is closed.
func (y *syncing) run(log *wal.Log) {
	for range y.begin {
		y.ended <- log.Sync()
	}
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
		if y.number != d.number {
			y.lazy.Reset(lazySync)
		}
		return
	}
	y.lazy.Stop()
	y.under, y.wanted, y.number = true, false, d.number
	y.calls, y.waiting = y.waiting, y.calls[:0]
	y.tree, d.batch.tree = d.batch.tree, y.tree
	y.begin <- struct{}{}
}

// land publishes what a sync made durable: the tree gets its changes, readers see the messages, callers are answered.
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
	if !y.tree.Empty() {
		must(d.s.tree.db.Apply(y.tree, lsm.NoSync))
		y.tree.Reset()
	}
	d.s.durable.Store(y.number)
	for _, c := range y.calls {
		if a, ok := c.op.(after); ok {
			a.published(&d.batch)
		}
	}
	for _, c := range y.calls {
		c.done <- nil
	}
	clear(y.calls)
	y.calls = y.calls[:0]
	d.depart()
}

// end makes everything durable, when nothing more will come.
func (d *decider) end() {
	y := &d.sync
	for y.under {
		d.land(<-y.ended)
	}
	y.wanted = true
	for d.depart(); y.under; {
		d.land(<-y.ended)
	}
	y.lazy.Stop()
	must(d.batch.tree.Close())
	must(y.tree.Close())
}
