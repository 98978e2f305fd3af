package hotlog

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"quicnprotochat/store"
)

// reader takes a record apart. After the first thing that does not fit, err is set and all that follows is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", store.ErrCorrupt, what)
	}
	r.b = nil
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail("record ends early")
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n != uvarintSize(v) {
		r.fail("bad number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length is a number of at most limit.
func (r *reader) length(limit int) int {
	v := r.uvarint()
	if v > uint64(limit) {
		r.fail("number above its limit")
		return 0
	}
	return int(v)
}

// time is in ms since 1970, 6 bytes.
func (r *reader) time() int64 {
	b := r.bytes(timeSize)
	if b == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint16(b))<<32 | int64(binary.BigEndian.Uint32(b[2:]))
}

const (
	timeSize = 6
	maxTime  = 1<<48 - 1
)

func appendTime(b []byte, ms int64) []byte {
	ms = min(max(ms, 0), maxTime)
	b = binary.BigEndian.AppendUint16(b, uint16(ms>>32))
	return binary.BigEndian.AppendUint32(b, uint32(ms))
}

func uvarintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// queue flags, in a byte before the queue that they describe.
const (
	flagGroup  = 1 << iota // a group id follows the owner
	flagShared             // there is no owner
	queueFlags = flagGroup | flagShared
)

func queueSize(q *store.QueueID) int {
	n := 1
	if !q.Shared {
		n += len(q.Owner)
	}
	if q.Group != "" {
		n += 1 + len(q.Group)
	}
	return n
}

func appendQueue(b []byte, q *store.QueueID) []byte {
	flags := byte(0)
	if q.Group != "" {
		flags |= flagGroup
	}
	if q.Shared {
		flags |= flagShared
	}
	b = append(b, flags)
	if !q.Shared {
		b = append(b, q.Owner[:]...)
	}
	if q.Group != "" {
		b = append(b, byte(len(q.Group)))
		b = append(b, q.Group...)
	}
	return b
}

func (r *reader) queue() (q store.QueueID) {
	flags := r.byte()
	if flags&^queueFlags != 0 {
		r.fail("unknown flags of a queue")
	}
	q.Shared = flags&flagShared != 0
	if !q.Shared {
		copy(q.Owner[:], r.bytes(len(q.Owner)))
	}
	if flags&flagGroup != 0 {
		n := int(r.byte())
		if n == 0 || n > store.MaxGroup {
			r.fail("group id of a wrong length")
		}
		q.Group = string(r.bytes(n))
	} else if q.Shared {
		r.fail("group without an id")
	}
	return q
}
