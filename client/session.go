package client

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// Config says how to reach a server and as whom.
type Config struct {
	// Addr is host:port.
	Addr string
	// Key is the caller's identity.
	Key ed25519.PrivateKey
	// Local is the address to connect from; its zero value leaves it to the system.
	Local netip.Addr
	// Trust says how to recognise the server; its zero value accepts any (see certs.Trust).
	Trust certs.Trust
	// Sessions, if not nil, keeps TLS session tickets, so that a later connection is resumed.
	Sessions tls.ClientSessionCache
	// Early allows calls without effect to travel in 0-RTT.
	Early bool
	// IdleStream is how long a stream to a service is kept without a call; 0: a second.
	IdleStream time.Duration
	// Answered, if not nil, is called whenever a call has ended, from whichever goroutine made it. It must not wait.
	Answered func()
	// Limits bounds what the server may make us hold; nil: quicrpc.DefaultClientLimits.
	Limits *quicrpc.Limits
	// Logger, if nil, discards.
	Logger *slog.Logger
}

// Session is one connection to a server. Its streams to the services are opened at the first call, and closed when none was made for a while: a connection
// that only listens costs the server less without. Safe for concurrent use.
type Session struct {
	conn *quicrpc.Conn
	self certs.Identity
	log  *slog.Logger
	idle time.Duration // Config.IdleStream
	// answered is Config.Answered; may be nil
	answered func()

	mu     sync.Mutex
	shared map[quicrpc.StreamType]*shared
	closed bool

	foreign bool // not the account's own server; set by Account.Dial before the session is used
}

// shared is a stream of which the session has one, for all calls that need it.
type shared struct {
	stream openStream
	s      *Session
	users  int       // calls that are about to be made, are under way, or whose answer is being read; guarded by s.mu, as last is
	last   time.Time // when users became 0
}

type openStream interface {
	Done() <-chan struct{} // closed when it is over
	Close() error
}

// rpcStream is the stream to a service.
type rpcStream struct {
	*quicrpc.RPC
	*shared
}

// idleStream is Config.IdleStream unless set: long enough for a client's calls that follow each other.
const idleStream = time.Second

// Dial connects and completes the handshake (with Config.Early: at least as far as 0-RTT allows). Errors: ErrUnreachable, certs.ErrPinMismatch,
// or what TLS says.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	cert, err := certs.ClientCertificate(cfg.Key)
	if err != nil {
		return nil, err
	}
	tlsConf := certs.ClientTLS(cert, cfg.Trust)
	tlsConf.ClientSessionCache = cfg.Sessions
	limits := quicrpc.DefaultClientLimits()
	if cfg.Limits != nil {
		limits = *cfg.Limits
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	idle := cfg.IdleStream
	if idle <= 0 {
		idle = idleStream
	}
	conn, err := quicrpc.Dial(ctx, cfg.Addr, quicrpc.ClientConfig{TLS: tlsConf, Limits: limits, Logger: log, Early: cfg.Early, Local: cfg.Local})
	if err != nil {
		if errors.Is(err, certs.ErrPinMismatch) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, cfg.Addr, err)
	}
	return &Session{conn: conn, self: certs.IdentityOf(cfg.Key), log: log, idle: idle, answered: cfg.Answered, shared: make(map[quicrpc.StreamType]*shared)}, nil
}

// Close ends the connection and every call under way.
func (s *Session) Close() error {
	err := s.conn.Close() // first: a stream that waits to be opened holds the lock
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, u := range s.shared {
		_ = u.stream.Close()
	}
	clear(s.shared)
	return err
}

// Done is closed when the connection has ended; Err then says why.
func (s *Session) Done() <-chan struct{} { return s.conn.Context().Done() }

// Err is why the connection ended, nil while it lives.
func (s *Session) Err() error { return s.conn.Err() }

// Conn gives the transport, for those who want its details.
func (s *Session) Conn() *quicrpc.Conn { return s.conn }

// rpc returns the stream to a service. The caller releases it once it has read the answer to its call.
func (s *Session) rpc(ctx context.Context, t quicrpc.StreamType) (rpcStream, error) {
	r, u, err := share(s, t, func() (*quicrpc.RPC, error) { return s.conn.Bootstrap(ctx, t) })
	return rpcStream{r, u}, err
}

// share returns the stream of type t, opened if there is none that lives.
func share[S openStream](s *Session, t quicrpc.StreamType, open func() (S, error)) (stream S, u *shared, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.shared[t]; u != nil {
		select {
		case <-u.stream.Done():
			_ = u.stream.Close()
			delete(s.shared, t)
		default:
			u.users++
			return u.stream.(S), u, nil
		}
	}
	if stream, err = open(); err != nil {
		return stream, nil, err
	}
	u = &shared{stream: stream, s: s, users: 1}
	s.shared[t] = u
	time.AfterFunc(s.idle, func() { s.retire(t, u) })
	return stream, u, nil
}

// release ends one use.
func (u *shared) release() {
	u.s.mu.Lock()
	if u.users--; u.users == 0 {
		u.last = time.Now()
	}
	u.s.mu.Unlock()
	if u.s.answered != nil {
		u.s.answered()
	}
}

// retire closes u when it was not used for as long as Config.IdleStream says, or looks again later.
func (s *Session) retire(t quicrpc.StreamType, u *shared) {
	s.mu.Lock()
	if s.closed || s.shared[t] != u {
		s.mu.Unlock()
		return
	}
	left := s.idle
	if u.users == 0 {
		left -= time.Since(u.last)
	}
	if left <= 0 {
		delete(s.shared, t)
	}
	s.mu.Unlock()
	if left > 0 {
		time.AfterFunc(left, func() { s.retire(t, u) })
		return
	}
	_ = u.stream.Close()
}

func (s *Session) as(ctx context.Context) (service schemas.AuthenticationService, r rpcStream, err error) {
	if r, err = s.rpc(ctx, quicrpc.StreamAS); err != nil {
		return service, r, err
	}
	return schemas.AuthenticationService(r.Client()), r, nil
}

func (s *Session) ds(ctx context.Context) (service schemas.DeliveryService, r rpcStream, err error) {
	if r, err = s.rpc(ctx, quicrpc.StreamDS); err != nil {
		return service, r, err
	}
	return schemas.DeliveryService(r.Client()), r, nil
}
