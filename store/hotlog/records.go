package hotlog

import (
	"encoding/binary"
	"fmt"

	"quicnprotochat/store"
)

// Records of the log begin with their kind. Those of queues carry absolute state, so that the last one of a queue says all about it,
// and replaying any of them twice changes nothing.
const (
	recordPad     = 0  // nothing
	recordMessage = 1  // header, payload: a message of a stream
	recordAck     = 2  // time(6), any number of cursors: acknowledgements
	recordTree    = 3  // any number of changes of the tree
	recordForget  = 4  // owner(32), floor, any number of groups: queues that made room for others
	recordMany    = 5  // any number of (length, record): what happens together; not one in another
	recordOther   = 16 // kinds from here on are of the files that use them
)

// maxCold is how many messages that left the log one cursor can remove.
const maxCold = 1 << 16

// header is what a message's record says beside the payload. It comes as queue, seq, seq-acked, cum, cum-ackedCum, id, accepted, expires-accepted.
type header struct {
	queue    store.QueueID
	seq      uint64
	acked    uint64 // the cursor at that time, below seq
	cum      uint64 // bytes of payload ever stored in the stream, this one's included
	ackedCum uint64 // of these, up to the cursor
	id       store.MessageID
	accepted int64 // ms since 1970
	expires  int64 // ms since 1970
}

func (h *header) size() int {
	return 1 + queueSize(&h.queue) + uvarintSize(h.seq) + uvarintSize(h.seq-h.acked) + uvarintSize(h.cum) + uvarintSize(h.cum-h.ackedCum) +
		len(h.id) + timeSize + uvarintSize(uint64(h.expires-h.accepted))
}

func (h *header) append(b []byte) []byte {
	b = append(b, recordMessage)
	b = appendQueue(b, &h.queue)
	b = binary.AppendUvarint(b, h.seq)
	b = binary.AppendUvarint(b, h.seq-h.acked)
	b = binary.AppendUvarint(b, h.cum)
	b = binary.AppendUvarint(b, h.cum-h.ackedCum)
	b = append(b, h.id[:]...)
	b = appendTime(b, h.accepted)
	return binary.AppendUvarint(b, uint64(h.expires-h.accepted))
}

// decodeMessage takes a message's record apart; payload is part of b.
func decodeMessage(b []byte) (h header, payload []byte, err error) {
	r := reader{b: b}
	if r.byte() != recordMessage {
		r.fail("not a message")
	}
	h.queue = r.queue()
	h.seq = r.uvarint()
	h.acked = h.seq - r.uvarint()
	h.cum = r.uvarint()
	h.ackedCum = h.cum - r.uvarint()
	copy(h.id[:], r.bytes(len(h.id)))
	h.accepted = r.time()
	span := r.uvarint()
	h.expires = h.accepted + int64(min(span, maxTime))
	switch {
	case r.err != nil:
	case h.acked >= h.seq || h.ackedCum > h.cum || h.cum-h.ackedCum < uint64(len(r.b)) || span > maxTime:
		r.fail(fmt.Sprintf("message %d with cursor %d", h.seq, h.acked))
	case len(r.b) == 0 || len(r.b) > store.MaxPayload:
		r.fail(fmt.Sprintf("payload of %d bytes", len(r.b)))
	}
	if r.err != nil {
		return header{}, nil, r.err
	}
	return h, r.b, nil
}

// maxHeader is the size of the largest header.
const maxHeader = 1 + 34 + store.MaxGroup + 5*binary.MaxVarintLen64 + 16 + timeSize

// cursor is an acknowledgement of one queue. It comes as queue, acked, last-acked, ackedCum, lastCum-ackedCum, cold, and coldTop if cold is not 0.
type cursor struct {
	queue             store.QueueID
	acked, last       uint64
	ackedCum, lastCum uint64
	cold              uint64 // how many messages are removed from the tree: those above coldTop-cold up to
	coldTop           uint64
}

func (c *cursor) size() int {
	n := queueSize(&c.queue) + uvarintSize(c.acked) + uvarintSize(c.last-c.acked) + uvarintSize(c.ackedCum) + uvarintSize(c.lastCum-c.ackedCum) + uvarintSize(c.cold)
	if c.cold > 0 {
		n += uvarintSize(c.coldTop)
	}
	return n
}

// maxCursor is the size of the largest cursor.
const maxCursor = 34 + store.MaxGroup + 6*binary.MaxVarintLen64

func (c *cursor) append(b []byte) []byte {
	b = appendQueue(b, &c.queue)
	b = binary.AppendUvarint(b, c.acked)
	b = binary.AppendUvarint(b, c.last-c.acked)
	b = binary.AppendUvarint(b, c.ackedCum)
	b = binary.AppendUvarint(b, c.lastCum-c.ackedCum)
	b = binary.AppendUvarint(b, c.cold)
	if c.cold > 0 {
		b = binary.AppendUvarint(b, c.coldTop)
	}
	return b
}

func (r *reader) cursor() (c cursor) {
	c.queue = r.queue()
	c.acked = r.uvarint()
	c.last = c.acked + r.uvarint()
	c.ackedCum = r.uvarint()
	c.lastCum = c.ackedCum + r.uvarint()
	c.cold = uint64(r.length(maxCold))
	if c.cold > 0 {
		c.coldTop = r.uvarint()
	}
	if c.last < c.acked || c.lastCum < c.ackedCum || c.coldTop < c.cold || c.coldTop > c.acked {
		r.fail("cursor that contradicts itself")
	}
	return c
}

// decodeAck calls each for the cursors of a record.
func decodeAck(b []byte, each func(at int64, c *cursor)) error {
	r := reader{b: b}
	if r.byte() != recordAck {
		r.fail("not an acknowledgement")
	}
	at := r.time()
	for len(r.b) > 0 {
		if c := r.cursor(); r.err == nil {
			each(at, &c)
		}
	}
	return r.err
}

// forget says that an owner's queues made room for others, and that none of its queues that are new begins below floor.
type forget struct {
	owner  store.Identity
	floor  uint64
	groups []string
}

func (f *forget) append(b []byte) []byte {
	b = append(b, recordForget)
	b = append(b, f.owner[:]...)
	b = binary.AppendUvarint(b, f.floor)
	for _, g := range f.groups {
		b = append(b, byte(len(g)))
		b = append(b, g...)
	}
	return b
}

func decodeForget(b []byte) (f forget, err error) {
	r := reader{b: b}
	if r.byte() != recordForget {
		r.fail("not a record of forgotten queues")
	}
	copy(f.owner[:], r.bytes(len(f.owner)))
	f.floor = r.uvarint()
	for len(r.b) > 0 {
		n := int(r.byte())
		if n > store.MaxGroup {
			r.fail("group id of a wrong length")
		}
		f.groups = append(f.groups, string(r.bytes(n)))
	}
	return f, r.err
}

// decodeMany calls each for the records of one of kind recordMany; at is where a record stands in b.
func decodeMany(b []byte, each func(at int, record []byte) error) error {
	r := reader{b: b}
	if r.byte() != recordMany {
		r.fail("not many records")
	}
	for len(r.b) > 0 {
		n := r.length(len(r.b))
		at := len(b) - len(r.b)
		part := r.bytes(n)
		if r.err == nil && (n == 0 || part[0] == recordMany) {
			r.fail("empty record, or many records in another")
		}
		if r.err != nil {
			break
		}
		if err := each(at, part); err != nil {
			return err
		}
	}
	return r.err
}
