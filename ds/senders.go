package ds

import (
	"context"
	"errors"
	"math"
	"sync"

	"quicnprotochat/store"
)

// senders keep one sender from filling a queue, or a group's order, alone: each may have at most a part of what it holds. What a sender has put there is counted in memory, and
// forgotten when there is little in the queue; after a restart counting begins anew. Safe for concurrent use.
type senders struct {
	messages, bytes uint64 // of one sender in a queue

	mu    sync.Mutex
	count map[sending]sent
}

// sending is a sender and where it sends; the queue of a group has no owner.
type sending struct {
	sender store.Identity
	queue  store.QueueID
}

type sent struct{ messages, bytes uint64 }

// maxSendings bounds what is counted: beyond it all is forgotten, which gives everybody their part anew.
const maxSendings = 1 << 16

func newSenders(messages, bytes uint64) *senders {
	return &senders{messages: messages, bytes: bytes, count: make(map[sending]sent)}
}

// take counts a message of size bytes, unless the sender's part is used up. held says how much the queue holds; it is asked only then.
func (s *senders) take(k sending, size int, held func() (sent, error)) (bool, error) {
	if s.add(k, size) {
		return true, nil
	}
	now, err := held()
	if err != nil || now.messages > s.messages || now.bytes > s.bytes {
		return false, err
	}
	s.mu.Lock()
	delete(s.count, k) // most of it has been read
	s.mu.Unlock()
	return s.add(k, size), nil
}

func (s *senders) add(k sending, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.count[k]
	c.messages++
	c.bytes += uint64(size)
	if c.messages > s.messages || c.bytes > s.bytes && c.messages > 1 {
		return false
	}
	if len(s.count) >= maxSendings {
		clear(s.count)
	}
	s.count[k] = c
	return true
}

// give takes back what take counted for a message that was not stored after all.
func (s *senders) give(k sending, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.count[k]; ok && c.messages > 0 && c.bytes >= uint64(size) {
		s.count[k] = sent{c.messages - 1, c.bytes - uint64(size)}
	}
}

// enqueue stores what senders may send, and answers the rest with QuotaExceeded.
func (s *Service) enqueue(from store.Identity) func(context.Context, []store.Message) ([]store.Result, error) {
	return func(ctx context.Context, messages []store.Message) ([]store.Result, error) {
		return limited(ctx, s, messages, s.store.Enqueue, s.sendingOf(from))
	}
}

// post does the same for groups.
func (s *Service) post(from store.Identity) func(context.Context, []store.Post) ([]store.Result, error) {
	return func(ctx context.Context, posts []store.Post) ([]store.Result, error) {
		return limited(ctx, s, posts, s.store.Append, s.postingOf(from))
	}
}

// sendingOf says as what a message from somebody counts.
func (s *Service) sendingOf(from store.Identity) func(*store.Message) (sending, int) {
	return func(m *store.Message) (sending, int) { return sending{from, m.Queue}, len(m.Payload) }
}

// postingOf does the same for groups.
func (s *Service) postingOf(from store.Identity) func(*store.Post) (sending, int) {
	return func(p *store.Post) (sending, int) {
		return sending{from, store.QueueID{Group: p.Group, Shared: true}}, len(p.Payload)
	}
}

func limited[T any](ctx context.Context, s *Service, all []T, put func(context.Context, []T) ([]store.Result, error), of func(*T) (sending, int)) ([]store.Result, error) {
	a, err := admit(ctx, s, all, of)
	if err != nil {
		return nil, err
	}
	var results []store.Result
	if len(a.allowed) > 0 {
		if results, err = put(ctx, a.allowed); err != nil {
			return nil, err // some may be stored: they stay counted
		}
	}
	return a.settle(results), nil
}

// admitted is what a call brought, and what of it is within the sender's part of each queue, and counted there.
type admitted[T any] struct {
	s            *Service
	of           func(*T) (sending, int)
	all, allowed []T
	refused      map[int]bool // of all; nil: none, as most often
}

func admit[T any](ctx context.Context, s *Service, all []T, of func(*T) (sending, int)) (admitted[T], error) {
	a := admitted[T]{s: s, of: of, all: all, allowed: all}
	for i := range all {
		k, size := of(&all[i])
		if k.queue.Owner == k.sender {
			continue
		}
		ok, err := s.senders.take(k, size, func() (sent, error) { return s.held(ctx, k.queue) })
		if err != nil {
			for j := range i {
				if k, size := of(&all[j]); k.queue.Owner != k.sender && !a.refused[j] {
					s.senders.give(k, size)
				}
			}
			return a, err
		}
		if !ok {
			if a.refused == nil {
				a.refused = make(map[int]bool)
			}
			a.refused[i] = true
		}
	}
	if len(a.refused) > 0 {
		a.allowed = make([]T, 0, len(all)-len(a.refused))
		for i := range all {
			if !a.refused[i] {
				a.allowed = append(a.allowed, all[i])
			}
		}
	}
	return a, nil
}

// settle makes results of what was allowed results of all, and counts no more what was not stored after all.
func (a *admitted[T]) settle(results []store.Result) []store.Result {
	out := results
	if len(a.refused) > 0 {
		out = make([]store.Result, len(a.all))
	}
	for i := range a.all {
		if a.refused[i] {
			out[i].Status = store.QuotaExceeded
			continue
		}
		out[i], results = results[0], results[1:]
		if out[i].Status != store.Stored {
			a.s.senders.give(a.of(&a.all[i]))
		}
	}
	return out
}

// held is what a queue, or a group's order, holds. Bytes are those of a queue only.
func (s *Service) held(ctx context.Context, q store.QueueID) (sent, error) {
	if q.Shared {
		g, err := s.store.Group(ctx, q.Group)
		if errors.Is(err, store.ErrNotFound) {
			err = nil // the store will say so of each post
		}
		return sent{messages: g.Last - g.First}, err
	}
	page, err := s.store.Read(ctx, q, math.MaxUint64, 1, 1)
	if err != nil || page.Last == page.Acknowledged {
		return sent{}, err
	}
	queues, _, err := s.store.Queues(ctx, q, 1)
	if err != nil || len(queues) == 0 || queues[0].Group != q.Group {
		return sent{messages: page.Last - page.Acknowledged}, err
	}
	return sent{queues[0].Messages, queues[0].Bytes}, nil
}
