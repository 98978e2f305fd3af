package pebble

import (
	"encoding/binary"
	"fmt"
	"time"

	"quicnprotochat/store"
)

// head is the state of one queue, 49 bytes: number(8) acked(8) last(8) bytes(8) touched(8) bucket(4) mask(4) reserved(1).
type head struct {
	number  uint64
	acked   uint64 // cumulative cursor
	last    uint64 // highest seq ever stored
	bytes   uint64 // payload above acked
	touched int64  // last change, ms since 1970

	// Buckets that hold ids of this queue: bucket is the newest, bit n of mask stands for bucket - n. It spares the look-ups in
	// the others.
	bucket uint32
	mask   uint32
}

const headSize = 49

func (h *head) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.number)
	b = binary.BigEndian.AppendUint64(b, h.acked)
	b = binary.BigEndian.AppendUint64(b, h.last)
	b = binary.BigEndian.AppendUint64(b, h.bytes)
	b = binary.BigEndian.AppendUint64(b, uint64(h.touched))
	b = binary.BigEndian.AppendUint32(b, h.bucket)
	b = binary.BigEndian.AppendUint32(b, h.mask)
	return append(b, 0)
}

func decodeHead(b []byte) (head, error) {
	if len(b) != headSize {
		return head{}, fmt.Errorf("%w: queue head of %d bytes", store.ErrCorrupt, len(b))
	}
	h := head{
		number:  binary.BigEndian.Uint64(b),
		acked:   binary.BigEndian.Uint64(b[8:]),
		last:    binary.BigEndian.Uint64(b[16:]),
		bytes:   binary.BigEndian.Uint64(b[24:]),
		touched: int64(binary.BigEndian.Uint64(b[32:])),
		bucket:  binary.BigEndian.Uint32(b[40:]),
		mask:    binary.BigEndian.Uint32(b[44:]),
	}
	if h.acked > h.last || h.number == 0 {
		return head{}, fmt.Errorf("%w: queue head with cursor %d above last %d", store.ErrCorrupt, h.acked, h.last)
	}
	return h, nil
}

// sawID notes that bucket holds an id of the queue.
func (h *head) sawID(bucket uint32) {
	if d := int64(bucket) - int64(h.bucket); h.mask == 0 || d >= 32 {
		h.bucket, h.mask = bucket, 1
	} else if d >= 0 {
		h.bucket, h.mask = bucket, h.mask<<d|1
	} else if d > -32 { // the clock went back
		h.mask |= 1 << -d
	}
}

// owner holds an identity's counters, 40 bytes.
type owner struct {
	queues  uint64 // number of heads
	floor   uint64 // no queue of this owner that is forgotten went above this seq
	next    uint64 // number of the next KeyPackage, from 1
	first   uint64 // no single-use KeyPackage below this number is left
	singles uint64 // single-use KeyPackages held, expired ones included

	looked int64 // not stored: when idle queues were looked for in vain, ms
}

const ownerSize = 40

func (o *owner) append(b []byte) []byte {
	for _, v := range [...]uint64{o.queues, o.floor, o.next, o.first, o.singles} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func decodeOwner(b []byte) (owner, error) {
	if len(b) != ownerSize {
		return owner{}, fmt.Errorf("%w: owner record of %d bytes", store.ErrCorrupt, len(b))
	}
	return owner{
		queues:  binary.BigEndian.Uint64(b),
		floor:   binary.BigEndian.Uint64(b[8:]),
		next:    binary.BigEndian.Uint64(b[16:]),
		first:   binary.BigEndian.Uint64(b[24:]),
		singles: binary.BigEndian.Uint64(b[32:]),
	}, nil
}

// A message: acceptedAt ms(8) id(16) payload.
const messageHeader = 24

func appendMessage(b []byte, accepted int64, m *store.Message) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(accepted))
	b = append(b, m.ID[:]...)
	return append(b, m.Payload...)
}

// decodeMessage returns a delivery whose payload is part of b.
func decodeMessage(seq uint64, b []byte) (store.Delivery, error) {
	if len(b) <= messageHeader || len(b) > messageHeader+store.MaxPayload {
		return store.Delivery{}, fmt.Errorf("%w: message %d of %d bytes", store.ErrCorrupt, seq, len(b))
	}
	d := store.Delivery{Seq: seq, Payload: b[messageHeader:], AcceptedAt: time.UnixMilli(int64(binary.BigEndian.Uint64(b)))}
	copy(d.ID[:], b[8:])
	return d, nil
}

// meta describes a KeyPackage without its bytes: notAfter s(8) fingerprint(32) init key hash(32).
type meta struct {
	notAfter    int64
	fingerprint [32]byte
	initKey     [32]byte
}

const metaSize = 72

func (m *meta) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(m.notAfter))
	b = append(b, m.fingerprint[:]...)
	return append(b, m.initKey[:]...)
}

func decodeMeta(b []byte) (meta, error) {
	if len(b) != metaSize {
		return meta{}, fmt.Errorf("%w: KeyPackage record of %d bytes", store.ErrCorrupt, len(b))
	}
	m := meta{notAfter: int64(binary.BigEndian.Uint64(b))}
	copy(m.fingerprint[:], b[8:])
	copy(m.initKey[:], b[40:])
	return m, nil
}
