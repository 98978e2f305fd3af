package quicrpc

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/quic-go/quic-go/quicvarint"
)

// A StreamType is the first varint of a stream.
type StreamType uint64

// Stream types. AS, DS and SUBMIT are opened by the client, PUSH by the server. AS and DS carry Cap'n Proto RPC, the others framed messages.
const (
	StreamAS     StreamType = 1
	StreamDS     StreamType = 2
	StreamPush   StreamType = 3
	StreamSubmit StreamType = 4
)

// StreamVersion is the second varint of a stream.
const StreamVersion = 1

// String returns the type's name in docs/protocol.md.
func (t StreamType) String() string {
	switch t {
	case StreamAS:
		return "AS"
	case StreamDS:
		return "DS"
	case StreamPush:
		return "PUSH"
	case StreamSubmit:
		return "SUBMIT"
	}
	return "type " + strconv.FormatUint(uint64(t), 10)
}

// appendHeader appends the header of a stream of type t: two varints, 2 to 16 bytes.
func appendHeader(b []byte, t StreamType) []byte {
	return quicvarint.Append(quicvarint.Append(b, uint64(t)), StreamVersion)
}

// readHeader reads a stream's header. Its error is a *StreamError of code badHeader (the stream ended inside it) or unsupportedVersion,
// or r's own.
func readHeader(r io.ByteReader) (StreamType, error) {
	t, err := readVarint(r)
	if err != nil {
		return 0, err
	}
	version, err := readVarint(r)
	if err != nil {
		return 0, err
	}
	if version != StreamVersion {
		return StreamType(t), &StreamError{Code: StreamErrUnsupportedVersion, Text: fmt.Sprintf("stream version %d", version)}
	}
	return StreamType(t), nil
}

func readVarint(r io.ByteReader) (uint64, error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, headerFailure(err)
	}
	v := uint64(first & 0x3f)
	for range 1<<(first>>6) - 1 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, headerFailure(err)
		}
		v = v<<8 | uint64(b)
	}
	return v, nil
}

func headerFailure(err error) error {
	if errors.Is(err, io.EOF) {
		return &StreamError{Code: StreamErrBadHeader, Text: "the stream ended inside its header", Err: err}
	}
	return err
}
