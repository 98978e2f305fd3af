package quicrpc

import (
	"encoding/binary"
	"fmt"
	"sync"

	"capnproto.org/go/capnp/v3"
)

// copyLimit is the size in bytes up to which a message is copied into one buffer before it is sent, so that it takes one write.
const copyLimit = 32 << 10

// encodeBuffers holds *[]byte of capacity copyLimit: per message, not per stream, so that an idle stream holds none.
var encodeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, copyLimit); return &b }}

// writeMessage sends m through write: its framing and segments, at most limit bytes. It sends nothing if m is larger (ErrMessageSize).
func writeMessage(write func([]byte) error, m *capnp.Message, limit int) (int, error) {
	segments := m.NumSegments()
	if segments < 1 || segments > maxSegments {
		return 0, fmt.Errorf("%w: %d segments", ErrMessageSize, segments)
	}
	total := int(segments/2+1) * wordBytes
	for i := range segments {
		s, err := m.Segment(capnp.SegmentID(i))
		if err != nil {
			return 0, err
		}
		total += len(s.Data())
	}
	if total > limit {
		return 0, fmt.Errorf("%w: %d bytes, limit %d", ErrMessageSize, total, limit)
	}
	buf := encodeBuffers.Get().(*[]byte)
	defer encodeBuffers.Put(buf)
	out := appendFraming((*buf)[:0], m)
	if total > copyLimit {
		return total, writeSegments(write, out, m)
	}
	for i := range segments {
		s, _ := m.Segment(capnp.SegmentID(i))
		out = append(out, s.Data()...)
	}
	return total, write(out)
}

func writeSegments(write func([]byte) error, framing []byte, m *capnp.Message) error {
	if err := write(framing); err != nil {
		return err
	}
	for i := range m.NumSegments() {
		s, _ := m.Segment(capnp.SegmentID(i))
		if err := write(s.Data()); err != nil {
			return err
		}
	}
	return nil
}

func appendFraming(b []byte, m *capnp.Message) []byte {
	segments := m.NumSegments()
	b = binary.LittleEndian.AppendUint32(b, uint32(segments-1))
	for i := range segments {
		s, _ := m.Segment(capnp.SegmentID(i))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s.Data())/wordBytes))
	}
	if segments%2 == 0 {
		b = binary.LittleEndian.AppendUint32(b, 0)
	}
	return b
}
