package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quicnprotochat/store"
)

// Commit implements store.Groups.
func (s *Store) Commit(ctx context.Context, c store.Commit) (store.Result, error) {
	if err := store.CheckCommit(&c); err != nil {
		return store.Result{}, err
	}
	if err := s.enter(ctx); err != nil {
		return store.Result{}, err
	}
	defer s.mu.Unlock()
	g, now := s.groups[c.Group], s.opts.Clock()
	if g == nil {
		return store.Result{}, fmt.Errorf("%w: no such group", store.ErrNotFound)
	}
	if seq := g.log.duplicate(c.ID, now); seq != 0 {
		s.stats.Duplicates++
		return store.Result{Status: store.Duplicate, Seq: seq}, nil
	}
	if err := s.checkChange(g, &c); err != nil {
		return store.Result{}, err
	}
	for i := range c.Welcomes {
		if !s.hold(c.Welcomes[i].Blobs, c.Welcomes[i].Expires, now) {
			return store.Result{Status: store.NoBlob}, nil
		}
	}
	if !s.fits(g.log, len(c.Payload)) || !s.fitWelcomes(c.Welcomes, now) {
		s.stats.QuotaExceeded++
		return store.Result{Status: store.QuotaExceeded}, nil
	}
	return s.commit(g, &c, now), nil
}

// checkChange returns why the roster cannot change so.
func (s *Store) checkChange(g *group, c *store.Commit) error {
	if !g.isMember(c.Sender) && !slices.Contains(c.Added, c.Sender) {
		return fmt.Errorf("%w: the sender of a commit", store.ErrNotMember)
	}
	if c.Epoch != g.epoch {
		return &store.EpochError{Current: g.epoch}
	}
	changed := make(map[store.Identity]bool)
	before := g.members()
	members := before
	for _, id := range c.Added {
		if changed[id] || g.isMember(id) {
			changed[id] = true
			continue
		}
		changed[id] = true
		if members++; s.owner(id).members >= s.opts.Quota.Groups {
			return fmt.Errorf("%w: one who is added is in too many groups", store.ErrQuota)
		}
	}
	for _, id := range c.Removed {
		if changed[id] {
			continue
		}
		changed[id] = true
		if members--; !g.isMember(id) {
			return fmt.Errorf("%w: one to be removed is no member", store.ErrInvalid)
		}
	}
	if members > max(s.opts.Quota.Members, before) {
		return fmt.Errorf("%w: the group would have %d members", store.ErrQuota, members)
	}
	return nil
}

// fitWelcomes says whether all Welcomes fit in their queues.
func (s *Store) fitWelcomes(welcomes []store.Message, now time.Time) bool {
	type held struct{ messages, bytes uint64 }
	more := make(map[store.QueueID]held)
	made := make(map[*owner]int)
	named := make(map[store.QueueID]bool) // these are not forgotten to make room for each other
	for i := range welcomes {
		named[welcomes[i].Queue] = true
	}
	type message struct {
		queue store.QueueID
		id    store.MessageID
	}
	seen := make(map[message]bool)
	for i := range welcomes {
		w := &welcomes[i]
		o := s.owner(w.Queue.Owner)
		q := o.queues[w.Queue.Group]
		h, known := more[w.Queue]
		this := message{w.Queue, w.ID}
		if seen[this] || q != nil && q.duplicate(w.ID, now) != 0 {
			continue
		}
		seen[this] = true
		if q == nil && !known {
			if made[o]++; len(o.queues)+made[o] > s.opts.Quota.Queues {
				o.forgetIdle(now, func(group string) bool { return named[store.QueueID{Owner: w.Queue.Owner, Group: group}] })
			}
			if len(o.queues)+made[o] > s.opts.Quota.Queues {
				return false
			}
		}
		h.messages++
		h.bytes += uint64(len(w.Payload))
		more[w.Queue] = h
		if q != nil {
			h.messages += q.last - q.acked
			h.bytes += q.bytes
		}
		if h.messages > s.opts.Quota.Messages || h.bytes > s.opts.Quota.Bytes {
			return false
		}
	}
	return true
}

// commit does what nothing speaks against any more.
func (s *Store) commit(g *group, c *store.Commit, now time.Time) store.Result {
	r := s.push(g.log, c.ID, c.Payload, now, time.Time{})
	g.epoch, g.info = c.Epoch+1, slices.Clone(c.Info)
	for _, id := range c.Added {
		g.readers[id] = &reader{joined: r.Seq, acked: r.Seq}
		s.reads(id, g.id, true)
	}
	for _, id := range c.Removed {
		if !slices.Contains(c.Added, id) {
			g.readers[id].until = r.Seq
			s.reads(id, g.id, false)
		}
	}
	s.notify(g)
	for i := range c.Welcomes {
		if w := &c.Welcomes[i]; s.enqueue(w, now).Status == store.Stored {
			s.hub.Notify(w.Queue)
		}
	}
	return r
}
