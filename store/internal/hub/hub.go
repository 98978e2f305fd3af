// Package hub carries hints from an engine to the watchers of an owner, inside one process.
package hub

import (
	"sync"

	"quicnprotochat/store"
)

// maxQueues bounds what a watcher remembers; beyond it, it is told that anything may have changed.
const maxQueues = 256

const shards = 64

// Hub is a set of watchers. Its zero value works. Safe for concurrent use.
type Hub struct {
	shards [shards]shard
}

type shard struct {
	mu       sync.Mutex
	watchers map[store.Identity]map[*watcher]struct{}
}

type watcher struct {
	hub   *Hub
	owner store.Identity
	c     chan struct{}

	mu     sync.Mutex
	queues map[store.QueueID]struct{}
	all    bool
	call   func() // in place of c; may be nil
	called bool   // since the last Take
}

func (h *Hub) shard(owner *store.Identity) *shard {
	return &h.shards[(owner[0]^owner[31])%shards]
}

// Watch adds a watcher for owner.
func (h *Hub) Watch(owner store.Identity) store.Watcher {
	w := &watcher{hub: h, owner: owner, c: make(chan struct{}, 1)}
	s := h.shard(&owner)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = make(map[store.Identity]map[*watcher]struct{})
	}
	if s.watchers[owner] == nil {
		s.watchers[owner] = make(map[*watcher]struct{})
	}
	s.watchers[owner][w] = struct{}{}
	return w
}

// Notify tells q's watchers that q has news. It never blocks on a watcher.
func (h *Hub) Notify(q store.QueueID) {
	s := h.shard(&q.Owner)
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers[q.Owner] {
		w.add(q)
	}
}

// Len counts the watchers.
func (h *Hub) Len() int {
	n := 0
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		for _, ws := range s.watchers {
			n += len(ws)
		}
		s.mu.Unlock()
	}
	return n
}

func (w *watcher) add(q store.QueueID) {
	w.mu.Lock()
	switch {
	case w.all:
	case len(w.queues) >= maxQueues:
		w.all, w.queues = true, nil
	default:
		if w.queues == nil {
			w.queues = make(map[store.QueueID]struct{})
		}
		w.queues[q] = struct{}{}
	}
	call := w.news()
	w.mu.Unlock()
	call()
}

// news returns what tells the watcher's owner that there is something. The lock is held.
func (w *watcher) news() func() {
	switch {
	case w.call == nil:
		return w.signal
	case w.called:
		return func() {}
	default:
		w.called = true
		return w.call
	}
}

func (w *watcher) signal() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

func (w *watcher) Call(f func()) {
	w.mu.Lock()
	w.call, w.called = f, false
	call := func() {}
	if w.all || len(w.queues) > 0 {
		call = w.news()
	}
	w.mu.Unlock()
	call()
}

func (w *watcher) C() <-chan struct{} { return w.c }

func (w *watcher) Take() ([]store.QueueID, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	queues := make([]store.QueueID, 0, len(w.queues))
	for q := range w.queues {
		queues = append(queues, q)
	}
	all := w.all
	clear(w.queues)
	w.all, w.called = false, false
	return queues, all
}

func (w *watcher) Close() {
	s := w.hub.shard(&w.owner)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers[w.owner], w)
	if len(s.watchers[w.owner]) == 0 {
		delete(s.watchers, w.owner)
	}
}
