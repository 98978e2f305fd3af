package quicrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc/transport"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
)

// messageStream is what a guarded transport needs of a stream; tests put bytes in memory in its place.
type messageStream interface {
	newDecoder(maxBytes int) *decoder
	readFailure(err error) error
	// send writes one message: before is called when nothing else is being written and nothing of this message is.
	send(m *capnp.Message, limit int, before func()) error
	close()
	abort(code StreamErrorCode)
}

func (s *stream) send(m *capnp.Message, limit int, before func()) error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	before()
	_, err := writeMessage(s.write, m, limit)
	return err
}

// A guarded transport is the rpc.Transport of every RPC stream: decoder, guard, memory accounts and the end of the stream.
// Its methods follow the concurrency rules of transport.Transport; Close may be called at any time.
type guarded struct {
	s     messageStream
	dec   *decoder
	guard guard
	acct  *account // nil on the client's side
	limit int      // of a message, bytes
	cut   func(*StreamError)

	ctx    context.Context // done when the stream is over; its cause says why
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	requests int64                        // bytes held, of the account's
	outgoing map[*capnp.Message]*outgoing // not released; only with an account
	settled  bool
}

func newGuarded(ctx context.Context, s messageStream, g guard, acct *account, limit int, cut func(*StreamError)) *guarded {
	t := &guarded{s: s, dec: s.newDecoder(limit), guard: g, acct: acct, limit: limit, cut: cut}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	if acct != nil {
		t.outgoing = make(map[*capnp.Message]*outgoing)
		t.dec.reserve = func(n int) error { return t.holdRequest(int64(n) + messageOverhead) }
		t.dec.giveUp = func(n int) { t.releaseRequest(int64(n) + messageOverhead) }
	}
	return t
}

// err returns why the stream is over, nil while it is not: io.EOF, ErrClosed, ErrEarlyRejected, a *StreamError or a *ConnError.
func (t *guarded) err() error { return streamFailure(context.Cause(t.ctx)) }

// fail ends the stream for err, the first time: with a code to the peer and a report if the peer's behaviour is the reason.
func (t *guarded) fail(err error) error {
	t.mu.Lock()
	first := t.ctx.Err() == nil
	t.cancel(err)
	t.mu.Unlock()
	if !first {
		return err
	}
	var se *StreamError
	if errors.As(err, &se) && !se.Remote {
		t.cut(se)
		t.s.abort(se.Code)
	} else if err != io.EOF {
		t.s.abort(StreamErrNone)
	}
	return err
}

// RecvMessage returns the next message that the guard lets pass.
func (t *guarded) RecvMessage() (transport.IncomingMessage, error) {
	for {
		m, n, err := t.dec.next()
		if err != nil {
			return nil, t.fail(t.s.readFailure(err))
		}
		held := int64(n) + messageOverhead
		root, err := rootOf(m)
		if err == nil {
			err = t.guard.received(root)
		}
		if err == nil {
			return &incoming{root: root, t: t, held: held}, nil
		}
		t.releaseRequest(held)
		if err != error(errDraining) {
			return nil, t.fail(err)
		}
		// Dropped: the calls before it go on, and the end of the stream tells the peer that this one had no effect.
	}
}

// NewMessage returns an empty message to send.
func (t *guarded) NewMessage() (transport.OutgoingMessage, error) {
	m, seg, err := capnp.NewMessage(capnp.MultiSegment(nil))
	if err != nil {
		return nil, err
	}
	root, err := rpccp.NewRootMessage(seg)
	if err != nil {
		return nil, err
	}
	o := &outgoing{root: root, m: m, t: t}
	if t.acct != nil {
		t.hold(o, messageOverhead)
	}
	return o, nil
}

func (t *guarded) holdRequest(n int64) error {
	if err := t.acct.acquireRequest(t.ctx, n); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.settled {
		t.acct.releaseRequest(n)
		return ErrClosed
	}
	t.requests += n
	return nil
}

