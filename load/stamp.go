package load

import (
	"encoding/binary"
	"time"
)

// A stamp is the beginning of each payload: what the receiver must know to measure and check it.
type stamp struct {
	sender   uint32
	number   uint64 // of the sender's messages to this queue, from 1
	intended int64  // when it was meant to be sent, nanoseconds since 1970
}

const (
	stampSize  = 24
	stampMagic = 0x716e6c64 // "qnld"
)

// put writes the stamp into the first bytes of b.
func (s stamp) put(b []byte) {
	binary.BigEndian.PutUint32(b, stampMagic)
	binary.BigEndian.PutUint32(b[4:], s.sender)
	binary.BigEndian.PutUint64(b[8:], s.number)
	binary.BigEndian.PutUint64(b[16:], uint64(s.intended))
}

// readStamp reports whether b begins with a stamp.
func readStamp(b []byte) (s stamp, ok bool) {
	if len(b) < stampSize || binary.BigEndian.Uint32(b) != stampMagic {
		return s, false
	}
	return stamp{binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint64(b[8:]), int64(binary.BigEndian.Uint64(b[16:]))}, true
}

// now is the clock of stamps. It is the system's, because processes of one run share it; one run on several machines needs their clocks alike.
func now() int64 { return time.Now().UnixNano() }

// Content types of a PrivateMessage (RFC 9420 section 6).
const (
	contentApplication = 1
	contentCommit      = 3
)

// frame returns what the service reads of a PrivateMessage to a group; opaque payloads begin with it. See ds/header.go.
func frame(group string, epoch uint64, content byte) []byte {
	b := append([]byte{0, 1, 0, 2, byte(len(group))}, group...)
	return append(binary.BigEndian.AppendUint64(b, epoch), content)
}

// frameSize is the length of a frame for our group ids.
const frameSize = 5 + groupIDSize + 8 + 1

// unframe returns what follows a frame, and its content type; ok is false for what is none.
func unframe(b []byte) (content byte, rest []byte, ok bool) {
	if len(b) < frameSize || b[1] != 1 || b[3] != 2 || b[4] != groupIDSize {
		return 0, nil, false
	}
	return b[frameSize-1], b[frameSize:], true
}
