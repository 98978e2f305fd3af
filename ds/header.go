package ds

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// wireFormat is that of an MLSMessage (RFC 9420 section 6).
type wireFormat uint16

const (
	publicMessage  wireFormat = 1
	privateMessage wireFormat = 2
	welcome        wireFormat = 3
	groupInfo      wireFormat = 4
)

// contentType is that of a PublicMessage or PrivateMessage (RFC 9420 section 6).
type contentType uint8

const (
	application contentType = 1
	proposal    contentType = 2
	commit      contentType = 3
)

// header is what an MLSMessage says to everybody: the service reads no more of it. group and epoch are not set for a Welcome, content only
// for a PublicMessage and a PrivateMessage. group is part of what was read.
type header struct {
	format  wireFormat
	group   []byte
	epoch   uint64
	content contentType

	newcomer bool // its sender is no member of the epoch: an external commit, or a proposal to be added
}

// errHeader says that a payload is no MLSMessage that this service knows.
var errHeader = errors.New("not an MLSMessage of RFC 9420")

// readHeader reads the beginning of an MLSMessage.
func readHeader(b []byte) (h header, err error) {
	r := fields{b: b}
	if version := r.number(2); r.ok() && version != 1 {
		return h, fmt.Errorf("%w: version %d", errHeader, version)
	}
	h.format = wireFormat(r.number(2))
	switch h.format {
	case privateMessage:
		h.group, h.epoch, h.content = r.bytes(), r.number(8), contentType(r.number(1))
	case publicMessage:
		h.group, h.epoch = r.bytes(), r.number(8)
		h.newcomer = r.newcomer()
		r.bytes() // authenticated data
		h.content = contentType(r.number(1))
	case groupInfo: // begins with a GroupContext: version, cipher suite, group id, epoch
		r.number(4)
		h.group, h.epoch = r.bytes(), r.number(8)
	case welcome:
	default:
		r.failed = true
	}
	if (h.format == privateMessage || h.format == publicMessage) && (h.content < application || h.content > commit) {
		r.failed = true
	}
	if r.failed {
		return header{}, errHeader
	}
	return h, nil
}

// fields reads fields of TLS presentation language, until one is not there.
type fields struct {
	b      []byte
	failed bool
}

func (f *fields) ok() bool { return !f.failed }

func (f *fields) take(n int) []byte {
	if f.failed || n > len(f.b) {
		f.failed = true
		return nil
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

// number reads n bytes, at most 8.
func (f *fields) number(n int) (v uint64) {
	for _, b := range f.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

// bytes reads a vector of variable size; its length is written as RFC 9420 section 2.1.2 says, in as few bytes as can be.
func (f *fields) bytes() []byte {
	first := f.take(1)
	if f.failed || first[0]>>6 == 3 {
		f.failed = true
		return nil
	}
	var length [4]byte
	size := 1 << (first[0] >> 6)
	length[4-size] = first[0] & 0x3f
	copy(length[4-size+1:], f.take(size-1))
	n := binary.BigEndian.Uint32(length[:])
	if size == 2 && n < 1<<6 || size == 4 && n < 1<<14 {
		f.failed = true
		return nil
	}
	return f.take(int(n))
}

// newcomer reads the sender of a PublicMessage: its type, and an index if it is a member or an external sender, and says whether it is neither.
func (f *fields) newcomer() bool {
	switch f.number(1) {
	case 1, 2:
		f.take(4)
		return false
	case 3, 4:
		return !f.failed
	}
	f.failed = true
	return false
}
