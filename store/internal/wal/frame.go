package wal

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	markBit  = 1 << 31
	markSize = 16 // payload of a mark
	maxFrame = 1<<30 - 1

	clearOverhead  = 12
	sealedOverhead = 8 + 16
)

// overhead is how many bytes a frame takes beside its payload.
func (h *header) overhead() int {
	if h.aead == nil {
		return clearOverhead
	}
	return sealedOverhead
}

// begins is how many bytes of a frame stand before its payload.
func (h *header) begins() int {
	if h.aead == nil {
		return clearOverhead
	}
	return 8
}

// headSum is the checksum of a frame's place and length, of which b are the four bytes.
func (h *header) headSum(offset uint32, b []byte) uint32 {
	return crc32.Update(h.sums[0]^offset, castagnoli, b[:4])
}

func (h *header) nonce(offset uint32) (n [12]byte) {
	binary.LittleEndian.PutUint32(n[:], offset)
	return n
}

// payloadSum is the checksum of a payload that is not encrypted.
func (h *header) payloadSum(offset uint32, payload []byte) uint32 {
	return crc32.Update(h.sums[1]^offset, castagnoli, payload)
}

// seal finishes a frame whose length and payload are in place. offset is where it will stand.
func (h *header) seal(frame []byte, offset uint32) {
	binary.LittleEndian.PutUint32(frame[4:], h.headSum(offset, frame))
	if h.aead == nil {
		binary.LittleEndian.PutUint32(frame[8:], h.payloadSum(offset, frame[clearOverhead:]))
		return
	}
	nonce := h.nonce(offset)
	payload := frame[8 : len(frame)-16]
	h.aead.Seal(payload[:0], nonce[:], payload, frame[:4])
}

// head reads the start of a frame that stands at offset. ok is false if it is none, or does not fit into b.
func (h *header) head(b []byte, offset uint32) (size int, mark, ok bool) {
	if len(b) < 8 {
		return 0, false, false
	}
	length := binary.LittleEndian.Uint32(b)
	if binary.LittleEndian.Uint32(b[4:]) != h.headSum(offset, b) {
		return 0, false, false
	}
	mark = length&markBit != 0
	n := int(length &^ markBit)
	if n > maxFrame || n+h.overhead() > len(b) || mark && n != markSize {
		return 0, false, false
	}
	return n + h.overhead(), mark, true
}

// open checks a whole frame and returns its payload, which it decrypts in place.
func (h *header) open(frame []byte, offset uint32) (payload []byte, ok bool) {
	if h.aead == nil {
		payload = frame[clearOverhead:]
		return payload, binary.LittleEndian.Uint32(frame[8:]) == h.payloadSum(offset, payload)
	}
	nonce := h.nonce(offset)
	payload, err := h.aead.Open(frame[8:8], nonce[:], frame[8:], frame[:4])
	return payload, err == nil
}

// mark is what a batch starts with.
type mark struct {
	synced   uint64 // how far this segment was synced before
	previous uint64 // where the segment before ends; 0 if there is none
}

func (m mark) put(b []byte) {
	binary.LittleEndian.PutUint64(b, m.synced)
	binary.LittleEndian.PutUint64(b[8:], m.previous)
}

func parseMark(b []byte) mark {
	return mark{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}
