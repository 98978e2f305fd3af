package hotlog

// change is what a commit does with one identity.
type change struct {
	owner  *object
	added  bool
	former bool // it was removed before, and what it did not read is gone: what is left of it goes too
}

// apply adds or removes a member by the commit seq. The lock of the group is held.
func (what *change) apply(c *changes, b *batch, o *object, seq, durable uint64) {
	g, owner := o.group, what.owner
	m := g.readers[owner.key.id]
	switch {
	case what.former:
		if m != nil && m.until != 0 && m.until <= g.log.acked {
			g.drop(m)
			owner.leave(g.id)
			b.s.dropReader(c, o, owner, g)
		}
		return
	case what.added:
		next := view{joined: seq, acked: seq, batch: b.number}
		if m == nil || m.until != 0 {
			g.members++
		}
		if m == nil {
			m = &member{id: owner.key.id, view: next}
			g.add(m)
		} else {
			m.become(next, durable)
		}
	default:
		m.become(view{joined: m.joined, acked: m.acked, until: seq, batch: b.number}, durable)
		g.members--
	}
	g.audience = nil
	g.moved(m)
	owner.join(g.id, m.until == 0)
	b.s.saveReader(c, o, owner, g, m)
}
