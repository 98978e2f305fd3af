package hotlog

import (
	"encoding/binary"
	"fmt"
	"time"

	"quicnprotochat/store"
)

// cold is a message as the tree holds it: accepted(6), expires-accepted, cum, bucket of its id(4), id(16), payload. One that had expired when it left
// the log has no payload: it only keeps its number.
type cold struct {
	accepted, expires int64
	cum               uint64
	bucket            uint32
	id                store.MessageID
	payload           []byte
}

func (m *cold) append(b []byte) []byte {
	b = appendTime(b, m.accepted)
	b = binary.AppendUvarint(b, uint64(m.expires-m.accepted))
	b = binary.AppendUvarint(b, m.cum)
	b = binary.BigEndian.AppendUint32(b, m.bucket)
	b = append(b, m.id[:]...)
	return append(b, m.payload...)
}

// decodeCold takes a message apart; its payload is part of b.
func decodeCold(b []byte) (m cold, err error) {
	r := reader{b: b}
	m.accepted = r.time()
	span := r.uvarint()
	m.expires = m.accepted + int64(min(span, maxTime))
	m.cum = r.uvarint()
	if f := r.bytes(4); f != nil {
		m.bucket = binary.BigEndian.Uint32(f)
	}
	copy(m.id[:], r.bytes(len(m.id)))
	if len(r.b) > store.MaxPayload || span > maxTime {
		r.fail("message in the tree")
	}
	m.payload = r.b
	return m, r.err
}

func (m *cold) delivery(seq uint64) store.Delivery {
	return store.Delivery{Seq: seq, ID: m.id, Payload: m.payload, AcceptedAt: time.UnixMilli(m.accepted)}
}

// scanCold calls f for the messages of a stream from first to last that are in the tree, with err if one cannot be read. The payload is f's only until
// it returns, unless the store is encrypted.
func (s *Store) scanCold(stream *name, first, last uint64, f func(seq uint64, m *cold, err error) (bool, error)) error {
	bounds := appendMessageKey(make([]byte, 0, 2*messageKeySize), stream, first)
	bounds = appendMessageKey(bounds, stream, last)
	end := append(bounds[messageKeySize:2*messageKeySize:2*messageKeySize], 0)
	return s.tree.scan(bounds[:messageKeySize], end, func(key, value []byte) (bool, error) {
		seq := binary.BigEndian.Uint64(key[messageKeySize-8:])
		plain, err := s.tree.seal.open(key, value)
		var m cold
		if err == nil {
			m, err = decodeCold(plain)
		}
		if err != nil {
			err = fmt.Errorf("message %d: %w", seq, err)
		}
		return f(seq, &m, err)
	})
}
