package daemon

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// tidyEvery is how often the daemon looks whether it has come to rest.
	tidyEvery = 10 * time.Second
	// restShare: it is at rest when it allocated less than this part of its heap since it last looked.
	restShare = 8
)

// ballastBytes is how much the daemon allocates and never touches: address space, not memory. Go's collector begins when the heap has doubled, and that of a daemon that
// serves few is so small that it would collect a hundred times a second while connections are made.
const ballastBytes = 16 << 20

// tidier gives memory back once after much was going on. Go does it by itself, but not before it collects garbage again, and a daemon at rest makes none for a long
// time: after ten thousand connections were made, a fifth of its memory is what their handshakes left.
type tidier struct {
	allocated uint64 // in all, when it last looked
	busy      bool   // since it last gave back
}

// look says whether it is time to give memory back.
func (t *tidier) look(allocated, heap uint64) bool {
	since := allocated - t.allocated
	t.allocated = allocated
	if since > heap/restShare {
		t.busy = true
		return false
	}
	due := t.busy
	t.busy = false
	return due
}

// tidy gives memory back at once, for reading the log at the start takes a whole segment of it, and whenever the daemon comes to rest, until ctx ends.
func (d *Daemon) tidy(ctx context.Context) {
	debug.FreeOSMemory()
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	var t tidier
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if t.look(m.TotalAlloc, m.HeapAlloc-uint64(len(d.ballast))) {
			runtime.GC() // stacks shrink by half at each collection
			debug.FreeOSMemory()
		}
	}
}
