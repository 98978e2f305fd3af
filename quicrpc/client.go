package quicrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// ClientConfig is what Dial needs. TLS must be set: with the client's certificate, and with what makes it trust the server. Its MinVersion becomes
// TLS 1.3 and its NextProtos ALPN if absent; with a ClientSessionCache later connections resume.
type ClientConfig struct {
	TLS    *tls.Config
	Limits Limits       // zero fields as in DefaultClientLimits
	Logger *slog.Logger // nil: none

	// Local is the address to connect from, which counts for a server's limits; its zero value leaves it to the system.
	Local netip.Addr

	// Early lets Dial return before the handshake is complete when the session is resumed: what is sent then travels in 0-RTT (RFC 9001
	// section 4.6), which a third party can replay. The server runs only calls without effect before the handshake is complete.
	Early bool
}

// A Conn is a client's connection to a server. Safe for concurrent use.
type Conn struct {
	q      *quic.Conn
	limits Limits
	log    *slog.Logger
	socket *endpoint
	signs  *signs

	pushes chan *FrameStream
	tasks  sync.WaitGroup // the accept loop and the header readers

	mu     sync.Mutex
	rpcs   map[*RPC]struct{}
	closed bool

	resume sync.Mutex // held while a rejected 0-RTT is left behind
	early  bool       // 0-RTT was tried and not yet known to be rejected; guarded by resume
}

func newConn(q *quic.Conn, cfg ClientConfig, e *endpoint) *Conn {
	c := &Conn{
		q: q, limits: cfg.Limits, log: cfg.Logger, socket: e,
		pushes: make(chan *FrameStream), rpcs: make(map[*RPC]struct{}), early: cfg.Early, signs: newSigns(q, cfg.Limits.KeepAlive),
	}
	c.tasks.Go(c.acceptLoop)
	return c
}

// Context is done when the connection is over. [Conn.Err] tells why.
func (c *Conn) Context() context.Context { return c.q.Context() }

// Err returns why the connection is over, a *ConnError, or nil while it is not.
func (c *Conn) Err() error {
	if c.q.Context().Err() == nil {
		return nil
	}
	return connFailure(context.Cause(c.q.Context()))
}

// Bootstrap opens a stream of type t (StreamAS or StreamDS), sends its header and returns the RPC connection on it. It waits, until ctx ends, while
// the server allows no further stream. It does not wait for the server's answer. Errors: a *ConnError, ErrClosed, ctx's.
func (c *Conn) Bootstrap(ctx context.Context, t StreamType) (*RPC, error) {
	s, err := c.open(ctx, t)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		s.abort(StreamErrNone)
		return nil, ErrClosed
	}
	r := newRPC(c, s)
	c.rpcs[r] = struct{}{}
	c.mu.Unlock()
	return r, nil
}

// open opens a stream and sends its header.
func (c *Conn) open(ctx context.Context, t StreamType) (*stream, error) {
	q, err := c.openStream(ctx)
	if err != nil {
		return nil, err
	}
	return newOpened(q, t, c.limits.StallTimeout)
}

func (c *Conn) openStream(ctx context.Context) (*quic.Stream, error) {
	for {
		q, err := c.q.OpenStreamSync(ctx)
		switch {
		case err == nil:
			return q, nil
		case errors.Is(err, quic.Err0RTTRejected):
			if err := c.leaveEarly(ctx); err != nil {
				return nil, err
			}
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		default:
			return nil, streamFailure(err)
		}
	}
}

// leaveEarly makes the connection usable again after the server rejected 0-RTT; it waits for the handshake. Streams opened before are lost.
func (c *Conn) leaveEarly(ctx context.Context) error {
	c.resume.Lock()
	defer c.resume.Unlock()
	if !c.early {
		return nil // another goroutine did: it must happen once only
	}
	if _, err := c.q.NextConnection(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return connFailure(err)
	}
	c.early = false
	return nil
}

