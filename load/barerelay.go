package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"quicnprotochat/client"
)

// The baseline of relay: each message goes over a stream of the sender's to the baseline's server, which writes it to a stream of the recipient's and answers with how many
// it has passed on. There is no RPC, and nothing is stored: it is what QUIC itself costs on this machine.

// What a stream of the baseline is for, its first byte; but for calls, the number of the pair follows, 4 bytes, and is answered with a byte.
const (
	bareCalls = iota // the byte is part of the call
	bareReads
	bareSends
)

const (
	bareBuffer = 256 << 10 // bytes of a stream that are looked at together: a message must fit
	bareHeader = 5
)

// bareHub is who reads at the baseline's server.
type bareHub struct {
	mu      sync.Mutex
	readers map[uint32]*quic.Stream
}

// serve serves a stream whose first bytes are here.
func (h *bareHub) serve(s *quic.Stream, header []byte) error {
	var rest [bareHeader]byte
	n := copy(rest[:], header)
	if _, err := io.ReadFull(s, rest[n:]); err != nil {
		return err
	}
	pair := binary.BigEndian.Uint32(rest[1:])
	h.mu.Lock()
	if rest[0] == bareReads {
		h.readers[pair] = s
	}
	to := h.readers[pair]
	h.mu.Unlock()
	if to == nil {
		return fmt.Errorf("nobody reads of pair %d", pair)
	}
	if _, err := s.Write(rest[:1]); err != nil {
		return err
	}
	if rest[0] == bareReads {
		_, err := io.Copy(io.Discard, s) // acknowledgements
		return err
	}
	return passOn(s, to)
}

// passOn copies messages until there are no more.
func passOn(from io.ReadWriter, to io.Writer) error {
	for br := bufio.NewReaderSize(from, bareBuffer); ; {
		count, frames, err := nextFrames(br, nil)
		if err != nil {
			return err
		}
		if _, err := to.Write(frames); err != nil {
			return err
		}
		if _, err := br.Discard(len(frames)); err != nil {
			return err
		}
		if _, err := from.Write(binary.BigEndian.AppendUint32(nil, uint32(count))); err != nil {
			return err
		}
	}
}

// nextFrames waits for a message, and returns it with all that have come behind it: each is its length, 4 bytes, and its bytes. They stay in br. each may be nil.
func nextFrames(br *bufio.Reader, each func([]byte)) (count int, frames []byte, err error) {
	end := 0
	for {
		if count > 0 && br.Buffered() < end+4 {
			break
		}
		head, err := br.Peek(end + 4)
		if err != nil {
			return 0, nil, err
		}
		next := end + 4 + int(binary.BigEndian.Uint32(head[end:]))
		if count > 0 && br.Buffered() < next {
			break
		}
		whole, err := br.Peek(next)
		if err != nil {
			return 0, nil, err
		}
		if each != nil {
			each(whole[end+4:])
		}
		end, frames = next, whole
		count++
	}
	return count, frames, nil
}

// bareStream opens a stream for a pair.
func (r *run) bareStream(ctx context.Context, who, pair int, kind byte) (*quic.Stream, error) {
	c, err := dialBare(ctx, r.cfg.Addr, client.Config{Key: r.cfg.identity(who), Local: r.cfg.local(who)})
	if err != nil {
		return nil, fmt.Errorf("baseline, client %d: %w", who, err)
	}
	context.AfterFunc(ctx, c.close)
	s, err := c.OpenStreamSync(ctx)
	if err == nil {
		_, err = s.Write(binary.BigEndian.AppendUint32([]byte{kind}, uint32(pair)))
	}
	if err == nil {
		_, err = io.ReadFull(s, make([]byte, 1))
	}
	if err != nil {
		return nil, fmt.Errorf("baseline, client %d: %w", who, err)
	}
	return s, nil
}

// openBarePair is openPair with the baseline's server. The connections end with ctx.
func (r *run) openBarePair(ctx context.Context, fail context.CancelCauseFunc, i int) (transmit, error) {
	reads, err := r.bareStream(ctx, 2*i+1, i, bareReads)
	if err != nil {
		return nil, err
	}
	v := r.newReceiver(2*i+1, inboxOnly(pairName(i)))
	v.expect(client.Queue{})
	r.links.Go(func() {
		if err := v.listenBare(ctx, reads); ctx.Err() == nil {
			fail(fmt.Errorf("baseline, client %d: %w", v.who, err))
		}
	})
	sends, err := r.bareStream(ctx, 2*i, i, bareSends)
	if err != nil {
		return nil, err
	}
	b := &bareSender{stream: sends}
	r.links.Go(func() { b.read(bufio.NewReader(sends)) })
	return b.send, nil
}

// Acknowledgements of a reader go as often as those of package client.
const (
	bareAckMessages = 256
	bareAckPause    = 20 * time.Millisecond
)

// listenBare takes what comes on a stream until that ends.
func (v *receiver) listenBare(ctx context.Context, s io.ReadWriter) error {
	seq, acked, next := uint64(0), uint64(0), time.Time{}
	for br := bufio.NewReaderSize(s, bareBuffer); ; {
		var batch []client.Envelope
		_, frames, err := nextFrames(br, func(payload []byte) {
			seq++
			batch = append(batch, client.Envelope{Seq: seq, Payload: payload})
		})
		if err != nil {
			return err
		}
		if err := v.handle(ctx, client.Queue{}, batch); err != nil {
			return err
		}
		if _, err := br.Discard(len(frames)); err != nil {
			return err
		}
		if now := time.Now(); seq-acked >= bareAckMessages || now.After(next) {
			if _, err := s.Write(binary.BigEndian.AppendUint64(nil, seq)); err != nil {
				return err
			}
			acked, next = seq, now.Add(bareAckPause)
			v.acknowledged(client.Queue{}, seq)
		}
	}
}

// bareSender sends the messages of one pair; calls are answered in order.
type bareSender struct {
	stream io.Writer
	sent   uint64

	mu    sync.Mutex
	calls []bareSent // not answered
	err   error      // of the stream
}

type bareSent struct {
	end  uint64 // all messages up to its last
	done chan error
}

func (b *bareSender) send(_ context.Context, batch []message) (func() ([]outcome, error), error) {
	var frames []byte
	out := make([]outcome, len(batch))
	for i := range batch {
		frames = append(binary.BigEndian.AppendUint32(frames, uint32(len(batch[i].payload))), batch[i].payload...)
		b.sent++
		out[i] = storedAt(b.sent)
	}
	c := bareSent{b.sent, make(chan error, 1)}
	b.mu.Lock()
	if b.err != nil {
		c.done <- b.err
	} else {
		b.calls = append(b.calls, c)
	}
	b.mu.Unlock()
	if _, err := b.stream.Write(frames); err != nil {
		return nil, err
	}
	return func() ([]outcome, error) { return out, <-c.done }, nil
}

// read takes the answers until the stream ends.
func (b *bareSender) read(from io.Reader) {
	var passed uint64
	var count [4]byte
	for {
		_, err := io.ReadFull(from, count[:])
		passed += uint64(binary.BigEndian.Uint32(count[:]))
		b.mu.Lock()
		for len(b.calls) > 0 && (err != nil || b.calls[0].end <= passed) {
			b.calls[0].done <- err
			b.calls = b.calls[1:]
		}
		b.err = err
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}
