package memory

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"quicnprotochat/store"
)

// group is a group beside its log.
type group struct {
	id      string
	founder store.Identity
	epoch   uint64
	info    []byte
	log     *queue
	readers map[store.Identity]*reader
	last    *store.Change // nil: no commit yet
}

// reader is a member, or one who was, and has yet to read what came before it was removed.
type reader struct {
	joined, acked uint64
	until         uint64 // the commit that removed it; 0 for a member
}

func (r *reader) end() uint64 {
	if r.until == 0 {
		return math.MaxUint64
	}
	return r.until
}

func (g *group) isMember(id store.Identity) bool {
	r := g.readers[id]
	return r != nil && r.until == 0
}

func (g *group) members() (n int) {
	for _, r := range g.readers {
		if r.until == 0 {
			n++
		}
	}
	return n
}

func (s *Store) sharedView(id store.QueueID) view {
	g := s.groups[id.Group]
	if g == nil || g.readers[id.Owner] == nil {
		return view{}
	}
	r := g.readers[id.Owner]
	acked := min(max(r.acked, g.log.acked), r.end())
	return view{g.log, acked, max(min(g.log.last, r.end()), acked)}
}

// reads notes that an identity reads a group, as a member or as one who was.
func (s *Store) reads(id store.Identity, group string, member bool) {
	o := s.owner(id)
	if o.reads[group] {
		o.members--
	}
	if o.reads[group] = member; member {
		o.members++
	}
}

func (s *Store) leaves(g *group, id store.Identity) {
	delete(g.readers, id)
	o := s.owner(id)
	if o.reads[g.id] {
		o.members--
	}
	delete(o.reads, g.id)
}

// acknowledgeShared moves a reader's cursor, and trims the log to the slowest.
func (s *Store) acknowledgeShared(c *store.Cursor, now time.Time) {
	g := s.groups[c.Queue.Group]
	r := g.readers[c.Queue.Owner]
	r.acked = c.Seq
	if r.acked >= r.end() {
		s.leaves(g, c.Queue.Owner)
	}
	s.trim(g, now)
}

// trim removes what everybody has read. Those who were removed and have nothing left to read, since it has expired, hold up nobody.
func (s *Store) trim(g *group, now time.Time) {
	to := g.log.last
	for id, r := range g.readers {
		if r.end() <= g.log.acked {
			s.leaves(g, id)
			continue
		}
		to = min(to, r.acked)
	}
	if to > g.log.acked {
		s.stats.Acknowledged += to - g.log.acked
		g.log.acknowledge(to, now)
	}
}

// CreateGroup implements store.Groups.
func (s *Store) CreateGroup(ctx context.Context, n store.NewGroup) error {
	if err := store.CheckGroupID(n.ID); err != nil {
		return err
	}
	if err := store.CheckInfo(n.Info); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.groups[n.ID] != nil {
		return fmt.Errorf("%w: group %x", store.ErrExists, n.ID)
	}
	if o := s.owner(n.Founder); o.members >= s.opts.Quota.Groups {
		return fmt.Errorf("%w: the founder is in %d groups", store.ErrQuota, o.members)
	}
	log := s.logs[n.ID]
	if log == nil {
		log = newQueue(0)
		s.logs[n.ID] = log
	}
	g := &group{id: n.ID, founder: n.Founder, epoch: n.Epoch, info: slices.Clone(n.Info), log: log, readers: make(map[store.Identity]*reader)}
	g.readers[n.Founder] = &reader{joined: log.last, acked: log.last}
	s.groups[n.ID] = g
	s.reads(n.Founder, n.ID, true)
	return nil
}

// dropGroup forgets a group but for its numbers and ids.
func (s *Store) dropGroup(id string) error {
	if err := store.CheckGroupID(id); err != nil {
		return err
	}
	g := s.groups[id]
	if g == nil {
		return fmt.Errorf("%w: no such group", store.ErrNotFound)
	}
	for reader := range g.readers {
		s.leaves(g, reader)
	}
	g.log.acknowledge(g.log.last, s.opts.Clock())
	delete(s.groups, id)
	return nil
}

// Append implements store.Groups.
func (s *Store) Append(ctx context.Context, posts []store.Post) ([]store.Result, error) {
	if err := store.CheckPosts(posts); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := s.opts.Clock()
	results := make([]store.Result, len(posts))
	for i := range posts {
		if results[i] = s.post(&posts[i], now); results[i].Status == store.Stored {
			s.notify(s.groups[posts[i].Group])
		}
	}
	return results, nil
}

