package client

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"

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
	// Trust says how to recognise the server; its zero value accepts any (see certs.Trust).
	Trust certs.Trust
	// Sessions, if not nil, keeps TLS session tickets, so that a later connection is resumed.
	Sessions tls.ClientSessionCache
	// Early allows calls without effect to travel in 0-RTT.
	Early bool
	// Limits bounds what the server may make us hold; nil: quicrpc.DefaultClientLimits.
	Limits *quicrpc.Limits
	// Logger, if nil, discards.
	Logger *slog.Logger
}

// Session is one connection to a server. Its streams to the services are opened at the first call and kept until they fail or the
// session is closed. Safe for concurrent use.
type Session struct {
	conn *quicrpc.Conn
	self certs.Identity
	log  *slog.Logger

	mu   sync.Mutex
	rpcs map[quicrpc.StreamType]*quicrpc.RPC
}

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
	conn, err := quicrpc.Dial(ctx, cfg.Addr, quicrpc.ClientConfig{TLS: tlsConf, Limits: limits, Logger: log, Early: cfg.Early})
	if err != nil {
		if errors.Is(err, certs.ErrPinMismatch) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, cfg.Addr, err)
	}
	return &Session{conn: conn, self: certs.IdentityOf(cfg.Key), log: log, rpcs: make(map[quicrpc.StreamType]*quicrpc.RPC)}, nil
}

// Close ends the connection and every call under way.
func (s *Session) Close() error {
	err := s.conn.Close() // first: a stream that waits to be opened holds the lock
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rpcs {
		r.Close()
	}
	clear(s.rpcs)
	return err
}

// Done is closed when the connection has ended; Err then says why.
func (s *Session) Done() <-chan struct{} { return s.conn.Context().Done() }

// Err is why the connection ended, nil while it lives.
func (s *Session) Err() error { return s.conn.Err() }

// Conn gives the transport, for those who want its details.
func (s *Session) Conn() *quicrpc.Conn { return s.conn }

// rpc returns the stream to a service, opened if there is none that lives.
func (s *Session) rpc(ctx context.Context, t quicrpc.StreamType) (*quicrpc.RPC, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rpcs[t]; r != nil {
		select {
		case <-r.Done():
			r.Close()
			delete(s.rpcs, t)
		default:
			return r, nil
		}
	}
	r, err := s.conn.Bootstrap(ctx, t)
	if err != nil {
		return nil, err
	}
	s.rpcs[t] = r
	return r, nil
}

func (s *Session) as(ctx context.Context) (schemas.AuthenticationService, *quicrpc.RPC, error) {
	r, err := s.rpc(ctx, quicrpc.StreamAS)
	if err != nil {
		return schemas.AuthenticationService{}, nil, err
	}
	return schemas.AuthenticationService(r.Client()), r, nil
}

func (s *Session) ds(ctx context.Context) (schemas.DeliveryService, *quicrpc.RPC, error) {
	r, err := s.rpc(ctx, quicrpc.StreamDS)
	if err != nil {
		return schemas.DeliveryService{}, nil, err
	}
	return schemas.DeliveryService(r.Client()), r, nil
}
