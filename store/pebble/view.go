package pebble

import (
	"sync"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// view is the tree as it was after a batch that is on disk. Readers see nothing newer: pebble shows a batch to readers before it is
// synced, and a message must not be read before it is durable.
type view struct {
	*lsm.Snapshot
	refs int // guarded by views.mu
}

// views hands the current view to readers. Safe for concurrent use.
type views struct {
	mu      sync.Mutex
	current *view
	closed  bool
	readers sync.WaitGroup
}

// acquire returns the current view; the caller releases it.
func (v *views) acquire() (*view, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, store.ErrClosed
	}
	v.current.refs++
	v.readers.Add(1)
	return v.current, nil
}

func (v *views) release(w *view) {
	v.mu.Lock()
	w.refs--
	last := w.refs == 0
	v.mu.Unlock()
	if last {
		_ = w.Close() // drops a reference in memory; there is no I/O that could fail
	}
	v.readers.Done()
}

// publish makes snapshot the current view.
func (v *views) publish(snapshot *lsm.Snapshot) {
	v.mu.Lock()
	old := v.current
	v.current = &view{Snapshot: snapshot, refs: 1}
	last := false
	if old != nil {
		old.refs--
		last = old.refs == 0
	}
	v.mu.Unlock()
	if last {
		_ = old.Close()
	}
}

// close refuses new readers and waits for those that are there.
func (v *views) close() {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return
	}
	v.closed = true
	v.mu.Unlock()
	v.readers.Wait()
	if v.current != nil {
		_ = v.current.Close()
	}
}
