// Package codec reads and writes the TLS presentation language as RFC 9420,
// section 2.1, uses it: big-endian integers, optional values and vectors whose
// length is a variable-size integer of 1, 2 or 4 bytes.
//
// A Reader never allocates: every slice it returns is a view into the input, so
// a promised length can cost no more memory than the bytes that were received.
package codec

import (
	"encoding/binary"
	"errors"
)

var (
	// ErrTruncated says that the input ended inside a value.
	ErrTruncated = errors.New("input ends inside a value")
	// ErrTrailing says that bytes follow the value.
	ErrTrailing = errors.New("bytes follow the value")
	// ErrVarint says that a vector length is not minimally encoded, or has the
	// reserved prefix (R §2.1.2).
	ErrVarint = errors.New("vector length is not minimally encoded")
	// ErrEnum says that a selector has a value which the structure does not allow.
	ErrEnum = errors.New("selector has an unknown value")
)

// MaxVector is the largest length in bytes that a vector header can carry.
const MaxVector = 1<<30 - 1

// Reader consumes a byte slice. The first error sticks: later reads return zero
// values, so that a decoder checks once, at the end.
type Reader struct {
	buf []byte
	err error
}

// NewReader returns a Reader over b, which it never changes.
func NewReader(b []byte) *Reader { return &Reader{buf: b} }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.buf) }

// More says whether another element can be read.
func (r *Reader) More() bool { return r.err == nil && len(r.buf) > 0 }

// Rest returns the bytes not yet read, as a view.
func (r *Reader) Rest() []byte { return r.buf }

// Since returns the bytes read since Rest returned mark.
func (r *Reader) Since(mark []byte) []byte {
	if r.err != nil {
		return nil
	}
	n := len(mark) - len(r.buf)
	return mark[:n:n]
}

// Fail records err unless an error is recorded already.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
		r.buf = nil
	}
}

// Done returns the first error, or ErrTrailing when input is left.
func (r *Reader) Done() error {
	if r.err == nil && len(r.buf) > 0 {
		return ErrTrailing
	}
	return r.err
}

// Bytes reads n bytes, as a view.
func (r *Reader) Bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.buf) {
		r.Fail(ErrTruncated)
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

// U8 reads a uint8.
func (r *Reader) U8() uint8 {
	if b := r.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads a uint16.
func (r *Reader) U16() uint16 {
	if b := r.Bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U32 reads a uint32.
func (r *Reader) U32() uint32 {
	if b := r.Bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// U64 reads a uint64.
func (r *Reader) U64() uint64 {
	if b := r.Bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Length reads the header of a vector: 1, 2 or 4 bytes whose two top bits tell
// the size. An encoding longer than needed is refused (R §2.1.2).
func (r *Reader) Length() int {
	first := r.U8()
	switch n := int(first & 0x3f); first >> 6 {
	case 0:
		return n
	case 1:
		n = n<<8 | int(r.U8())
		if n < 1<<6 {
			r.Fail(ErrVarint)
		}
		return n
	case 2:
		low := r.Bytes(3)
		if low == nil {
			return 0
		}
		n = n<<24 | int(low[0])<<16 | int(low[1])<<8 | int(low[2])
		if n < 1<<14 {
			r.Fail(ErrVarint)
		}
		return n
	}
	r.Fail(ErrVarint)
	return 0
}

// Vec reads an opaque vector, as a view.
func (r *Reader) Vec() []byte { return r.Bytes(r.Length()) }

// Sub reads a vector and returns a Reader of its content. When the content is
// consumed, call Join to carry its error over.
func (r *Reader) Sub() *Reader {
	b := r.Vec()
	return &Reader{buf: b, err: r.err}
}

// Join records the error of sub, or that sub was not consumed.
func (r *Reader) Join(sub *Reader) {
	if err := sub.Done(); err != nil {
		r.Fail(err)
	}
}

// Optional reads the presence byte of an optional value.
func (r *Reader) Optional() bool {
	switch r.U8() {
	case 0:
		return false
	case 1:
		return true
	}
	r.Fail(ErrEnum)
	return false
}
