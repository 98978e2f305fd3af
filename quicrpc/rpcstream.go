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

// An rpcStream is an AS or DS stream at the server.
type rpcStream struct {
	s     *stream
	guard *serverGuard
	done  chan struct{} // closed when the stream is over and its calls have returned
}

// serveStream owns a stream that the client opened, from its header to its end.
func (c *ServerConn) serveStream(q *quic.Stream) {
	l := &c.s.cfg.Limits
	s := newStream(q, l.StallTimeout)
	se := s.acceptHeader(l.HeaderTimeout, StreamAS, StreamDS)
	if se == nil {
		se = c.takeRPCSlot()
	}
	if se != nil {
		s.refuse(se, func(e *StreamError) { c.cut(s.typ, e) })
		return
	}
	defer c.releaseRPCSlot()
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

func (c *ServerConn) takeRPCSlot() *StreamError {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.draining:
		return &StreamError{Code: StreamErrShuttingDown}
	case c.rpcSlots >= c.s.cfg.Limits.MaxRPCStreams:
		return &StreamError{Code: StreamErrBudget, Text: "too many RPC streams"}
	}
	c.rpcSlots++
	c.s.counts.rpcStreams.Add(1)
	c.s.counts.rpcOpen.Add(1)
	return nil
}

func (c *ServerConn) releaseRPCSlot() {
	c.mu.Lock()
	c.rpcSlots--
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
	c.mu.Lock()
	c.rpcs[r] = struct{}{}
	draining := c.draining
	c.mu.Unlock()
	if draining {
		r.guard.drain()
	}
	rc := rpc.NewConn(t, &rpc.Options{BootstrapClient: capnp.NewClient(service), Logger: rpcLogger{c.s.cfg.Logger}})
	<-rc.Done()
	_ = rc.Close()
	<-service.calls.atZero()
	t.settle()
	c.mu.Lock()
	delete(c.rpcs, r)
	c.mu.Unlock()
}

// drain brings the connection to rest: no further stream or call, PUSH streams cut, calls under way answered, until ctx ends.
func (c *ServerConn) drain(ctx context.Context) {
	c.mu.Lock()
	c.draining = true
	var rpcs []*rpcStream
	for r := range c.rpcs {
		rpcs = append(rpcs, r)
	}
	var pushes []*PushStream
	for p := range c.pushes {
		pushes = append(pushes, p)
	}
	c.mu.Unlock()
	idle := make([]<-chan struct{}, len(rpcs))
	for i, r := range rpcs {
		idle[i] = r.guard.drain()
	}
	for _, p := range pushes {
		p.Cancel(StreamErrShuttingDown)
	}
	for i, r := range rpcs {
		select {
		case <-idle[i]:
			// Ends the sending side after the last reply. The client answers by closing the stream, which shows that the reply
			// arrived: closing the connection now would throw away what is under way.
			_ = r.s.finish()
		case <-r.done:
		case <-ctx.Done():
			return
		}
	}
	grace := time.NewTimer(finGrace)
	defer grace.Stop()
	for _, r := range rpcs {
		select {
		case <-r.done:
		case <-grace.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
