package hotlog

import (
	"context"
	"encoding/binary"
	"fmt"

	"quicnprotochat/store"
)

// pinGroup returns the object of a group id, loaded, whether there is such a group or not.
func (s *Store) pinGroup(id string) (*object, error) {
	return s.pin(keyOf(&store.QueueID{Group: id, Shared: true}))
}

// saveInfo says in c what the tree is to hold as the GroupInfo of an epoch.
func (s *Store) saveInfo(c *changes, o *object, epoch uint64, info []byte) {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(info)), epoch)
	c.setSealed(s.tree, groupKey(kindInfo, &o.name), append(value, info...))
}

// CreateGroup implements store.Groups. A group that takes the id of one that was dropped goes on above its numbers.
func (s *Store) CreateGroup(ctx context.Context, g store.NewGroup) error {
	if err := store.CheckGroupID(g.ID); err != nil {
		return err
	}
	if err := store.CheckInfo(g.Info); err != nil {
		return err
	}
	if !s.use() {
		return store.ErrClosed
	}
	defer s.life.RUnlock()
	o := &createOp{g: g}
	var err error
	if o.object, err = s.pinGroup(g.ID); err != nil {
		return err
	}
	defer o.object.unpin()
	if o.founder, err = s.pin(objectKey{id: g.Founder}); err != nil {
		return err
	}
	defer o.founder.unpin()
	s.saveInfo(&o.c, o.object, g.Epoch, g.Info)
	o.bytes = 1 + len(o.c) + s.groupChange() + s.readerChange() + 3 + 33 + 3 + s.tree.seal.size(maxCursor+timeSize)
	if err := s.do(ctx, o); err != nil {
		return err
	}
	return o.err
}

// createOp makes a group.
type createOp struct {
	g               store.NewGroup
	object, founder *object
	c               changes
	bytes           int
	err             error
}

func (o *createOp) size() (int, int)    { return o.bytes, 1 }
func (o *createOp) needs() (bool, bool) { return true, true }

func (o *createOp) decide(b *batch) {
	switch {
	case o.object.group != nil:
		o.err = fmt.Errorf("%w: group %x", store.ErrExists, o.g.ID)
		return
	case !o.founder.groups[o.g.ID] && o.founder.memberships >= b.s.opts.Quota.Groups:
		o.err = fmt.Errorf("%w: the founder is in %d groups", store.ErrQuota, o.founder.memberships)
		return
	}
	q := store.QueueID{Group: o.g.ID, Shared: true}
	g := &group{id: o.g.ID, founder: o.g.Founder, epoch: o.g.Epoch, batch: b.number, members: 1, readers: make(map[store.Identity]*member)}
	o.object.mu.Lock()
	if g.log = o.object.find(q.Group); g.log == nil {
		g.log = &stream{object: o.object, id: q, name: b.s.names.stream(&q), touched: b.ms}
		o.object.add(g.log)
		o.c.setSealed(b.s.tree, appendMetaKey(nil, &o.object.name, &g.log.name), g.log.appendMeta(nil))
	}
	m := &member{id: g.founder, view: view{joined: g.log.last, acked: g.log.last, batch: b.number}}
	g.add(m)
	o.object.group = g
	o.object.mu.Unlock()
	o.founder.join(g.id, true)
	b.s.saveGroup(&o.c, o.object, g)
	b.s.saveReader(&o.c, o.object, o.founder, g, m)
	b.changeLogged(o.c)
}
