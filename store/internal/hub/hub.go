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
	w.mu.Unlock()
	select {
	case w.c <- struct{}{}:
	default:
	}
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
	w.all = false
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
