package ds

import (
	"context"
	"sync"
	"time"

	"quicnprotochat/store"
)

// acks gathers the acknowledgements of one connection and hands them to the store a little later, many at a time. Losing some costs a
// redelivery. Safe for concurrent use.
type acks struct {
	s     *Service
	owner store.Identity

	mu      sync.Mutex
	cursors map[queueKey]uint64 // not yet in the store
	count   uint64              // messages that these acknowledge, about
	armed   *time.Timer         // nil: nothing has gathered
	closed  bool
	flushes sync.WaitGroup
}

// maxAcked is how many messages may be acknowledged without the store's knowing, about: they count for the queue's quota.
const maxAcked = 1024

// flushTimeout bounds how long the store may take.
const flushTimeout = 10 * time.Second

func (a *acks) init(s *Service, owner store.Identity) {
	a.s, a.owner, a.cursors = s, owner, make(map[queueKey]uint64)
}

// add notes that everything in a queue up to seq is acknowledged, n messages more than before.
func (a *acks) add(q queueKey, seq, n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cursors[q] = max(a.cursors[q], seq)
	a.count += n
	switch {
	case a.closed:
	case a.armed == nil:
		a.flushes.Add(1)
		a.armed = time.AfterFunc(a.s.limits.AckDelay, func() {
			defer a.flushes.Done()
			a.flush()
		})
	case a.count >= maxAcked && a.count-n < maxAcked && a.armed.Stop():
		a.armed.Reset(0)
	}
}

// last returns what a queue's reader acknowledged that may not be in the store yet.
func (a *acks) last(q queueKey) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cursors[q]
}

// flush hands in what has gathered. What came meanwhile is flushed next.
func (a *acks) flush() {
	a.mu.Lock()
	batch := make([]store.Cursor, 0, len(a.cursors))
	for q, seq := range a.cursors {
		batch = append(batch, store.Cursor{Queue: q.id(a.owner), Seq: seq})
	}
	a.armed, a.count = nil, 0
	a.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := a.s.store.Acknowledge(ctx, batch); err != nil {
		a.s.log.Warn("ds: acknowledging", "err", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range batch {
		if q := keyOf(c.Queue); a.cursors[q] == c.Seq {
			delete(a.cursors, q)
		}
	}
}

// close hands in the rest; nothing may be added after it.
func (a *acks) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.flushes.Wait()
	a.flush()
}
