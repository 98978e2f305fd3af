package hotlog

import "quicnprotochat/store"

// change is what a commit does with one identity.
type change struct {
	owner *object
	store.Fate
	former bool // it was removed before, and what it did not read is gone: what is left of it goes too
}

// apply adds, removes or restores a member by the commit seq. The lock of the group is held.
func (what *change) apply(c *changes, b *batch, o *object, seq, durable uint64) {
	g, owner := o.group, what.owner
	m := g.readers[owner.key.id]
	if what.former {
		if m != nil && m.until != 0 && m.until <= g.log.acked {
			g.drop(m)
			owner.leave(g.id)
			b.s.dropReader(c, o, owner, g)
		}
		return
	}
	if what.counts(m) {
		g.members++
	} else if m != nil && m.until == 0 && what.Removed {
		g.members--
	}
	next := what.view(m, seq)
	next.batch = b.number
	if m == nil {
		m = &member{id: owner.key.id, view: next}
		g.add(m)
	} else {
		m.become(next, durable)
	}
	g.audience = nil
	g.moved(m)
	owner.join(g.id, m.until == 0)
	b.s.saveReader(c, o, owner, g, m)
}

// counts says whether m, nil for one who does not read the group, becomes a member that it was not.
func (what *change) counts(m *member) bool {
	return !what.former && !what.Removed && (m == nil || m.until != 0)
}

// view is what m reads after the commit seq.
func (what *change) view(m *member, seq uint64) view {
	var v view
	switch {
	case what.Added:
		return view{joined: seq, acked: seq}
	case m == nil: // it is restored, and had read all
		v = view{joined: seq - 1, acked: seq - 1}
	default:
		v = view{joined: m.joined, acked: m.acked}
	}
	if what.Removed {
		v.until = seq
	}
	return v
}
