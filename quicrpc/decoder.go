package quicrpc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"capnproto.org/go/capnp/v3"
)

// Cap'n Proto's stream framing (https://capnproto.org/encoding.html#serialization-over-a-stream), little endian:
//
//	uint32     number of segments - 1
//	uint32 ... size of each segment in words of 8 bytes
//	           padding to a whole word
//	           the segments
const (
	wordBytes   = 8
	maxSegments = 512 // as the library itself accepts
)

// Limits of reading. A message may be traversed several times its size (services read a field more than once), which also bounds
// messages whose pointers all lead to one place.
const (
	firstChunk    = 16 << 10 // allocated on the word of a header; more only as bytes arrive
	traverseTimes = 16
	traverseMin   = 64 << 10
	maxDepth      = 32
)

// A decoder reads messages from one stream. Its hooks may be nil. Not for concurrent use.
type decoder struct {
	r        *bufio.Reader
	maxBytes int // of a message with its framing

	reserve func(n int) error // called with the size of a message before anything of it is allocated; may wait
	giveUp  func(n int)       // called with that size if the message does not arrive whole
	began   func()            // called when a message has begun but is not all here; and again after progress
	ended   func()            // called when began was, and the message is here
	armed   bool              // began was called
}

// next returns the next message and its size in bytes with framing. The error is io.EOF if the stream ended between messages, else a
// *StreamError (tooLarge, protocol) or the reader's own. The message does not change and can be read as long as it is referenced.
func (d *decoder) next() (*capnp.Message, int, error) {
	var word [wordBytes]byte
	if _, err := io.ReadFull(d.r, word[:1]); err != nil {
		return nil, 0, err // io.EOF between messages
	}
	d.waiting(wordBytes - 1)
	if _, err := io.ReadFull(d.r, word[1:]); err != nil {
		return nil, 0, truncated(err)
	}
	segments := uint64(binary.LittleEndian.Uint32(word[:])) + 1
	if segments > maxSegments {
		return nil, 0, &StreamError{Code: StreamErrProtocol, Text: fmt.Sprintf("message of %d segments", segments)}
	}
	sizes := make([]int, 1, segments)
	header := int(segments/2+1) * wordBytes
	total, err := d.segmentTable(word, &sizes, header)
	if err != nil {
		return nil, 0, err
	}
	if d.reserve != nil {
		if err := d.reserve(header + total); err != nil {
			return nil, 0, err
		}
	}
	body, err := d.body(total)
	if err != nil {
		if d.giveUp != nil {
			d.giveUp(header + total)
		}
		return nil, 0, err
	}
	if d.armed {
		d.armed = false
		d.ended()
	}
	return newMessage(body, sizes), header + total, nil
}

// segmentTable reads the rest of the header and returns the size of the segments together, at most maxBytes.
func (d *decoder) segmentTable(first [wordBytes]byte, sizes *[]int, header int) (int, error) {
	total := uint64(binary.LittleEndian.Uint32(first[4:])) * wordBytes
	tooLarge := func() error {
		return &StreamError{Code: StreamErrTooLarge, Text: fmt.Sprintf("message of %d bytes, limit %d", total+uint64(header), d.maxBytes), Err: ErrMessageSize}
	}
	if total+uint64(header) > uint64(d.maxBytes) {
		return 0, tooLarge()
	}
	(*sizes)[0] = int(total)
	for n := (header - wordBytes) / 4; n > 0; n-- {
		var b [4]byte
		d.waiting(len(b))
		if _, err := io.ReadFull(d.r, b[:]); err != nil {
			return 0, truncated(err)
		}
		if len(*sizes) == cap(*sizes) {
			continue // the padding
		}
		size := uint64(binary.LittleEndian.Uint32(b[:])) * wordBytes
		if total += size; total+uint64(header) > uint64(d.maxBytes) {
			return 0, tooLarge()
		}
		*sizes = append(*sizes, int(size))
	}
	if total == 0 {
		return 0, &StreamError{Code: StreamErrProtocol, Text: "empty message"}
	}
	return int(total), nil
}

func (d *decoder) body(total int) ([]byte, error) {
	body := make([]byte, min(total, firstChunk))
	for got := 0; ; {
		d.waiting(len(body) - got)
		if _, err := io.ReadFull(d.r, body[got:]); err != nil {
			return nil, truncated(err)
		}
		if got = len(body); got == total {
			return body, nil
		}
		// Doubling copies every byte at most once more, and never allocates more than twice what arrived.
		grown := make([]byte, min(total, 2*got))
		copy(grown, body)
		body = grown
	}
}

// waiting tells the stream that n bytes are due, unless they are here already.
func (d *decoder) waiting(n int) {
	if d.began != nil && d.r.Buffered() < n {
		d.armed = true
		d.began()
	}
}

func newMessage(body []byte, sizes []int) *capnp.Message {
	var arena capnp.Arena
	if len(sizes) == 1 {
		arena = capnp.NewReadOnlySingleSegment(body)
	} else {
		segs, rest := make([][]byte, len(sizes)), body
		for i, n := range sizes {
			segs[i], rest = rest[:n:n], rest[n:]
		}
		arena = capnp.MultiSegment(segs)
	}
	m := &capnp.Message{Arena: arena, TraverseLimit: traverseLimit(len(body)), DepthLimit: maxDepth}
	for i := range sizes {
		_, _ = m.Segment(capnp.SegmentID(i)) // binds it to m now: later, several goroutines may read
	}
	return m
}

func traverseLimit(size int) uint64 { return uint64(max(traverseMin, traverseTimes*size)) }

// truncated tells a stream that ended inside a message from one that failed.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &StreamError{Code: StreamErrProtocol, Text: "the stream ended inside a message", Err: io.ErrUnexpectedEOF}
	}
	return err
}