func (s *Store) post(p *store.Post, now time.Time) store.Result {
	g := s.groups[p.Group]
	if g == nil {
		return store.Result{Status: store.NoGroup}
	}
	if seq := g.log.duplicate(p.ID, now); seq != 0 {
		s.stats.Duplicates++
		return store.Result{Status: store.Duplicate, Seq: seq}
	}
	switch {
	case !g.isMember(p.Sender):
		return store.Result{Status: store.NotMember}
	case p.Current && p.Epoch != g.epoch:
		return store.Result{Status: store.WrongEpoch}
	case !s.hold(p.Blobs, p.Expires, now):
		return store.Result{Status: store.NoBlob}
	case !s.fits(g.log, len(p.Payload)):
		s.stats.QuotaExceeded++
		return store.Result{Status: store.QuotaExceeded}
	}
	return s.push(g.log, p.ID, p.Payload, now, p.Expires)
}

// notify tells those who read a group.
func (s *Store) notify(g *group) {
	for id := range g.readers {
		s.hub.Notify(store.QueueID{Owner: id, Group: g.id, Shared: true})
	}
}

// LastCommit implements store.Groups.
func (s *Store) LastCommit(ctx context.Context, id string) (store.Change, error) {
	if err := store.CheckGroupID(id); err != nil {
		return store.Change{}, err
	}
	if err := s.enter(ctx); err != nil {
		return store.Change{}, err
	}
	defer s.mu.Unlock()
	g := s.groups[id]
	if g == nil || g.last == nil {
		return store.Change{}, fmt.Errorf("%w: no such group, or no commit in it", store.ErrNotFound)
	}
	last := *g.last
	last.Added, last.Removed = slices.Clone(last.Added), slices.Clone(last.Removed)
	return last, nil
}

// Group implements store.Groups.
func (s *Store) Group(ctx context.Context, id string) (store.Group, error) {
	if err := store.CheckGroupID(id); err != nil {
		return store.Group{}, err
	}
	if err := s.enter(ctx); err != nil {
		return store.Group{}, err
	}
	defer s.mu.Unlock()
	g := s.groups[id]
	if g == nil {
		return store.Group{}, fmt.Errorf("%w: no such group", store.ErrNotFound)
	}
	return store.Group{ID: id, Founder: g.founder, Epoch: g.epoch, Members: g.members(), First: g.log.acked, Last: g.log.last, Info: slices.Clone(g.info)}, nil
}

// Member implements store.Groups.
func (s *Store) Member(ctx context.Context, id string, who store.Identity) (store.Member, error) {
	if err := store.CheckGroupID(id); err != nil {
		return store.Member{}, err
	}
	if err := s.enter(ctx); err != nil {
		return store.Member{}, err
	}
	defer s.mu.Unlock()
	g := s.groups[id]
	switch {
	case g == nil:
		return store.Member{}, fmt.Errorf("%w: no such group", store.ErrNotFound)
	case !g.isMember(who):
		return store.Member{}, store.ErrNotMember
	}
	v := s.sharedView(store.QueueID{Owner: who, Group: id, Shared: true})
	return store.Member{Identity: who, Joined: g.readers[who].joined, Acknowledged: v.acked}, nil
}

// Members implements store.Groups.
func (s *Store) Members(ctx context.Context, id string, from store.Identity, max int) ([]store.Member, bool, error) {
	if err := store.CheckGroupID(id); err != nil {
		return nil, false, err
	}
	if max < 1 {
		return nil, false, fmt.Errorf("%w: at most %d members asked for", store.ErrInvalid, max)
	}
	if err := s.enter(ctx); err != nil {
		return nil, false, err
	}
	defer s.mu.Unlock()
	g := s.groups[id]
	if g == nil {
		return nil, false, fmt.Errorf("%w: no such group", store.ErrNotFound)
	}
	var members []store.Member
	for id, r := range g.readers {
		if r.until == 0 && bytes.Compare(id[:], from[:]) >= 0 {
			v := s.sharedView(store.QueueID{Owner: id, Group: g.id, Shared: true})
			members = append(members, store.Member{Identity: id, Joined: r.joined, Acknowledged: v.acked})
		}
	}
	slices.SortFunc(members, func(a, b store.Member) int { return bytes.Compare(a.Identity[:], b.Identity[:]) })
	if len(members) > max {
		return members[:max], true, nil
	}
	return members, false, nil
}
