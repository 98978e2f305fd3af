package quicrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"capnproto.org/go/capnp/v3"
	"github.com/quic-go/quic-go"
)

// A FrameStream is one PUSH or SUBMIT stream, at either end: framed Cap'n Proto messages in both directions.
//
// One goroutine may write and another read at the same time; SetUrgency, Cancel, Close and Context may be called from any.
type FrameStream struct {
	s      *stream
	dec    *decoder
	limit  int // of messages written, bytes
	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   func() bool // ends the watch on the stream's own context

	sent    func(n int) // counts a message sent; may be nil
	cut     func(*StreamError)
	done    atomic.Bool
	readEOF atomic.Bool
	wrote   atomic.Bool // CloseWrite was called
}

// newFrameStream wraps s. ctx is the connection's. readLimit and writeLimit are the largest messages in bytes. cut is told of every end that
// the peer's behaviour forced on this side.
func newFrameStream(ctx context.Context, s *stream, readLimit, writeLimit int, cut func(*StreamError)) *FrameStream {
	p := &FrameStream{s: s, dec: s.newDecoder(readLimit), limit: writeLimit, cut: cut}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	ready := make(chan struct{})
	defer close(ready)
	p.stop = context.AfterFunc(s.q.Context(), func() {
		<-ready
		if cause := context.Cause(s.q.Context()); !errors.Is(cause, quic.ErrStreamClosed) {
			p.end(streamFailure(cause), false) // the peer does not read any more, or the connection is gone
		}
	})
	return p
}

// Context is cancelled when the stream is of no more use: it was cut by either side, closed by ours, or its connection ended.
// context.Cause tells why: a *StreamError, a *ConnError or ErrClosed.
func (p *FrameStream) Context() context.Context { return p.ctx }

// SetUrgency sets the order in which this side's streams are sent when there is more to send than the network takes: 0 first, 7 last, 3
// unless set (RFC 9218 section 4.1). Streams of one urgency share.
func (p *FrameStream) SetUrgency(urgency int) {
	p.s.q.SetPriority(int8(max(0, min(urgency, 7))), true)
}

// WriteMessage sends m. It returns when QUIC has taken it, which waits for the peer's window; a peer that takes less than 64 KiB of a message in
// Limits.StallTimeout is cut (StreamErrSlowReader). Errors: ErrMessageSize (nothing was sent, the stream goes on), else the stream is
// over: a *StreamError, a *ConnError or ErrClosed.
func (p *FrameStream) WriteMessage(m *capnp.Message) error {
	return p.write(func() (int, error) { return writeMessage(p.s.write, m, p.limit) })
}

// WriteMessageContext is WriteMessage that does not wait for the peer any more when ctx ends. If the stream then goes on (its Context has not ended), nothing of m was sent.
func (p *FrameStream) WriteMessageContext(ctx context.Context, m *capnp.Message) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		p.s.interrupt()
	})
	err := p.WriteMessage(m)
	if !stop() {
		<-over
		p.s.interrupted.Store(false)
	}
	if errors.Is(err, errInterrupted) {
		return context.Cause(ctx)
	}
	return err
}

// WriteEncoded is WriteMessage for what (*capnp.Message).Marshal returned. Several streams may send the same bytes at once.
func (p *FrameStream) WriteEncoded(b []byte) error {
	if len(b) > p.limit {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrMessageSize, len(b), p.limit)
	}
	return p.write(func() (int, error) { return len(b), p.s.write(b) })
}

func (p *FrameStream) write(send func() (int, error)) error {
	p.s.wmu.Lock()
	p.s.begun = false
	n, err := send()
	broken := p.s.broken
	p.s.wmu.Unlock()
	switch {
	case err != nil && broken && errors.Is(err, errInterrupted):
		p.end(&StreamError{Code: StreamErrNone, Text: "part of a message was sent when it was given up"}, false)
		return err
	case err != nil && broken:
		return p.fail(err)
	case err != nil:
		return err
	}
	if p.sent != nil {
		p.sent(n)
	}
	return nil
}

// ReadMessage returns the next message. It is the caller's: it does not change, and is valid as long as it is referenced. Errors: io.EOF when
// the peer ended its direction between messages; else the stream is over: a *StreamError (StreamErrTooLarge, StreamErrProtocol and
// StreamErrSlowWriter cut it; or what the peer said), a *ConnError or ErrClosed.
func (p *FrameStream) ReadMessage() (*capnp.Message, error) {
	m, _, err := p.dec.next()
	if err == nil {
		return m, nil
	}
	return nil, p.readFailed(err)
}

// readFailed ends what an error of the decoder ends, and words it.
func (p *FrameStream) readFailed(err error) error {
	err = p.s.readFailure(err)
	if err == io.EOF {
		p.readEOF.Store(true)
		p.endIfClosed()
		return io.EOF
	}
	return p.fail(err)
}

// CloseWrite ends this side's direction after what was written; the peer reads io.EOF. The other direction goes on.
func (p *FrameStream) CloseWrite() error {
	if err := p.s.finish(); err != nil {
		return err
	}
	p.wrote.Store(true)
	p.endIfClosed()
	return nil
}

// Cancel cuts both directions at once and tells the peer code; StreamErrProtocol counts as the peer's fault. What was written may be lost. Later calls have no effect.
func (p *FrameStream) Cancel(code StreamErrorCode) {
	e := &StreamError{Code: code}
	if code == StreamErrProtocol {
		e.Text = "a message of another content than is allowed"
	}
	p.end(e, code == StreamErrProtocol)
}

// Close ends both directions: what was written arrives, and nothing more is read.
func (p *FrameStream) Close() error {
	if !p.done.Swap(true) {
		p.release(ErrClosed)
		p.s.close()
	}
	return nil
}

// fail ends the stream for err and returns why the stream is over: the first reason.
func (p *FrameStream) fail(err error) error {
	p.end(err, true)
	<-p.ctx.Done()                             // whoever came first is about to say why
	return streamFailure(context.Cause(p.ctx)) // which may be the connection's context
}

// end cuts both directions, the first time; told says whether this is to be told as the peer's fault.
func (p *FrameStream) end(err error, told bool) {
	if p.done.Swap(true) {
		return
	}
	p.release(err)
	code := StreamErrNone
	var se *StreamError
	if errors.As(err, &se) && !se.Remote {
		code = se.Code
		if told && p.cut != nil {
			p.cut(se)
		}
	}
	p.s.abort(code)
}

// endIfClosed ends the stream once both directions came to their orderly end.
func (p *FrameStream) endIfClosed() {
	if p.readEOF.Load() && p.wrote.Load() && !p.done.Swap(true) {
		p.release(ErrClosed)
	}
}

func (p *FrameStream) release(err error) {
	p.cancel(err)
	p.stop()
}

// String names the stream in logs.
func (p *FrameStream) String() string { return fmt.Sprintf("%s stream %d", p.s.typ, p.s.q.StreamID()) }
