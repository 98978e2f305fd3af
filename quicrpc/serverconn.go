package quicrpc

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// wantBuffer is the UDP receive buffer that quic-go asks the kernel for, bytes.
const wantBuffer = 7 << 20

// finGrace is how long a client may take, at shutdown, to close a stream whose server side is finished.
const finGrace = time.Second

// A ServerConn is a client's connection, at the server. Safe for concurrent use.
type ServerConn struct {
	s    *Server
	q    *quic.Conn
	peer Peer
	acct *account

	streams sync.WaitGroup

	mu       sync.Mutex
	serving  map[serving]struct{}
	pushes   map[*FrameStream]struct{}
	slots    int // streams of services being set up or served
	bad      int // streams cut for the peer's fault
	draining bool
	closed   bool // Close was called, or the peer's misbehaviour ended the connection
}

// Peer returns the client's identity, which it proved in the handshake of this or, if 0-RTT was used, of an earlier connection.
func (c *ServerConn) Peer() Peer { return c.peer }

// Context is done when the connection is over.
func (c *ServerConn) Context() context.Context { return c.q.Context() }

// RemoteAddr returns the client's present address.
func (c *ServerConn) RemoteAddr() net.Addr { return c.q.RemoteAddr() }

// HandshakeComplete is closed when the handshake is complete.
func (c *ServerConn) HandshakeComplete() <-chan struct{} { return c.q.HandshakeComplete() }

// WaitHandshake waits until the handshake is complete. Whatever has an effect must wait for it: until then a call may be 0-RTT data that somebody else
// recorded and sends again (RFC 9001 section 9.2); who does that cannot complete the handshake. Errors: a *ConnError, ctx's.
func (c *ServerConn) WaitHandshake(ctx context.Context) error {
	select {
	case <-c.q.HandshakeComplete():
		return nil
	default:
	}
	select {
	case <-c.q.HandshakeComplete():
		return nil
	case <-c.q.Context().Done():
		return connFailure(context.Cause(c.q.Context()))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends the connection and everything on it, and tells the client code and text. Later calls have no effect.
func (c *ServerConn) Close(code ConnErrorCode, text string) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	_ = c.q.CloseWithError(quic.ApplicationErrorCode(code), text)
}

// OpenPush opens a PUSH stream and sends its header. It waits, until ctx ends, while the client allows no further stream. Errors: a *ConnError, a
// *StreamError (StreamErrShuttingDown), ctx's.
func (c *ServerConn) OpenPush(ctx context.Context) (*FrameStream, error) {
	q, err := c.q.OpenStreamSync(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, streamFailure(err)
	}
	l := &c.s.cfg.Limits
	s, err := newOpened(q, StreamPush, l.StallTimeout)
	if err != nil {
		return nil, err
	}
	p := newFrameStream(c.q.Context(), s, l.MaxAck, l.MaxMessage, func(e *StreamError) { c.cut(StreamPush, e) })
	p.sent = func(n int) {
		c.s.counts.pushMessages.Add(1)
		c.s.counts.pushBytes.Add(uint64(n))
	}
	c.track(p)
	return p, nil
}

// track makes shutdown and the statistics know p.
func (c *ServerConn) track(p *FrameStream) {
	c.s.counts.pushStreams.Add(1)
	c.s.counts.pushOpen.Add(1)
	c.mu.Lock()
	draining := c.draining
	c.pushes[p] = struct{}{}
	c.mu.Unlock()
	context.AfterFunc(p.ctx, func() {
		c.s.counts.pushOpen.Add(-1)
		c.mu.Lock()
		delete(c.pushes, p)
		c.mu.Unlock()
	})
	if draining {
		p.Cancel(StreamErrShuttingDown)
	}
}

// cut counts and logs a stream that was cut for the peer's fault; one too many ends the connection.
func (c *ServerConn) cut(t StreamType, e *StreamError) {
	if e.Code == StreamErrShuttingDown || e.Code == StreamErrInternal {
		return // not the peer's fault
	}
	c.s.cuts.cut("stream cut", e.Code.String(), e.Text, "stream", t.String(), "peer", shortPeer(c.peer), "remote", c.q.RemoteAddr().String())
	c.mu.Lock()
	c.bad++
	end := c.bad == c.s.cfg.Limits.MaxBadStreams && !c.closed
	c.mu.Unlock()
	if end {
		c.s.cuts.cut("connection cut", "connection:"+ConnErrProtocol.String(), "too many streams cut", "peer", shortPeer(c.peer), "remote", c.q.RemoteAddr().String())
		c.Close(ConnErrProtocol, "too many streams cut")
	}
}

// serveConn owns one connection from its acceptance to its end.
func (s *Server) serveConn(q *quic.Conn) {
	c := &ServerConn{
		s: s, q: q, acct: newAccount(&s.memory, s.cfg.Limits),
		serving: make(map[serving]struct{}), pushes: make(map[*FrameStream]struct{}),
	}
	if !c.identify() {
		return
	}
	if !s.add(c) {
		c.Close(ConnErrShuttingDown, "server is shutting down")
		return
	}
	s.counts.connections.Add(1)
	c.streams.Go(func() {
		if c.WaitHandshake(context.Background()) == nil {
			handshakeDone(c.q.Context())
		}
	})
	c.acceptLoop()
	c.streams.Wait()
	s.remove(c)
	s.cfg.Handler.Closed(c)
}

// identify learns who the client is: at once from a resumed session, which carries the certificate, else after the handshake.
func (c *ServerConn) identify() bool {
	tlsState := c.q.ConnectionState().TLS
	if !tlsState.DidResume || len(tlsState.PeerCertificates) == 0 {
		select {
		case <-c.q.HandshakeComplete():
		case <-c.q.Context().Done():
			return false
		case <-c.s.stopped:
			c.Close(ConnErrShuttingDown, "server is shutting down")
			return false
		}
		tlsState = c.q.ConnectionState().TLS
	}
	var err error
	if c.peer, err = PeerOf(tlsState); err != nil || tlsState.NegotiatedProtocol != ALPN {
		c.s.cuts.cut("connection cut", "connection:"+ConnErrBadIdentity.String(), "no Ed25519 certificate, or another protocol", "remote", c.q.RemoteAddr().String())
		c.Close(ConnErrBadIdentity, "a client certificate with an Ed25519 key is required")
		return false
	}
	return true
}

func (c *ServerConn) acceptLoop() {
	for {
		q, err := c.q.AcceptStream(c.q.Context())
		if err != nil {
			return
		}
		c.streams.Go(func() { c.serveStream(q) })
	}
}
