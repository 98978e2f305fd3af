// Package wire holds the structures of RFC 9420 with their encodings, and
// nothing of their meaning. Decoding takes views into the input: whoever keeps
// a structure keeps its message alive, unless it calls Detach.
package wire

import (
	"errors"

	"quicnprotochat/mls/internal/codec"
)

// Version is mls10, the only protocol version.
const Version uint16 = 1

// ErrUnsupported says that a structure has a type which cannot be parsed here:
// a credential, a proposal or a protocol version of an unknown kind.
var ErrUnsupported = errors.New("unsupported type")

// Decoder is a structure that reads itself.
type Decoder interface {
	Decode(r *codec.Reader)
}

// Decode reads v from exactly b.
func Decode(b []byte, v Decoder) error {
	r := codec.NewReader(b)
	v.Decode(r)
	return r.Done()
}

func decodeList[T any, P interface {
	*T
	Decoder
}](r *codec.Reader) []T {
	sub := r.Sub()
	var list []T
	for sub.More() {
		var v T
		P(&v).Decode(sub)
		list = append(list, v)
	}
	r.Join(sub)
	return list
}
