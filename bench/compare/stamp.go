package main

import "encoding/binary"

// A stamp is the beginning of each payload: what a recipient must know to measure and check it.
type stamp struct {
	topic    uint32
	number   uint64 // of the topic's messages, from 1
	intended int64  // when it was meant to be sent, nanoseconds since the run began
}

const stampSize = 20

func (s stamp) put(b []byte) {
	binary.BigEndian.PutUint32(b, s.topic)
	binary.BigEndian.PutUint64(b[4:], s.number)
	binary.BigEndian.PutUint64(b[12:], uint64(s.intended))
}

// readStamp reports whether b is long enough.
func readStamp(b []byte) (s stamp, ok bool) {
	if len(b) < stampSize {
		return s, false
	}
	return stamp{binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:]), int64(binary.BigEndian.Uint64(b[12:]))}, true
}
