package hotlog

import "quicnprotochat/store"

// pending is what a commit that is being put together adds to a queue.
type pending struct {
	stream   *stream // nil if there is none yet
	messages int
	bytes    uint64
	last     int // the part that holds its last message
}

// pendingKey names a queue of an owner.
type pendingKey struct {
	object *object
	group  string
}

// messages makes the parts of a commit that are messages, the commit itself first. It says false, and has changed nothing that matters, if a
// queue, or the number of an owner's queues, is at its limit.
func (o *commitOp) messages(b *batch, g *group) ([]part, bool) {
	if !b.fits(g.log, len(o.c.Payload)) {
		return nil, false
	}
	queues, kept, ok := o.fit(b)
	if !ok {
		return nil, false
	}
	parts := make([]part, 1, len(kept)+2)
	h := b.header(g.log, len(o.c.Payload), &o.c.ID, b.s.expires(b.ms, store.Message{}.Expires))
	parts[0] = part{stream: g.log, header: h, id: o.target.id, payload: o.c.Payload}
	for _, i := range kept {
		w, t := &o.c.Welcomes[i], &o.welcomes[i]
		p := queues[pendingKey{t.object, w.Queue.Group}]
		if p.stream == nil {
			t.object.mu.Lock()
			p.stream = b.newQueue(t.object, w.Queue, t.name, len(w.Payload))
			t.object.mu.Unlock()
		}
		h := b.header(p.stream, len(w.Payload), &w.ID, b.s.expires(b.ms, w.Expires))
		if p.last > 0 {
			before := &parts[p.last].header
			h.seq = before.seq + 1
			h.cum = before.cum + uint64(len(w.Payload))
		}
		p.last = len(parts)
		parts = append(parts, part{stream: p.stream, header: h, id: t.id, payload: w.Payload})
	}
	return parts, true
}

// fit checks the Welcomes against the quotas. kept are those that are not there already.
func (o *commitOp) fit(b *batch) (queues map[pendingKey]*pending, kept []int, ok bool) {
	quota := &b.s.opts.Quota
	queues = make(map[pendingKey]*pending, len(o.welcomes))
	made := make(map[*object]int)
	ids := make(map[name]bool, len(o.welcomes))
	b.mayForget = true
	for i := range o.welcomes {
		w, t := &o.c.Welcomes[i], &o.welcomes[i]
		key := pendingKey{t.object, w.Queue.Group}
		p := queues[key]
		if p == nil {
			p = &pending{stream: t.object.find(w.Queue.Group)}
			queues[key] = p
		}
		if b.duplicate(p.stream, t) != 0 || ids[t.id] {
			continue
		}
		ids[t.id] = true
		var messages, bytes uint64
		if p.stream != nil {
			messages, bytes = p.stream.last-p.stream.acked, p.stream.lastCum-p.stream.ackedCum
		} else if p.messages == 0 {
			made[t.object]++
			over := func() bool { return t.object.count()+made[t.object] > quota.Queues }
			if over() && (!o.forget(b, t.object) || over()) {
				return nil, nil, false
			}
		}
		p.messages++
		p.bytes += uint64(len(w.Payload))
		if messages+uint64(p.messages) > quota.Messages || bytes+p.bytes > quota.Bytes {
			return nil, nil, false
		}
		kept = append(kept, i)
	}
	return queues, kept, true
}

// forget makes room for a queue of an owner by forgetting idle ones.
func (o *commitOp) forget(b *batch, owner *object) bool {
	for i := range o.welcomes {
		if t := &o.welcomes[i]; t.object == owner {
			if st := owner.find(o.c.Welcomes[i].Queue.Group); st != nil && st.acked == st.last {
				return false // it might be one that this commit is for
			}
		}
	}
	owner.mu.Lock()
	defer owner.mu.Unlock()
	return b.forgetIdle(owner)
}
