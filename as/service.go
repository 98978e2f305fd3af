package as

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/mls"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// Session is the connection that a caller's calls come over; *quicrpc.ServerConn is one.
type Session interface {
	// Peer returns the caller's identity.
	Peer() quicrpc.Peer
	// WaitHandshake waits until the calls cannot be a replay of 0-RTT data.
	WaitHandshake(ctx context.Context) error
}

// Info is what serverInfo tells. Zero limits stand for the defaults of package ds and quicrpc.
type Info struct {
	Name, Version string
	MaxPayload    uint32 // of a message, bytes
	MaxBatch      uint32 // submissions in one enqueueMany
	MaxRecipients uint32 // in one enqueueMany
	MaxCallBytes  uint32 // of a Cap'n Proto message
	ReceiptKey    []byte // that receipts are signed with
}

// Limits of the service. Zero fields stand for the defaults.
type Limits struct {
	MaxPackages int           // in one upload; default 256
	MaxLifetime time.Duration // from now to a KeyPackage's end; default 366 days (requirement 12)
	ClockSkew   time.Duration // by which a KeyPackage may begin in the future; default 1 hour
	LowWater    uint32        // below so many packages the owner should publish more; default 25
	Suites      []mls.Suite   // accepted; default: all that mls knows and that sign with Ed25519

	// Claims (fetchKeyPackage), requirement 15: by one requester of one target, by one requester, and of one target.
	ClaimPair, ClaimRequester, ClaimTarget Rate
	// Claimants is how many requesters, targets and pairs are remembered, about 150 bytes each; default 65,536. One that is forgotten starts with a
	// full burst.
	Claimants int
}

// Rate allows Burst events at once and one more each Every. A zero Rate is the default, a negative Burst no limit.
type Rate struct {
	Burst int
	Every time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.MaxPackages == 0 {
		l.MaxPackages = 256
	}
	if l.MaxLifetime == 0 {
		l.MaxLifetime = 366 * 24 * time.Hour
	}
	if l.ClockSkew == 0 {
		l.ClockSkew = time.Hour
	}
	if l.LowWater == 0 {
		l.LowWater = 25
	}
	if l.Claimants == 0 {
		l.Claimants = 65_536
	}
	l.ClaimPair = l.ClaimPair.or(Rate{32, 20 * time.Second})
	l.ClaimRequester = l.ClaimRequester.or(Rate{4096, 50 * time.Millisecond})
	l.ClaimTarget = l.ClaimTarget.or(Rate{1024, 100 * time.Millisecond})
	return l
}

func (r Rate) or(def Rate) Rate {
	if r == (Rate{}) {
		return def
	}
	return r
}

// Config makes a Service.
type Config struct {
	Store  store.Store
	Info   Info
	Logger *slog.Logger // default: discards
	Limits Limits
	Clock  func() time.Time // default: time.Now
}

// Service is the authentication service. Safe for concurrent use.
type Service struct {
	store  store.Store
	info   Info
	log    *slog.Logger
	limits Limits
	clock  func() time.Time
	claims *claims
	calls  [len(methods)]atomic.Uint64
	closed atomic.Bool
}

// New returns a service on cfg.Store, which stays the caller's.
func New(cfg Config) *Service {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	i := &cfg.Info
	for _, d := range []struct {
		field *uint32
		value uint32
	}{{&i.MaxPayload, store.MaxPayload}, {&i.MaxBatch, 1024}, {&i.MaxRecipients, 1024}, {&i.MaxCallBytes, uint32(quicrpc.DefaultLimits().MaxMessage)}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	limits := cfg.Limits.withDefaults()
	return &Service{
		store: cfg.Store, info: cfg.Info, log: cfg.Logger, limits: limits, clock: cfg.Clock, claims: newClaims(limits),
	}
}

// Client returns the service as the peer of s sees it: a new reference to schemas.AuthenticationService, which the caller releases.
func (s *Service) Client(session Session) capnp.Client {
	return capnp.Client(schemas.AuthenticationService_ServerToClient(&server{s: s, session: session, peer: session.Peer()}))
}

// Close makes later calls fail with unavailable.
func (s *Service) Close() { s.closed.Store(true) }

type method int

const (
	uploadKeyPackage method = iota
	fetchKeyPackage
	uploadKeyPackages
	poolStatus
	serverInfo
)

var methods = [...]string{"uploadKeyPackage", "fetchKeyPackage", "uploadKeyPackages", "poolStatus", "serverInfo"}

// Calls counts the calls since New, by the method's name in the schema.
func (s *Service) Calls() map[string]uint64 {
	m := make(map[string]uint64, len(methods))
	for i, name := range methods {
		m[name] = s.calls[i].Load()
	}
	return m
}

// begin counts a call.
func (s *Service) begin(m method) error {
	s.calls[m].Add(1)
	if s.closed.Load() {
		return quicrpc.Errorf(quicrpc.CodeUnavailable, "server is shutting down")
	}
	return nil
}

// failure says to the caller what the store said.
func (s *Service) failure(err error) error {
	switch {
	case errors.Is(err, store.ErrConflict):
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "the init key was published before")
	case errors.Is(err, store.ErrQuota):
		return quicrpc.Errorf(quicrpc.CodeQuotaExceeded, "the pool of KeyPackages is full")
	case errors.Is(err, store.ErrTooLarge):
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "KeyPackage above %d bytes", store.MaxKeyPackage)
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrFailed), errors.Is(err, store.ErrClosed):
		s.log.Warn("as: store unavailable", "err", err)
		return quicrpc.Errorf(quicrpc.CodeUnavailable, "storage unavailable")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return quicrpc.Errorf(quicrpc.CodeUnavailable, "the call took too long or was cancelled")
	default:
		s.log.Error("as: store failed", "err", err)
		return quicrpc.Errorf(quicrpc.CodeInternal, "storage error")
	}
}
