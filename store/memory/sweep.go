package memory

import (
	"context"
	"fmt"
	"time"

	"quicnprotochat/store"
)

// sweeping is one Sweep with what is left of its budget.
type sweeping struct {
	s      *Store
	now    time.Time
	budget int
	store.SweepResult
}

// one says whether one more thing may be removed, and counts it.
func (w *sweeping) one() bool {
	if w.Removed >= w.budget {
		w.More = true
		return false
	}
	w.Removed++
	return true
}

// Sweep implements store.Store.
func (s *Store) Sweep(ctx context.Context, budget int) (store.SweepResult, error) {
	if budget < 1 {
		return store.SweepResult{}, fmt.Errorf("%w: a budget of %d", store.ErrInvalid, budget)
	}
	if err := s.enter(ctx); err != nil {
		return store.SweepResult{}, err
	}
	defer s.mu.Unlock()
	w := &sweeping{s: s, now: s.opts.Clock(), budget: budget}
	for id, o := range s.owners {
		w.pool(&o.pool)
		for g, q := range o.queues {
			if w.queue(q) {
				s.hub.Notify(store.QueueID{Owner: id, Group: g})
			}
		}
	}
	for id, log := range s.logs {
		if g := s.groups[id]; w.queue(log) && g != nil {
			s.notify(g)
			s.trim(g, w.now)
		}
	}
	for id, b := range s.blobs {
		if !b.end().After(w.now) && w.one() {
			s.removeBlob(id)
		}
	}
	s.stats.Swept += uint64(w.Removed)
	return w.SweepResult, nil
}

func (w *sweeping) pool(p *pool) {
	for fingerprint, notAfter := range p.known {
		if expired(notAfter, w.now) && w.one() {
			delete(p.known, fingerprint)
		}
	}
	p.dropExpired(w.now)
}

// queue moves a cursor over what has expired, and forgets ids.
func (w *sweeping) queue(q *queue) (moved bool) {
	to := q.acked
	for i := 0; i < len(q.messages) && !q.messages[i].expires.After(w.now) && w.one(); i++ {
		to++
	}
	if moved = to > q.acked; moved {
		q.acknowledge(to, w.now)
	}
	for id, state := range q.ids {
		if state.seq <= q.acked && !w.now.Before(state.until) {
			delete(q.ids, id)
		}
	}
	return moved
}
