package hotlog

import (
	"sync/atomic"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// stream is a queue, or the log of a group: messages with dense numbers, of which acked and below are gone, up to cold are in the tree, and above are
// in the log. It is guarded by its object's lock, and changed by the decider only.
type stream struct {
	object *object
	id     store.QueueID
	name   name

	acked, last       uint64
	ackedCum, lastCum uint64 // bytes of payload ever stored, up to acked and to last
	cold              uint64
	hot               []entry // of which the first gone are dropped already; the first left is number max(acked, cold)+1
	gone              int
	touched           int64  // the last change, ms
	segment           uint64 // of the log, that holds the last record about it; 0 when the tree knows all
	expiry            uint32 // hour in which the sweep looks at it; 0 for none
	forgotten         bool   // it made room for another, and is not its object's any more
	seen              seen
}

// seen is what readers found in the tree of a stream's messages, from its cursor on without a gap: the acknowledgement that follows need not look there again.
type seen struct {
	to     uint64 // the last one, in the tree
	cum    uint64 // its
	bucket uint32 // the lowest of them
}

func (s *seen) add(seq uint64, m *cold) {
	s.to, s.cum, s.bucket = seq, m.cum, min(s.bucket, m.bucket)
}

// saw notes what somebody read from the message after `after` on.
func (st *stream) saw(after uint64, s seen) {
	switch {
	case after <= st.acked:
		st.seen = s
	case after == st.seen.to:
		st.seen = seen{s.to, s.cum, min(s.bucket, st.seen.bucket)}
	}
}

// entry is a message in the log, 64 bytes.
type entry struct {
	pos     wal.Pos // of the record
	cum     uint64
	expires int64  // ms
	chunk   *chunk // where the record is in memory, if it is: at
	at      uint32
	from, n uint32 // the message's own part of the record
	size    uint32 // of the payload; 0 says that the record could not be read at the start
	batch   uint64 // that it is in; readable once that is durable
}

// firstHot is the number of the first message in the log, or would be.
func (st *stream) firstHot() uint64 { return st.last - uint64(len(st.hot)-st.gone) + 1 }

// entries are those in the log.
func (st *stream) entries() []entry { return st.hot[st.gone:] }

// entry is message seq, which must be in the log.
func (st *stream) entry(seq uint64) *entry {
	return &st.hot[st.gone+int(seq-st.firstHot())]
}

// push adds the message after last.
func (st *stream) push(e entry) {
	if len(st.hot) == cap(st.hot) && st.gone > len(st.hot)/2 { // less would be copied again and again
		n := copy(st.hot, st.hot[st.gone:])
		clear(st.hot[n:])
		st.hot, st.gone = st.hot[:n], 0
	}
	st.hot = append(st.hot, e)
	st.last++
	st.lastCum = e.cum
}

// drop forgets the entries up to seq.
func (st *stream) drop(seq uint64) {
	first := st.firstHot()
	if seq < first {
		return
	}
	n := int(min(seq-first+1, uint64(len(st.hot)-st.gone)))
	clear(st.hot[st.gone : st.gone+n])
	st.gone += n
	if st.gone == len(st.hot) {
		st.hot, st.gone = st.hot[:0], 0
		if cap(st.hot) > 16 {
			st.hot = nil
		}
	}
}

// cumAt is the cum of message seq, which is in the log, or last, or just below those in the log.
func (st *stream) cumAt(seq uint64) uint64 {
	switch {
	case seq == st.last:
		return st.lastCum
	case seq < st.firstHot():
		e := &st.hot[st.gone]
		return e.cum - uint64(e.size)
	default:
		return st.entry(seq).cum
	}
}

// chunk is a piece of memory with recent records. The cache drops its data when it needs room; who reads it keeps what it has loaded.
type chunk struct{ data atomic.Pointer[[]byte] }

// record is the message's own part of its record, if it is in memory.
func (e *entry) record() []byte {
	if e.chunk == nil {
		return nil
	}
	data := e.chunk.data.Load()
	if data == nil {
		return nil
	}
	return (*data)[e.at : e.at+e.n : e.at+e.n]
}

const chunkSize = 256 << 10

// cache keeps the most recent records in memory, first in, first out. The decider owns it; chunks may be read by all.
type cache struct {
	limit  int
	size   int
	chunks []*chunk // the last is being filled
	buf    []byte
}

// add copies a record.
func (c *cache) add(record []byte) (*chunk, uint32) {
	if len(record) > c.limit {
		return nil, 0
	}
	if len(c.chunks) == 0 || cap(c.buf)-len(c.buf) < len(record) {
		c.buf = make([]byte, 0, max(chunkSize, len(record)))
		whole := c.buf[:cap(c.buf)]
		k := new(chunk)
		k.data.Store(&whole)
		c.chunks = append(c.chunks, k)
		c.size += cap(c.buf)
		for c.size > c.limit && len(c.chunks) > 1 {
			old := c.chunks[0]
			c.size -= len(*old.data.Load())
			old.data.Store(nil)
			c.chunks[0] = nil
			c.chunks = c.chunks[1:]
		}
	}
	at := len(c.buf)
	c.buf = append(c.buf, record...)
	return c.chunks[len(c.chunks)-1], uint32(at)
}
