package hotlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// readShared reads a group's log as q.Owner sees it. The caller holds a pin.
func (s *Store) readShared(ctx context.Context, o *object, q *store.QueueID, after uint64, maxMessages, maxBytes int) (store.Page, error) {
	durable := s.durable.Load()
	o.mu.Lock()
	st, seen := o.find(q.Group), o.seen(&q.Owner, durable)
	o.mu.Unlock()
	if seen == nil {
		return store.Page{}, nil
	}
	page, err := s.readStream(ctx, st, max(after, seen.acked), bounds{seen.end(), durable}, maxMessages, maxBytes)
	page.Acknowledged = min(max(page.Acknowledged, seen.acked), seen.end())
	page.Last = max(page.Last, page.Acknowledged)
	return page, err
}

// seen is a copy of the durable view that id has of the group, nil if it has none. The lock of o is held.
func (o *object) seen(id *store.Identity, durable uint64) *view {
	if o.group == nil {
		return nil
	}
	m := o.group.readers[*id]
	if m == nil {
		return nil
	}
	v := m.seen(durable)
	if v == nil {
		return nil
	}
	own := *v
	return &own
}

// end is the last number that a view shows.
func (v *view) end() uint64 {
	if v.until == 0 {
		return 1<<64 - 1
	}
	return v.until
}

// sharedQueues are the groups that an owner has something to read in, from the first at or above from.
func (s *Store) sharedQueues(owner *object, from *store.QueueID) (queues []store.QueueStatus, err error) {
	owner.mu.Lock()
	groups := make([]string, 0, len(owner.groups))
	for g := range owner.groups {
		if (store.QueueID{Group: g, Shared: true}).Compare(*from) >= 0 {
			groups = append(groups, g)
		}
	}
	owner.mu.Unlock()
	for _, id := range groups {
		o, err := s.pinGroup(id)
		if err != nil {
			return nil, err
		}
		q, err := s.sharedStatus(o, owner)
		o.unpin()
		if err != nil {
			return nil, err
		}
		if q.Messages > 0 {
			queues = append(queues, q)
		}
	}
	return queues, nil
}

// sharedStatus describes a group's log as an owner sees it.
func (s *Store) sharedStatus(o, owner *object) (q store.QueueStatus, err error) {
	for {
		o.mu.Lock()
		durable := s.durable.Load()
		v := o.seen(&owner.key.id, durable)
		if v == nil {
			o.mu.Unlock()
			return q, nil
		}
		st := o.group.log
		last := min(st.readable(durable), v.end())
		acked := min(max(v.acked, st.acked), v.end())
		q = store.QueueStatus{Group: st.id.Group, Shared: true, Acknowledged: acked, Last: max(last, acked)}
		if last <= acked {
			o.mu.Unlock()
			return q, nil
		}
		q.Messages = last - acked
		from, coldFrom := st.sumAt(acked)
		to, coldTo := st.sumAt(last)
		o.mu.Unlock()
		if coldFrom {
			from, err = s.coldSum(st, acked)
		}
		if err == nil && coldTo {
			to, err = s.coldSum(st, last)
		}
		switch {
		case err == nil:
			q.Bytes = to - min(from, to)
			return q, nil
		case errors.Is(err, errMoved):
			err = nil
		default:
			return q, err
		}
	}
}

// sumAt is how many bytes the log ever held up to seq, unless only the tree knows.
func (st *stream) sumAt(seq uint64) (sum uint64, cold bool) {
	switch {
	case seq <= st.acked:
		return st.ackedCum, false
	case seq == st.last || seq+1 >= st.firstHot():
		return st.cumAt(seq), false
	}
	return 0, true
}

// coldSum is sumAt for a message in the tree.
func (s *Store) coldSum(st *stream, seq uint64) (sum uint64, err error) {
	found := false
	err = s.scanCold(&st.name, seq, seq, func(_ uint64, m *cold, err error) (bool, error) {
		found = err == nil
		if found {
			sum = m.cum
		}
		return false, err
	})
	if err != nil || found {
		return sum, err
	}
	st.object.mu.Lock()
	defer st.object.mu.Unlock()
	if st.acked >= seq {
		return 0, errMoved
	}
	return 0, fmt.Errorf("message %d: %w: it is missing", seq, store.ErrCorrupt)
}

