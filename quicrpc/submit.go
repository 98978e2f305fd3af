package quicrpc

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"capnproto.org/go/capnp/v3"
)

// A SubmitStream is a SUBMIT stream at the server: framed requests, each held in memory until it is released, and framed answers.
//
// One goroutine may read and another write at the same time; Release, Cancel and Context may be called from any.
type SubmitStream struct {
	f    *FrameStream
	acct *account
	held func(n int64) // counts requests; n is 1 or -1

	draining atomic.Bool
	deadline sync.Mutex    // held while drain's is set or taken back
	served   chan struct{} // closed when the handler has returned
	done     chan struct{} // closed when the stream is over
}

func (c *ServerConn) newSubmit(s *stream) *SubmitStream {
	l := &c.s.cfg.Limits
	f := newFrameStream(c.q.Context(), s, l.MaxMessage, l.MaxMessage, func(e *StreamError) { c.cut(StreamSubmit, e) })
	t := &SubmitStream{f: f, acct: c.acct, served: make(chan struct{}), done: make(chan struct{})}
	t.held = func(n int64) {
		c.s.counts.callsOpen.Add(n)
		if n > 0 {
			c.s.counts.calls.Add(1)
		}
	}
	f.dec.reserve = func(n int) error { return t.acct.acquireRequest(f.ctx, int64(n)+messageOverhead) }
	f.dec.giveUp = func(n int) { t.acct.releaseRequest(int64(n) + messageOverhead) }
	for _, hook := range []*func(){&f.dec.began, &f.dec.ended} {
		set := *hook
		*hook = func() {
			set()
			t.interrupt() // should drain have come before: one of the two is last
		}
	}
	return t
}

// interrupt has reading end, once the server shuts down.
func (t *SubmitStream) interrupt() {
	t.deadline.Lock()
	defer t.deadline.Unlock()
	if t.draining.Load() {
		_ = t.f.s.q.SetReadDeadline(time.Unix(1, 0))
	}
}

// Context is as FrameStream.Context.
func (t *SubmitStream) Context() context.Context { return t.f.Context() }

// ReadRequest returns the next request, and what Release is to be called with, once, when nothing of it is needed any more. It waits while the requests of the
// connection that are not released take Limits.RequestMemory. Errors: io.EOF when there will be none, because the client, or the server, ends the stream:
// what was read is to be answered, and CloseWrite to follow; else as FrameStream.ReadMessage.
func (t *SubmitStream) ReadRequest() (m *capnp.Message, held int64, err error) {
	if t.draining.Load() {
		return nil, 0, io.EOF // some may be in the buffer, where no deadline ends reading
	}
	m, n, err := t.f.dec.next()
	switch {
	case err == nil:
		t.held(1)
		return m, int64(n) + messageOverhead, nil
	case t.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded):
		return nil, 0, io.EOF
	}
	return nil, 0, t.f.readFailed(err)
}

// Release gives the memory of a request back.
func (t *SubmitStream) Release(held int64) {
	t.held(-1)
	t.acct.releaseRequest(held)
}

// WriteMessage is as FrameStream.WriteMessage.
func (t *SubmitStream) WriteMessage(m *capnp.Message) error { return t.f.WriteMessage(m) }

// CloseWrite is as FrameStream.CloseWrite.
func (t *SubmitStream) CloseWrite() error { return t.f.CloseWrite() }

// Cancel is as FrameStream.Cancel.
func (t *SubmitStream) Cancel(code StreamErrorCode) { t.f.Cancel(code) }

// serveSubmit has the handler serve s until it is over.
func (c *ServerConn) serveSubmit(s *stream) {
	t := c.newSubmit(s)
	defer close(t.done)
	defer c.unserve(t)
	if c.serve(t) {
		t.drain()
	}
	c.s.cfg.Handler.Submit(c, t)
	close(t.served)
	if t.draining.Load() {
		t.linger()
	}
	_ = t.f.Close()
}

// linger waits until the client has closed its side, which shows that it has the last answer. What it still sent had no effect.
func (t *SubmitStream) linger() {
	t.deadline.Lock()
	t.draining.Store(false)
	_ = t.f.s.q.SetReadDeadline(time.Time{})
	t.deadline.Unlock()
	_, _ = io.Copy(io.Discard, t.f.s.r)
}

// drain has no further request be read. The result is closed when all are answered.
func (t *SubmitStream) drain() <-chan struct{} {
	t.draining.Store(true)
	t.interrupt()
	return t.served
}

func (t *SubmitStream) finish() {} // the handler did

func (t *SubmitStream) over() <-chan struct{} { return t.done }

// OpenSubmit opens a SUBMIT stream and sends its header; otherwise it is as Bootstrap. What is written are requests, of at most Limits.MaxMessage bytes, and what is
// read their answers.
func (c *Conn) OpenSubmit(ctx context.Context) (*FrameStream, error) {
	s, err := c.open(ctx, StreamSubmit)
	if err != nil {
		return nil, err
	}
	return newFrameStream(c.q.Context(), s, c.limits.MaxMessage, c.limits.MaxMessage, c.cut), nil
}