func (c *Conn) forget(r *RPC) {
	c.mu.Lock()
	delete(c.rpcs, r)
	c.mu.Unlock()
}

// AcceptPush returns the next PUSH stream that the server opened. Errors: ctx's, or a *ConnError.
func (c *Conn) AcceptPush(ctx context.Context) (*FrameStream, error) {
	select {
	case p := <-c.pushes:
		return p, nil
	case <-c.q.Context().Done():
		return nil, c.Err()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *Conn) acceptLoop() {
	ctx := c.q.Context()
	for {
		q, err := c.q.AcceptStream(ctx)
		if errors.Is(err, quic.Err0RTTRejected) {
			err = c.leaveEarly(ctx)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return
		}
		c.tasks.Go(func() { c.acceptStream(q) })
	}
}

// acceptStream reads a stream's header and hands the stream to AcceptPush. How many can wait here, the limit of streams bounds.
func (c *Conn) acceptStream(q *quic.Stream) {
	s := newStream(q, c.limits.StallTimeout)
	if se := s.acceptHeader(c.limits.HeaderTimeout, StreamPush); se != nil {
		s.refuse(se, c.cut)
		return
	}
	p := newFrameStream(c.q.Context(), s, c.limits.MaxMessage, c.limits.MaxAck, c.cut)
	select {
	case c.pushes <- p:
	case <-p.ctx.Done():
	}
}

func (c *Conn) cut(e *StreamError) {
	c.log.Warn("stream cut", "code", e.Code.String(), "reason", e.Text)
}

// Close ends the connection and everything on it, and waits until no goroutine of it is left.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	rpcs := make([]*RPC, 0, len(c.rpcs))
	for r := range c.rpcs {
		rpcs = append(rpcs, r)
	}
	c.mu.Unlock()
	c.signs.stop()
	_ = c.q.CloseWithError(quic.ApplicationErrorCode(ConnErrNone), "")
	for _, r := range rpcs {
		_ = r.Close()
	}
	c.tasks.Wait()
	return c.socket.close()
}

// A ConnState tells what was negotiated.
type ConnState struct {
	TLS                   tls.ConnectionState
	QUICVersion           string // "v1"
	TLSVersion            string // "TLS 1.3"
	CipherSuite           string // "TLS_AES_128_GCM_SHA256"
	Group                 string // key exchange: "X25519MLKEM768"
	ALPN                  string
	Resumed               bool // the TLS session was resumed
	Used0RTT              bool // the server accepted 0-RTT
	SegmentationOffload   bool // UDP GSO
	RTT, MinRTT           time.Duration
	LocalAddr, RemoteAddr net.Addr

	BytesSent, BytesReceived uint64 // of QUIC packets, headers of UDP and below not counted
}

// State returns what was negotiated, and the present round trip time.
func (c *Conn) State() ConnState {
	s, stats := c.q.ConnectionState(), c.q.ConnectionStats()
	return ConnState{
		TLS: s.TLS, QUICVersion: s.Version.String(), TLSVersion: tls.VersionName(s.TLS.Version), CipherSuite: tls.CipherSuiteName(s.TLS.CipherSuite),
		Group: s.TLS.CurveID.String(), ALPN: s.TLS.NegotiatedProtocol, Resumed: s.TLS.DidResume, Used0RTT: s.Used0RTT,
		SegmentationOffload: s.GSO, RTT: stats.SmoothedRTT, MinRTT: stats.MinRTT, LocalAddr: c.q.LocalAddr(), RemoteAddr: c.q.RemoteAddr(),
		BytesSent: stats.BytesSent, BytesReceived: stats.BytesReceived,
	}
}

// HandshakeComplete is closed when the handshake is complete; with ClientConfig.Early that may be after Dial.
func (c *Conn) HandshakeComplete() <-chan struct{} { return c.q.HandshakeComplete() }