// Group implements store.Groups.
func (s *Store) Group(ctx context.Context, id string) (store.Group, error) {
	if err := store.CheckGroupID(id); err != nil {
		return store.Group{}, err
	}
	if !s.use() {
		return store.Group{}, store.ErrClosed
	}
	defer s.life.RUnlock()
	o, err := s.pinGroup(id)
	if err != nil {
		return store.Group{}, err
	}
	defer o.unpin()
	g, err := s.describe(o)
	if err != nil {
		return store.Group{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if st := o.find(id); st != nil {
		g.First, g.Last = st.acked, st.readable(s.durable.Load())
	}
	return g, nil
}

// describe reads what the tree, which holds what is durable, says of a group at one moment.
func (s *Store) describe(o *object) (g store.Group, err error) {
	snapshot := s.tree.db.NewSnapshot()
	defer func() { err = errors.Join(err, readError(snapshot.Close())) }()
	text, err := s.tree.getOf(snapshot, groupKey(kindGroup, &o.name))
	if errors.Is(err, lsm.ErrNotFound) {
		return g, fmt.Errorf("%w: no such group", store.ErrNotFound)
	}
	if err != nil {
		return g, readError(err)
	}
	is, err := decodeGroup(text)
	if err != nil {
		return g, err
	}
	info, err := s.tree.getOf(snapshot, groupKey(kindInfo, &o.name))
	if err == nil && (len(info) < 8 || binary.BigEndian.Uint64(info) != is.epoch) {
		err = fmt.Errorf("%w: GroupInfo of another epoch", store.ErrCorrupt)
	}
	if err != nil {
		if errors.Is(err, lsm.ErrNotFound) {
			err = fmt.Errorf("%w: no GroupInfo", store.ErrCorrupt)
		}
		return g, readError(err)
	}
	return store.Group{ID: is.id, Founder: is.founder, Epoch: is.epoch, Members: is.members, Info: info[8:]}, nil
}

// Member implements store.Groups.
func (s *Store) Member(ctx context.Context, id string, who store.Identity) (store.Member, error) {
	if err := store.CheckGroupID(id); err != nil {
		return store.Member{}, err
	}
	if err := ctx.Err(); err != nil {
		return store.Member{}, err
	}
	if !s.use() {
		return store.Member{}, store.ErrClosed
	}
	defer s.life.RUnlock()
	o, err := s.pinGroup(id)
	if err != nil {
		return store.Member{}, err
	}
	defer o.unpin()
	o.mu.Lock()
	defer o.mu.Unlock()
	g, durable := o.group, s.durable.Load()
	if g == nil || g.batch > durable {
		return store.Member{}, fmt.Errorf("%w: no such group", store.ErrNotFound)
	}
	m := g.readers[who]
	if m == nil {
		return store.Member{}, store.ErrNotMember
	}
	v := m.seen(durable)
	if v == nil || v.until != 0 {
		return store.Member{}, store.ErrNotMember
	}
	return g.describeMember(who, v), nil
}

func (g *group) describeMember(id store.Identity, v *view) store.Member {
	return store.Member{Identity: id, Joined: v.joined, Acknowledged: max(v.acked, g.log.acked, v.joined)}
}

// Members implements store.Groups.
func (s *Store) Members(ctx context.Context, id string, from store.Identity, max int) ([]store.Member, bool, error) {
	if err := store.CheckGroupID(id); err != nil {
		return nil, false, err
	}
	if max < 1 {
		return nil, false, fmt.Errorf("%w: at most %d members asked for", store.ErrInvalid, max)
	}
	if !s.use() {
		return nil, false, store.ErrClosed
	}
	defer s.life.RUnlock()
	o, err := s.pinGroup(id)
	if err != nil {
		return nil, false, err
	}
	defer o.unpin()
	members, found := o.membersFrom(&from, s.durable.Load())
	if !found {
		return nil, false, fmt.Errorf("%w: no such group", store.ErrNotFound)
	}
	slices.SortFunc(members, func(a, b store.Member) int { return bytes.Compare(a.Identity[:], b.Identity[:]) })
	if len(members) > max {
		return members[:max], true, nil
	}
	return members, false, nil
}

// membersFrom are the members at or above from, in no order; false if there is no such group.
func (o *object) membersFrom(from *store.Identity, durable uint64) (members []store.Member, found bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.group
	if g == nil || g.batch > durable {
		return nil, false
	}
	for id, m := range g.readers {
		if bytes.Compare(id[:], from[:]) < 0 {
			continue
		}
		if v := m.seen(durable); v != nil && v.until == 0 {
			members = append(members, g.describeMember(id, v))
		}
	}
	return members, true
}