func (t *guarded) releaseRequest(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.acct != nil && !t.settled {
		t.requests -= n
		t.acct.releaseRequest(n)
	}
}

// settle gives back what is still held when the stream is over: the library does not release every message that it received last.
func (t *guarded) settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.acct == nil || t.settled {
		return
	}
	t.settled = true
	t.acct.releaseRequest(t.requests)
	for _, o := range t.outgoing {
		t.acct.addReply(-o.held)
	}
	t.outgoing = nil
}

// holdReply counts a reply's bytes from the moment it is complete, because nothing else bounds what waits to be sent.
func (t *guarded) holdReply(m *capnp.Message) {
	t.mu.Lock()
	o := t.outgoing[m]
	t.mu.Unlock()
	if o == nil {
		return
	}
	if n, err := m.TotalSize(); err == nil {
		t.hold(o, int64(n))
	}
}

// hold counts n more bytes for o, or ends the stream.
func (t *guarded) hold(o *outgoing, n int64) {
	t.mu.Lock()
	if t.settled {
		t.mu.Unlock()
		return
	}
	ok := t.acct.addReply(n)
	if ok {
		o.held += n
		t.outgoing[o.m] = o
	}
	t.mu.Unlock()
	if !ok {
		_ = t.fail(&StreamError{Code: StreamErrBudget, Text: fmt.Sprintf("%d bytes of replies not read or not finished", t.acct.replies.Load())})
	}
}

// unhold forgets o.
func (t *guarded) unhold(o *outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outgoing[o.m] == o {
		delete(t.outgoing, o.m)
		t.acct.addReply(-o.held)
	}
}

// Close ends the stream in both directions.
func (t *guarded) Close() error {
	t.cancel(ErrClosed)
	t.s.close()
	return nil
}

type incoming struct {
	root     rpccp.Message
	t        *guarded
	held     int64
	released atomic.Bool
}

func (i *incoming) Message() rpccp.Message { return i.root }

func (i *incoming) Release() {
	if !i.released.Swap(true) {
		i.root.Message().Release()
		i.t.releaseRequest(i.held)
	}
}

type outgoing struct {
	root     rpccp.Message
	m        *capnp.Message
	t        *guarded
	held     int64 // bytes; guarded by t.mu
	released atomic.Bool
}

func (o *outgoing) Message() rpccp.Message { return o.root }

// Send tells the guard, then encodes and writes. A reply above the limit is sent as an exception instead.
func (o *outgoing) Send() error {
	if o.released.Load() {
		panic("quicrpc: Send after Release")
	}
	if err := o.t.err(); err != nil {
		return err
	}
	m := o.m
	if n, err := m.TotalSize(); err == nil && n > uint64(o.t.limit) && o.root.Which() == rpccp.Message_Which_return {
		if m, err = tooLargeReply(o.root); err != nil {
			return err
		}
	}
	err := o.t.s.send(m, o.t.limit, func() { o.t.guard.sending(o.root) })
	if err == nil || errors.Is(err, ErrMessageSize) {
		return err // too large a call fails alone: nothing of it was sent
	}
	return o.t.fail(err)
}

// Release gives the message's memory back.
func (o *outgoing) Release() {
	if o.released.Swap(true) {
		return
	}
	o.t.unhold(o)
	o.m.Release()
}

// tooLargeReply returns the exception that stands for a reply which the peer could not read.
func tooLargeReply(reply rpccp.Message) (*capnp.Message, error) {
	old, err := reply.Return()
	if err != nil {
		return nil, err
	}
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return nil, err
	}
	root, err := rpccp.NewRootMessage(seg)
	if err != nil {
		return nil, err
	}
	ret, err := root.NewReturn()
	if err != nil {
		return nil, err
	}
	ret.SetAnswerId(old.AnswerId())
	ret.SetReleaseParamCaps(false)
	e, err := ret.NewException()
	if err != nil {
		return nil, err
	}
	return m, e.SetReason((&RPCError{Code: CodeInternal, Text: "the reply is too large"}).Error())
}
