package load

import (
	"context"

	"quicnprotochat/client"
	"quicnprotochat/mls"
)

// handle takes what is pushed. What it returns nil for is acknowledged.
func (m *member) handle(ctx context.Context, q client.Queue, batch []client.Envelope) error {
	switch q {
	case client.Queue{}:
		m.welcomed(batch)
	case m.queue:
		var intended []int64
		for i := range batch {
			if err := m.take(ctx, &batch[i], &intended); err != nil {
				return err
			}
		}
		m.mu.Lock()
		m.waiting = append(m.waiting, intended...)
		m.mu.Unlock()
	}
	return nil
}

func (m *member) acknowledged(q client.Queue, upTo uint64) {
	if q != m.queue {
		return
	}
	m.mu.Lock()
	m.acked = max(m.acked, upTo)
	intended := m.waiting
	m.waiting = nil
	m.mu.Unlock()
	at := now()
	for _, t := range intended {
		m.r.rec.record(m.who, Acked, t, at, 1)
	}
}

// seen reports whether a place was taken before, in this membership or an earlier one, and remembers it.
func (m *member) seen(name string, last *uint64, again *repeats, seq uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if seq > *last {
		*last, *again = seq, repeats{}
		return false
	}
	if !again.take(seq) {
		m.r.faults.add("doubled: %s, receiver %d: place %d after %d", name, m.who, seq, *last)
	}
	m.r.redelivered.Add(1)
	return true
}

func (m *member) welcomed(batch []client.Envelope) {
	for _, e := range batch {
		if m.seen("inbox", &m.inbox, new(repeats), e.Seq) {
			continue
		}
		if err := m.join(e.Payload); err != nil {
			m.r.faults.add("%s, receiver %d: the Welcome at place %d of the inbox: %v", m.name, m.who, e.Seq, err)
		}
	}
}

// take takes one message of the group's order. The Welcome, which travels on a stream of its own, comes first.
func (m *member) take(ctx context.Context, e *client.Envelope, intended *[]int64) error {
	m.mu.Lock()
	old := e.Seq <= m.order
	m.mu.Unlock()
	if !old {
		if err := m.await(ctx, m.isIn); err != nil {
			return err
		}
	}
	if m.seen(m.name, &m.order, &m.again, e.Seq) {
		return nil
	}
	t := m.tracker // only this goroutine's memberships change it: the next begins after the last has ended
	t.place(e.Seq)
	s, ok := m.open(e)
	if !ok {
		return nil
	}
	t.take(s, e.Seq)
	if m.late {
		m.r.got(m.who, s, len(e.Payload))
		m.r.signal()
	} else {
		m.r.arrived(m.who, s, len(e.Payload))
	}
	if m.r.measured(s.intended) && s.sender != uint32(m.who) {
		*intended = append(*intended, s.intended)
	}
	return nil
}

// open processes a message, and returns the stamp of one that carries application data.
func (m *member) open(e *client.Envelope) (s stamp, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.r.signal()
	if s, ok = m.own[e.ID]; ok {
		delete(m.own, e.ID)
		return s, true
	}
	if m.commits[e.ID] {
		delete(m.commits, e.ID)
		m.merge(e.ID)
		return s, false
	}
	res, err := m.group.Process(e.Payload)
	if err != nil && m.before(e.Payload) {
		m.r.before.Add(1)
		return s, false
	}
	if err != nil {
		m.r.faults.add("lost: %s, receiver %d cannot read place %d in epoch %d: %v", m.name, m.who, e.Seq, m.group.Epoch(), err)
		return s, false
	}
	m.group.Saved()
	switch res.Kind {
	case mls.KindApplication:
		if s, ok = readStamp(res.Plaintext); !ok {
			m.r.faults.add("%s, receiver %d: place %d holds no message of ours", m.name, m.who, e.Seq)
		}
		return s, ok
	case mls.KindCommit:
		if res.SelfRemoved {
			m.tracker.close(e.Seq)
			m.group = nil
		}
		m.change()
	}
	return s, false
}

// before says whether a message was encrypted before the member joined, and only stored after: it is not for it. The caller holds mu.
func (m *member) before(payload []byte) bool {
	info, err := mls.PeekMessage(payload)
	return err == nil && m.late && info.Epoch < m.since
}

// merge makes a commit of ours real, if that has not happened yet. The caller holds mu.
func (m *member) merge(id client.MessageID) {
	if m.pending != id || m.group == nil || !m.group.HasPending() {
		return
	}
	m.pending = client.MessageID{}
	if err := m.group.MergePending(); err != nil {
		m.r.faults.add("%s, member %d: its commit: %v", m.name, m.who, err)
	}
	m.group.Saved()
	m.change()
}

// seal encrypts messages in the group's epoch of now. A call that is repeated seals them anew: the epoch that they were for may be long past, and whichever of two of
// the same id came first is the one that is stored.
func (m *member) seal(batch []message) ([]client.GroupPost, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	posts := make([]client.GroupPost, len(batch))
	for i := range batch {
		b := &batch[i]
		sealed, err := m.group.Protect(b.payload, nil)
		if err != nil {
			return nil, err
		}
		m.own[b.id] = stamp{sender: uint32(m.who), number: b.number, intended: b.intended}
		posts[i] = client.GroupPost{Group: m.queue.Group, ID: b.id, Payload: sealed}
	}
	m.group.Saved()
	return posts, nil
}
