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
	unused  []*view
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

// release gives a view back. Closing a snapshot can wait for pebble's background work, so a reader leaves it to the committer.
func (v *views) release(w *view) {
	v.mu.Lock()
	v.drop(w)
	v.mu.Unlock()
	v.readers.Done()
}

func (v *views) drop(w *view) {
	if w.refs--; w.refs == 0 {
		v.unused = append(v.unused, w)
	}
}

// publish makes snapshot the current view, and closes those that nobody uses any more. Only the committer calls it.
func (v *views) publish(snapshot *lsm.Snapshot) {
	v.mu.Lock()
	if v.current != nil {
		v.drop(v.current)
	}
	v.current = &view{Snapshot: snapshot, refs: 1}
	unused := v.unused
	v.unused = nil
	v.mu.Unlock()
	closeAll(unused)
}

// close refuses new readers and waits for those that are there.
func (v *views) close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.readers.Wait()
}

// closeSnapshots frees what is left after close.
func (v *views) closeSnapshots() {
	closeAll(append(v.unused, v.current))
}

func closeAll(views []*view) {
	for _, w := range views {
		_ = w.Close() // drops a reference in memory; there is no I/O that could fail
	}
}
