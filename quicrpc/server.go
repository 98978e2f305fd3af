package quicrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"capnproto.org/go/capnp/v3"
	"github.com/quic-go/quic-go"
)

// A Handler gives a server its services.
type Handler interface {
	// Bootstrap returns the capability behind a stream of type t (StreamAS or StreamDS) that c's peer opened; it is called once a stream, from several
	// goroutines at once, and the stream owns what it returns. An error refuses the stream (StreamErrInternal). With 0-RTT it runs before
	// the handshake is complete: see ServerConn.WaitHandshake.
	Bootstrap(c *ServerConn, t StreamType) (capnp.Client, error)
	// Submit serves a SUBMIT stream that c's peer opened: it answers each request in order, and then ends the sending side. It returns when the stream is over and
	// nothing is under way any more. With 0-RTT it is called before the handshake is complete, as Bootstrap is.
	Submit(c *ServerConn, s *SubmitStream)
	// Closed is called once after the connection has ended, with all its streams and their calls, if Bootstrap was called for it or not.
	Closed(c *ServerConn)
}

// ServerConfig is what a server needs. TLS must be set, and must require a client certificate; its MinVersion becomes TLS 1.3 and its NextProtos ALPN
// if absent.
type ServerConfig struct {
	TLS     *tls.Config
	Keys    *Keys        // nil: made anew, so that no client survives a restart
	Limits  Limits       // zero fields as in DefaultLimits
	Logger  *slog.Logger // nil: none
	Handler Handler
}

// A Server is a QUIC server on one UDP socket. Safe for concurrent use.
type Server struct {
	cfg       ServerConfig
	socket    *endpoint
	ln        *quic.EarlyListener
	admission *admission
	memory    memory
	cuts      *cutLog
	counts    counts

	conns counter // goroutines of the server and its connections

	mu       sync.Mutex
	live     map[*ServerConn]struct{}
	draining bool
	stopped  chan struct{} // closed when Shutdown has begun
}

// Listen opens a UDP socket at addr ("host:port") and returns a server on it, which owns the socket.
func Listen(addr string, cfg ServerConfig) (*Server, error) {
	a, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	pc, err := net.ListenUDP("udp", a)
	if err != nil {
		return nil, err
	}
	s, err := NewServer(pc, cfg)
	if err != nil {
		_ = pc.Close()
		return nil, err
	}
	return s, nil
}

// NewServer returns a server on pc (for one, a socket that systemd handed over), which it owns from then on unless it fails. Connections
// are accepted once Serve runs.
func NewServer(pc net.PacketConn, cfg ServerConfig) (*Server, error) {
	if cfg.TLS == nil || cfg.Handler == nil {
		return nil, errors.New("quicrpc: ServerConfig needs TLS and Handler")
	}
	if cfg.TLS.ClientAuth != tls.RequireAnyClientCert && cfg.TLS.ClientAuth != tls.RequireAndVerifyClientCert {
		return nil, errors.New("quicrpc: ServerConfig.TLS must require a client certificate")
	}
	cfg.Limits = cfg.Limits.or(DefaultLimits())
	if err := cfg.Limits.check(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Keys == nil {
		var err error
		if cfg.Keys, err = newKeys(); err != nil {
			return nil, err
		}
	}
	cfg.TLS = tlsConfig(cfg.TLS)
	cfg.Keys.apply(cfg.TLS)
	s := &Server{
		cfg: cfg, admission: newAdmission(cfg.Limits), cuts: newCutLog(cfg.Logger),
		live: make(map[*ServerConn]struct{}), stopped: make(chan struct{}),
	}
	s.memory.limit = cfg.Limits.TotalMemory
	return s, s.listen(pc)
}

func (s *Server) listen(pc net.PacketConn) error {
	quietBufferWarning()
	s.socket = &endpoint{pc: pc, ownSocket: true, tr: &quic.Transport{
		Conn:                pc,
		ConnectionIDLength:  connIDLength,
		StatelessResetKey:   &s.cfg.Keys.reset,
		TokenGeneratorKey:   &s.cfg.Keys.token,
		VerifySourceAddress: s.admission.verify,
		ConnContext:         s.admission.admit,
	}}
	config := s.cfg.Limits.quicConfig()
	config.Allow0RTT = true
	config.AllowConnectionWindowIncrease = func(*quic.Conn, uint64) bool { return !s.memory.pressed() }
	var err error
	if s.ln, err = s.socket.tr.ListenEarly(s.cfg.TLS, config); err != nil {
		_ = s.socket.tr.Close()
		return err
	}
	if size, ok := receiveBuffer(pc); ok && size < wantBuffer {
		s.cfg.Logger.Info("the kernel gives the UDP socket a small receive buffer: bursts may be lost; raise net.core.rmem_max",
			"bytes", size, "wanted", wantBuffer)
	}
	return nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.socket.pc.LocalAddr() }

// Serve accepts connections until Shutdown begins (then it returns nil), until ctx ends (then it closes every connection at once, whatever is under way, waits
// for their goroutines and returns ctx's error), or until the socket fails (then it does the same).
func (s *Server) Serve(ctx context.Context) error {
	rotate, drop := time.NewTicker(time.Hour), time.NewTicker(dropEvery)
	defer rotate.Stop()
	defer drop.Stop()
	stop := make(chan struct{})
	s.conns.run(func() { s.housekeeping(rotate.C, drop.C, stop) })
	err := s.acceptLoop(ctx)
	close(stop)
	if err != nil {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(gone)
		<-s.conns.atZero()
	}
	return err
}

func (s *Server) acceptLoop(ctx context.Context) error {
	for {
		q, err := s.ln.Accept(ctx)
		switch {
		case err == nil:
			s.conns.run(func() { s.serveConn(q) }) // never here: the queue behind Accept holds 32
			continue
		case s.isDraining():
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return connFailure(err)
	}
}

// housekeeping does what is due from time to time.
func (s *Server) housekeeping(rotate, drop <-chan time.Time, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-drop:
			s.dropSigns()
		case now := <-rotate:
			switch changed, err := s.cfg.Keys.rotate(now); {
			case err != nil:
				s.cfg.Logger.Error("session ticket keys not rotated", "err", err)
			case changed:
				s.cfg.Keys.apply(s.cfg.TLS)
			}
		}
	}
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// add registers c, unless the server shuts down.
func (s *Server) add(c *ServerConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.live[c] = struct{}{}
	return true
}

func (s *Server) remove(c *ServerConn) {
	s.mu.Lock()
	delete(s.live, c)
	s.mu.Unlock()
}

// Shutdown ends the server: no further connection, stream or call is accepted; PUSH streams are cut (StreamErrShuttingDown); calls under way go on and
// their replies are delivered, until ctx ends; then every connection is closed (ConnErrShuttingDown), and the socket. It returns
// when no goroutine of the server is left, except that calls which ignore their context's end are waited for only until ctx
// ends: then its error is ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.draining
	s.draining = true
	live := make([]*ServerConn, 0, len(s.live))
	for c := range s.live {
		live = append(live, c)
	}
	if first {
		close(s.stopped)
	}
	s.mu.Unlock()

	_ = s.ln.Close()
	var drains sync.WaitGroup
	for _, c := range live {
		drains.Go(func() {
			c.drain(ctx)
			c.Close(ConnErrShuttingDown, "server is shutting down")
		})
	}
	drains.Wait()
	ended := s.conns.atZero()
	var err error
	select {
	case <-ended:
	default:
		select {
		case <-ended:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	return errors.Join(err, s.socket.close())
}
