package quicrpc

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc"
	"github.com/quic-go/quic-go"
)

// serving is a stream of the client's that is served, as shutdown sees it.
type serving interface {
	// drain has no further call begin; the result is closed when those under way are answered.
	drain() <-chan struct{}
	// finish ends the sending side after the last answer. The client replies by closing the stream, which shows that the answer arrived: closing the connection
	// then would throw away what is under way.
	finish()
	// over is closed when the stream is over, and its calls have returned.
	over() <-chan struct{}
}

// An rpcStream is an AS or DS stream at the server.
type rpcStream struct {
	s     *stream
	guard *serverGuard
	done  chan struct{}
}

func (r *rpcStream) drain() <-chan struct{} { return r.guard.drain() }
func (r *rpcStream) finish()                { _ = r.s.finish() }
func (r *rpcStream) over() <-chan struct{}  { return r.done }

// serveStream owns a stream that the client opened, from its header to its end.
func (c *ServerConn) serveStream(q *quic.Stream) {
	l := &c.s.cfg.Limits
	s := newStream(q, l.StallTimeout)
	se := s.acceptHeader(l.HeaderTimeout, StreamAS, StreamDS, StreamSubmit)
	if se == nil {
		se = c.takeSlot()
	}
	if se != nil {
		s.refuse(se, func(e *StreamError) { c.cut(s.typ, e) })
		return
	}
	defer c.releaseSlot()
	if s.typ == StreamSubmit {
		c.serveSubmit(s)
		return
	}
	client, err := c.s.cfg.Handler.Bootstrap(c, s.typ)
	if err != nil || !client.IsValid() {
		c.internal("stream refused", fmt.Sprint(err), "stream", s.typ.String())
		client.Release()
		s.abort(StreamErrInternal)
		return
	}
	c.serveRPC(s, client)
}

// internal logs a failure of our own.
func (c *ServerConn) internal(msg, reason string, attrs ...any) {
	attrs = append(attrs, "peer", shortPeer(c.peer), "remote", c.q.RemoteAddr().String())
	c.s.cuts.record(slog.LevelError, msg, string(CodeInternal), reason, attrs...)
}

func (c *ServerConn) takeSlot() *StreamError {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.draining:
		return &StreamError{Code: StreamErrShuttingDown}
	case c.slots >= c.s.cfg.Limits.MaxRPCStreams:
		return &StreamError{Code: StreamErrBudget, Text: "too many RPC and SUBMIT streams"}
	}
	c.slots++
	c.s.counts.rpcStreams.Add(1)
	c.s.counts.rpcOpen.Add(1)
	return nil
}

func (c *ServerConn) releaseSlot() {
	c.mu.Lock()
	c.slots--
	c.mu.Unlock()
	c.s.counts.rpcOpen.Add(-1)
}

// serveRPC runs a Cap'n Proto connection on s until it ends and its calls have returned. It owns client.
func (c *ServerConn) serveRPC(s *stream, client capnp.Client) {
	l := &c.s.cfg.Limits
	r := &rpcStream{s: s, guard: newServerGuard(l.MaxCalls, l.MaxUnfinished), done: make(chan struct{})}
	defer close(r.done)
	t := newGuarded(c.q.Context(), s, r.guard, c.acct, l.MaxMessage, func(e *StreamError) { c.cut(s.typ, e) })
	service := &served{
		inner: client, timeout: l.CallTimeout, t: t,
		failed: func(method string, err error) { c.internal("call failed", err.Error(), "method", method) },
		began:  func() { c.s.counts.calls.Add(1); c.s.counts.callsOpen.Add(1) },
		ended:  func() { c.s.counts.callsOpen.Add(-1) },
	}
	if c.serve(r) {
		r.drain()
	}
	rc := rpc.NewConn(t, &rpc.Options{BootstrapClient: capnp.NewClient(service), Logger: rpcLogger{c.s.cfg.Logger}})
	<-rc.Done()
	_ = rc.Close()
	<-service.calls.atZero()
	t.settle()
	c.unserve(r)
}

// serve makes shutdown know r, and says whether it has begun.
func (c *ServerConn) serve(r serving) (draining bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving[r] = struct{}{}
	return c.draining
}

func (c *ServerConn) unserve(r serving) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.serving, r)
}

// drain brings the connection to rest: no further stream or call, PUSH streams cut, calls under way answered, until ctx ends.
func (c *ServerConn) drain(ctx context.Context) {
	c.mu.Lock()
	c.draining = true
	var all []serving
	for r := range c.serving {
		all = append(all, r)
	}
	var pushes []*FrameStream
	for p := range c.pushes {
		pushes = append(pushes, p)
	}
	c.mu.Unlock()
	idle := make([]<-chan struct{}, len(all))
	for i, r := range all {
		idle[i] = r.drain()
	}
	for _, p := range pushes {
		p.Cancel(StreamErrShuttingDown)
	}
	for i, r := range all {
		select {
		case <-idle[i]:
			r.finish()
		case <-r.over():
		case <-ctx.Done():
			return
		}
	}
	grace := time.NewTimer(finGrace)
	defer grace.Stop()
	for _, r := range all {
		select {
		case <-r.over():
		case <-grace.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
