package codec

import "encoding/binary"

// Encoder is a value that appends its encoding to a slice.
type Encoder interface {
	Append(b []byte) []byte
}

// Encode returns the encoding of v in a new slice.
func Encode(v Encoder) []byte { return v.Append(nil) }

// AppendU16 appends a uint16.
func AppendU16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }

// AppendU32 appends a uint32.
func AppendU32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// AppendU64 appends a uint64.
func AppendU64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// HeaderSize returns how many bytes the header of a vector of n bytes takes.
func HeaderSize(n int) int {
	switch {
	case n < 1<<6:
		return 1
	case n < 1<<14:
		return 2
	}
	return 4
}

// AppendLength appends the header of a vector of n bytes. It panics above
// MaxVector: whoever builds a message of a gibibyte has lost control before.
func AppendLength(b []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, 0x40|byte(n>>8), byte(n))
	case n <= MaxVector:
		return append(b, 0x80|byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	panic("codec: vector longer than 2^30-1 bytes")
}

// AppendVec appends an opaque vector.
func AppendVec(b, v []byte) []byte { return append(AppendLength(b, len(v)), v...) }

// AppendString appends an opaque vector given as a string.
func AppendString(b []byte, v string) []byte { return append(AppendLength(b, len(v)), v...) }

// AppendNested appends a vector whose content is what body appends.
func AppendNested(b []byte, body func([]byte) []byte) []byte {
	start := len(b)
	b = body(append(b, 0))
	n := len(b) - start - 1
	if h := HeaderSize(n); h > 1 {
		b = append(b, make([]byte, h-1)...)
		copy(b[start+h:], b[start+1:start+1+n])
	}
	AppendLength(b[:start], n)
	return b
}

// AppendList appends a vector of encodable elements.
func AppendList[T Encoder](b []byte, list []T) []byte {
	return AppendNested(b, func(b []byte) []byte {
		for _, v := range list {
			b = v.Append(b)
		}
		return b
	})
}

// AppendOptional appends the presence byte.
func AppendOptional(b []byte, present bool) []byte {
	if present {
		return append(b, 1)
	}
	return append(b, 0)
}
