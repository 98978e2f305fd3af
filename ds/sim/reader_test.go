package sim

import (
	"quicnprotochat/schemas"
)

// read reads one PUSH stream to its end. A stream of a group whose Welcome has not come yet is refused: it comes again.
func (p *person) read(s *pipe) {
	defer s.close()
	f, err := s.next()
	if err != nil {
		return
	}
	o, err := f.Open()
	if err != nil {
		p.w.t.Errorf("seed %d: a stream begins with %v: %v", p.w.seed, f.Which(), err)
		return
	}
	group, err := o.GroupId()
	if err != nil {
		p.w.t.Errorf("seed %d: %v", p.w.seed, err)
		return
	}
	name := string(group)
	for {
		f, err := s.next()
		if err != nil || s.l.dead.Load() {
			return
		}
		list, err := f.Deliver()
		if err != nil || f.Which() != schemas.PushFrame_Which_deliver {
			p.w.t.Errorf("seed %d: frame %v: %v", p.w.seed, f.Which(), err)
			return
		}
		upTo := uint64(0)
		for i := range list.Len() {
			e := list.At(i)
			b, err := e.Payload()
			if err != nil {
				p.w.t.Errorf("seed %d: %v", p.w.seed, err)
				return
			}
			if !p.receive(name, e.Seq(), b) {
				return
			}
			upTo = e.Seq()
		}
		if p.w.odds(10) {
			continue // it acknowledges with the next one
		}
		if s.ack(upTo) != nil {
			return
		}
	}
}

// receive takes a message in. It returns false for one that cannot be understood yet.
func (p *person) receive(queue string, seq uint64, b []byte) bool {
	group, m, err := decode(b)
	if err != nil {
		p.w.t.Errorf("seed %d: %v", p.w.seed, err)
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if queue == "" || queue == letters {
		p.take(queue, group, seq, &m)
		return true
	}
	p.w.offered(p.n, group, seq)
	v := p.groups[group]
	if v == nil || !v.member && seq > v.last {
		return false // its Welcome comes
	}
	if seq <= v.last {
		return true // once more
	}
	if !v.fresh {
		// It was added, perhaps after it had been removed and before it read that. What is older than its Welcome may still be on its way; what is newer than that
		// is of a Welcome that is. A message of the Welcome's epoch may be of either time as a member, for others post late; its commit is of one.
		if m.Epoch > v.epoch {
			return false
		}
		v.fresh = m.Commit && m.Epoch == v.epoch
	} else if seq > v.last+1 {
		return false // it was removed, and added anew
	}
	p.w.received(p.n, group, seq, &m)
	v.last = seq
	if !v.fresh {
		return true
	}
	if !m.Commit {
		if m.Epoch > v.epoch {
			p.w.t.Errorf("seed %d: person %d: message %d of %q is of epoch %d, the group is in %d", p.w.seed, p.n, seq, group, m.Epoch, v.epoch)
		}
		return true
	}
	if m.Epoch != v.epoch {
		p.w.t.Errorf("seed %d: person %d: commit %d of %q is of epoch %d, the group is in %d", p.w.seed, p.n, seq, group, m.Epoch, v.epoch)
	}
	v.epoch = m.Epoch + 1
	for _, n := range m.Added {
		v.roster[n] = true
	}
	for _, n := range m.Removed {
		delete(v.roster, n)
		if n == p.n {
			v.member = false
		}
	}
	return true
}

// take takes in what is for p alone. p.mu is held.
func (p *person) take(queue, group string, seq uint64, m *message) {
	if queue == letters {
		p.w.opened(p.w, p.n, seq, m)
	} else if seq > p.inbox {
		p.inbox = seq
		p.welcomed(group, m)
	}
}

// welcomed joins a group. p.mu is held.
func (p *person) welcomed(group string, m *message) {
	p.w.welcomed(p.n, group, m.ID)
	v := &view{member: true, epoch: m.Epoch + 1, roster: make(map[int]bool)}
	for _, n := range m.Roster {
		v.roster[n] = true
	}
	p.groups[group] = v
}
