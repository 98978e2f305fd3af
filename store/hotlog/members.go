package hotlog

import (
	"container/heap"
	"encoding/binary"

	"quicnprotochat/store"
)

// member is somebody who reads a group's log: a member, or one who was removed and has not yet acknowledged the commit that did it.
type member struct {
	id store.Identity
	view
	place int // in the heap
}

// view is what somebody reads of a log: what is above acked, which begins at joined, and, if until is not 0, not above until.
type view struct {
	joined, acked, until uint64
	batch                uint64 // that made it so
	past                 *view  // what was before, while that may not be durable
}

// seen is the view that is durable; nil if there is none.
func (v *view) seen(durable uint64) *view {
	for v != nil && v.batch > durable {
		v = v.past
	}
	return v
}

// become replaces a view by the next, which is decided in a batch.
func (v *view) become(next view, durable uint64) {
	old := *v
	if old.batch <= durable {
		old.past = nil
	}
	next.past = &old
	*v = next
}

// acknowledge moves the cursor of a view, and of those before it.
func (v *view) acknowledge(to uint64) {
	for ; v != nil; v = v.past {
		if v.joined <= to {
			v.acked = max(v.acked, to)
		}
	}
}

// append encodes a member: identity(32), joined, acked-joined, and until-joined, or 0.
func (m *member) append(b []byte) []byte {
	b = append(b, m.id[:]...)
	b = binary.AppendUvarint(b, m.joined)
	b = binary.AppendUvarint(b, m.acked-m.joined)
	if m.until == 0 {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, m.until-m.joined)
}

// maxMember is the size of the largest value of kindReader.
const maxMember = 32 + 3*binary.MaxVarintLen64

func decodeMember(b []byte) (*member, error) {
	r := reader{b: b}
	m := new(member)
	copy(m.id[:], r.bytes(len(m.id)))
	m.joined = r.uvarint()
	m.acked = m.joined + r.uvarint()
	until := r.uvarint()
	if until != 0 {
		m.until = m.joined + until
	}
	if r.err == nil && (len(r.b) != 0 || m.acked < m.joined || m.until < m.joined && until != 0 || until != 0 && m.acked > m.until) {
		r.fail("member with a cursor that cannot be")
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// add adds one who reads.
func (g *group) add(m *member) {
	g.readers[m.id] = m
	heap.Push(&g.slowest, m)
	g.audience = nil
}

// drop forgets one who reads.
func (g *group) drop(m *member) {
	delete(g.readers, m.id)
	heap.Remove(&g.slowest, m.place)
	g.audience = nil
}

// moved is told that a cursor, or the view, of m has changed.
func (g *group) moved(m *member) { heap.Fix(&g.slowest, m.place) }

// trim is up to where all have read.
func (g *group) trim() uint64 {
	if len(g.slowest) == 0 {
		return g.log.last
	}
	return g.slowest[0].acked
}

// isMember says whether id is a member as far as is decided.
func (g *group) isMember(id *store.Identity) bool {
	m := g.readers[*id]
	return m != nil && m.until == 0
}

// hearers are the members, in no order. The lock of the object is held; the list may be kept.
func (g *group) hearers() []store.Identity {
	if g.audience == nil {
		g.audience = make([]store.Identity, 0, g.members)
		for id, m := range g.readers {
			if m.until == 0 {
				g.audience = append(g.audience, id)
			}
		}
	}
	return g.audience
}

// memberHeap has at its top who has read the least.
type memberHeap []*member

func (h memberHeap) Len() int           { return len(h) }
func (h memberHeap) Less(i, j int) bool { return h[i].acked < h[j].acked }
func (h memberHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *memberHeap) Push(x any) {
	m := x.(*member)
	m.place = len(*h)
	*h = append(*h, m)
}

// Pop implements heap.Interface.
func (h *memberHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return m
}
