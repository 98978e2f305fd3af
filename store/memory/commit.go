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
	last, err := g.replaced(&c)
	if err == nil {
		err = s.checkChange(g, &c, last)
	}
	if err != nil {
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
	return s.commit(g, &c, last, now), nil
}

// replaced is the commit that c replaces, or nil. The error says that c is made in the wrong epoch, or by a stranger.
func (g *group) replaced(c *store.Commit) (last *store.Change, err error) {
	if g.last != nil && g.last.Seq == c.Replaces && c.Epoch+1 == g.epoch {
		last = g.last
	}
	switch {
	case !c.WasMember(c.Sender, last, g.isMember(c.Sender)) && !slices.Contains(c.Added, c.Sender):
		return nil, fmt.Errorf("%w: the sender of a commit", store.ErrNotMember)
	case c.Replaces == 0 && c.Epoch != g.epoch, c.Replaces != 0 && last == nil:
		return nil, &store.EpochError{Current: g.epoch}
	}
	return last, nil
}

// checkChange returns why the roster cannot change so.
func (s *Store) checkChange(g *group, c *store.Commit, last *store.Change) error {
	before := g.members()
	members := before
	for _, f := range c.Fates(last) {
		is := g.isMember(f.ID)
		switch {
		case f.Added && !is:
			if members++; s.owner(f.ID).members >= s.opts.Quota.Groups {
				return fmt.Errorf("%w: one who is added is in too many groups", store.ErrQuota)
			}
		case f.Restored && !f.Removed:
			members++
		case f.Removed && !is && !f.Restored:
			return fmt.Errorf("%w: one to be removed is no member", store.ErrInvalid)
		case f.Removed && is:
			members--
		}
	}
	if last != nil {
		before += len(last.Removed)
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
func (s *Store) commit(g *group, c *store.Commit, last *store.Change, now time.Time) store.Result {
	r := s.push(g.log, c.ID, c.Payload, now, time.Time{})
	change := c.Change(r.Seq, func(id store.Identity) bool { return c.WasMember(id, last, g.isMember(id)) })
	g.epoch, g.info = c.Epoch+1, slices.Clone(c.Info)
	for _, f := range c.Fates(last) {
		s.settle(g, &f, r.Seq)
	}
	g.last = &change
	s.notify(g)
	for i := range c.Welcomes {
		if w := &c.Welcomes[i]; s.enqueue(w, now).Status == store.Stored {
			s.hub.Notify(w.Queue)
		}
	}
	return r
}

// settle does what the commit seq does with one identity.
func (s *Store) settle(g *group, f *store.Fate, seq uint64) {
	if f.Restored && g.readers[f.ID] == nil {
		g.readers[f.ID] = &reader{joined: seq - 1, acked: seq - 1}
	}
	switch {
	case f.Added:
		g.readers[f.ID] = &reader{joined: seq, acked: seq}
	case f.Removed:
		g.readers[f.ID].until = seq
	case f.Restored:
		g.readers[f.ID].until = 0
	}
	s.reads(f.ID, g.id, !f.Removed)
}
