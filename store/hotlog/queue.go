package hotlog

import (
	"cmp"
	"slices"

	"quicnprotochat/store"
)

// idleFor is for how long at least a queue was empty and unused when it makes room for another, ms: none of its ids needs to be recognised by then.
const idleFor = 2 * 26 * msPerHour

// forgetAtOnce is how many queues make room together, and lookAgain how long nobody looks for them again after none was found, ms.
const (
	forgetAtOnce = 16
	lookAgain    = 60_000
)

// maxForget is the size of the largest record of kind recordForget.
const maxForget = 1 + 32 + 10 + forgetAtOnce*(1+store.MaxGroup)

// newQueue makes a queue for a payload, or returns nil if the owner has too many, or the payload is above the quota. The lock of o is held.
func (b *batch) newQueue(o *object, q store.QueueID, n name, payload int) *stream {
	if uint64(payload) > b.s.opts.Quota.Bytes {
		return nil
	}
	if o.count() >= b.s.opts.Quota.Queues && !b.forgetIdle(o) {
		return nil
	}
	st := &stream{object: o, id: q, name: n, acked: o.floor, last: o.floor}
	o.add(st)
	return st
}

// forgetIdle forgets the longest unused of the queues that are empty and long unused, and says whether there was one. The owner's floor
// keeps their numbers from being used again.
func (b *batch) forgetIdle(o *object) bool {
	if d := b.ms - o.looked; d >= 0 && d < lookAgain || !b.mayForget {
		return false
	}
	var idle []*stream
	o.all(func(st *stream) {
		if st.acked == st.last && b.ms-st.touched >= idleFor {
			idle = append(idle, st)
		}
	})
	if len(idle) == 0 {
		o.looked = b.ms
		return false
	}
	slices.SortFunc(idle, func(a, b *stream) int { return cmp.Compare(a.touched, b.touched) })
	f := forget{owner: o.key.id, floor: o.floor}
	for _, st := range idle[:min(len(idle), forgetAtOnce)] {
		f.floor = max(f.floor, st.last)
		f.groups = append(f.groups, st.id.Group)
	}
	b.mayForget = false
	text := f.append(make([]byte, 0, maxForget))
	record, _ := b.record(len(text))
	copy(record, text)
	b.change(b.d.forget(o, &f))
	return true
}

// forget takes queues away from their owner, and returns what that changes in the tree.
func (d *decider) forget(o *object, f *forget) (c changes) {
	for _, g := range f.groups {
		q := store.QueueID{Owner: f.owner, Group: g}
		n := d.s.names.stream(&q)
		if st := o.find(g); st != nil {
			d.window.unexpire(st)
			o.remove(st)
		}
		c.delete(appendMetaKey(nil, &o.name, &n))
	}
	o.floor = max(o.floor, f.floor)
	c.setSealed(d.s.tree, appendOwnerKey(nil, &o.name), appendFloor(nil, o.floor))
	return c
}
