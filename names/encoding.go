package names

import (
	"encoding/binary"
	"fmt"
)

// appendVector writes opaque v<V> as RFC 9420 section 2.1.2 has it. v is shorter than 1<<14.
func appendVector(b, v []byte) []byte {
	if n := len(v); n < 1<<6 {
		b = append(b, byte(n))
	} else {
		b = binary.BigEndian.AppendUint16(b, 1<<14|uint16(n))
	}
	return append(b, v...)
}

// reader takes bytes apart. After its first error it returns zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrInvalid, what)
	}
}

func (r *reader) bytes(n int) []byte {
	if r.err == nil && len(r.b) < n {
		r.fail("cut short")
	}
	if r.err != nil {
		return make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.bytes(8)) }

// vector reads opaque v<V> of at most max bytes, max below 1<<14. Only the shortest encoding of a length is taken, so that bytes and meaning are one.
func (r *reader) vector(max int) []byte {
	n := int(r.bytes(1)[0])
	if n >= 1<<6 {
		n = (n<<8 | int(r.bytes(1)[0])) - 1<<14
		if n < 1<<6 || n >= 1<<14 {
			r.fail("length in another encoding than the shortest")
		}
	}
	if r.err != nil {
		return nil
	}
	if n > max {
		r.fail(fmt.Sprintf("%d bytes, at most %d allowed", n, max))
		return nil
	}
	return r.bytes(n)
}

// optional reads a vector that is empty or fills v.
func (r *reader) optional(v []byte) (present bool) {
	b := r.vector(len(v))
	if len(b) != 0 && len(b) != len(v) {
		r.fail(fmt.Sprintf("%d bytes, want none or %d", len(b), len(v)))
		return false
	}
	copy(v, b)
	return len(b) != 0
}
