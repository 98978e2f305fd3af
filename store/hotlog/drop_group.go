package hotlog

import (
	"context"
	"fmt"

	"quicnprotochat/store"
)

// dropGroup forgets a group, its members, and what its log holds. How far the log went is kept, so that a group that takes the id later goes on above
// that, and no number or message id means two things.
func (s *Store) dropGroup(ctx context.Context, id string) error {
	o, err := s.pinGroup(id)
	if err != nil {
		return err
	}
	defer o.unpin()
	var d *dropOp
	for {
		d = &dropOp{object: o}
		err := d.prepare(s)
		if err == nil {
			err = s.do(ctx, d)
		}
		for _, owner := range d.owners {
			owner.unpin()
		}
		if err != nil {
			return err
		}
		if d.err != nil {
			return d.err
		}
		if !d.stale {
			break
		}
	}
	q := store.QueueID{Group: id, Shared: true}
	ctx = context.WithoutCancel(ctx) // asked for again it would find no group
	if err := s.acknowledge(ctx, []store.Cursor{{Queue: q, Seq: d.last}}); err != nil {
		return err
	}
	return s.do(ctx, &changeOp{}) // so that this is durable, too
}

// dropOp forgets a group and its members.
type dropOp struct {
	object *object
	owners map[store.Identity]*object
	bytes  int
	last   uint64 // of the log: what comes later is of a group that took the id
	stale  bool   // somebody came after the members were looked up
	err    error
}

func (o *dropOp) size() (int, int)    { return o.bytes, 1 }
func (o *dropOp) needs() (bool, bool) { return true, false }

func (o *dropOp) prepare(s *Store) error {
	o.owners = make(map[store.Identity]*object)
	o.object.mu.Lock()
	var ids []store.Identity
	if g := o.object.group; g != nil {
		for id := range g.readers {
			ids = append(ids, id)
		}
	}
	o.object.mu.Unlock()
	for _, id := range ids {
		owner, err := s.pin(objectKey{id: id})
		if err != nil {
			return err
		}
		o.owners[id] = owner
	}
	const key = 3 + 33
	o.bytes = 1 + (3+2*len(ids))*key
	return nil
}

func (o *dropOp) decide(b *batch) {
	g := o.object.group
	if g == nil {
		o.err = fmt.Errorf("%w: no such group", store.ErrNotFound)
		return
	}
	for id := range g.readers {
		if o.owners[id] == nil {
			o.stale = true
			return
		}
	}
	o.last = g.log.last
	var c changes
	c.delete(groupKey(kindGroup, &o.object.name))
	c.delete(groupKey(kindInfo, &o.object.name))
	c.delete(groupKey(kindChange, &o.object.name))
	for id := range g.readers {
		o.owners[id].leave(g.id)
		b.s.dropReader(&c, o.object, o.owners[id], g)
	}
	o.object.mu.Lock()
	o.object.group = nil
	o.object.mu.Unlock()
	b.changeLogged(c)
}
