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
	LowWater    uint32        // below so many packages of a suite the owner should publish more; default 10
	Suites      []mls.Suite   // accepted; default: all that mls knows and that sign with Ed25519

	// Claims, requirement 15: by one requester of one target (default 6 in 10 minutes), by one requester (4,096, enough to make a large group), and of
	// one target (256). An owner's claims of its own packages count like any other's.
	ClaimPair, ClaimRequester, ClaimTarget Rate
	// MaxNames is how many names a client claims at most, those that it revoked included; default 8. NameChanges limits the calls of one caller that change names
	// (default 16 in an hour), AllNameChanges the claims by all, and likewise the rotations (10,000 in an hour).
	MaxNames                    uint32
	NameChanges, AllNameChanges Rate

	// Claimants is how many requesters, how many targets and how many pairs are remembered, up to a KiB each; default 65,536. One that is forgotten
	// starts with an empty window.
	Claimants int
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
		l.LowWater = 10
	}
	if l.Claimants == 0 {
		l.Claimants = 65_536
	}
	if l.MaxNames == 0 {
		l.MaxNames = 8
	}
	l.NameChanges = l.NameChanges.or(Rate{16, time.Hour})
	l.AllNameChanges = l.AllNameChanges.or(Rate{10_000, time.Hour})
	l.ClaimPair = l.ClaimPair.or(Rate{6, 10 * time.Minute})
	l.ClaimRequester = l.ClaimRequester.or(Rate{4096, 10 * time.Minute})
	l.ClaimTarget = l.ClaimTarget.or(Rate{256, 10 * time.Minute})
	return l
}

// Config makes a Service.
type Config struct {
	Store  store.Store
	Info   Info
	Logger *slog.Logger // default: discards
	Limits Limits
	Clock  func() time.Time // default: time.Now
	// PoolLow, if not nil, is called after a claim that left an owner's pool below Limits.LowWater, found nothing, or handed out a last-resort package
	// (requirements 11 and 16). available is what is left of the suite that has fewest. It must not block.
	PoolLow func(owner store.Identity, available int, lastResortUsed bool)
}

// Service is the authentication service. Safe for concurrent use.
type Service struct {
	store     store.Store
	info      Info
	log       *slog.Logger
	limits    Limits
	clock     func() time.Time
	claims    *claims
	nameRates *nameRates
	low       func(owner store.Identity, available int, lastResortUsed bool)
	names     *namebook
	calls     [len(methods)]atomic.Uint64
	closed    atomic.Bool
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
	rates := newNameRates(limits)
	return &Service{
		store: cfg.Store, info: cfg.Info, log: cfg.Logger, limits: limits, clock: cfg.Clock, claims: newClaims(limits), low: cfg.PoolLow,
		names: &namebook{store: cfg.Store, maxClaims: limits.MaxNames, rates: rates}, nameRates: rates,
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
	claimKeyPackages
	resolveName
	claimName
	rotateName
	revokeName
	nameHistory
	nameLog
	sameClient
)

var methods = [...]string{
	"uploadKeyPackage", "fetchKeyPackage", "uploadKeyPackages", "poolStatus", "serverInfo", "claimKeyPackages",
	"resolveName", "claimName", "rotateName", "revokeName", "nameHistory", "nameLog", "sameClient",
}

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
