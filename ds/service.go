package ds

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/receipt"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// Session is the connection that a caller's calls come over; *quicrpc.ServerConn is one.
type Session interface {
	// Peer returns the caller's identity.
	Peer() quicrpc.Peer
	// Context is done when the connection is over.
	Context() context.Context
	// WaitHandshake waits until the calls cannot be a replay of 0-RTT data.
	WaitHandshake(ctx context.Context) error
}

// PushStream is one PUSH stream to a caller; *quicrpc.FrameStream is one.
type PushStream interface {
	WriteMessage(*capnp.Message) error
	WriteEncoded([]byte) error
	ReadMessage() (*capnp.Message, error)
	SetUrgency(int)
	Cancel(quicrpc.StreamErrorCode)
	Close() error
}

// Opener opens PUSH streams on one connection.
type Opener func(context.Context) (PushStream, error)

// Config makes a Service.
type Config struct {
	Store  store.Store
	Logger *slog.Logger // default: discards
	Limits Limits
	// Receipts signs receipts; it is to end after the service. nil: calls get none.
	Receipts *receipt.Signer
}

// Service is the delivery service. Safe for concurrent use.
type Service struct {
	store  store.Store
	log    *slog.Logger
	full   seldom // of what the store cannot take
	limits Limits
	calls  [len(methods)]atomic.Uint64
	counts counts

	mu        sync.Mutex
	closed    bool
	listeners map[Session]*listener

	slots    *slots
	senders  *senders
	frames   *frames
	bulk     *bulk
	receipts *receipt.Signer
	inviting sync.Mutex // held while invitations are counted and made
}

type counts struct {
	streams, opened, messages, bytes, frames, acks, cut atomic.Uint64
}

// Stats are counters since New but for Listeners and Streams.
type Stats struct {
	Listeners, Streams uint64 // now
	StreamsOpened      uint64
	PushedMessages     uint64
	PushedBytes        uint64 // of payload
	PushedFrames       uint64
	Acks               uint64 // on PUSH streams
	StreamsCut         uint64 // not in good order: slow or hostile readers, failures
	ReceiptSignatures  uint64
	ReceiptLeaves      uint64 // messages that a receipt was signed for
}

// New returns a service on cfg.Store, which stays the caller's.
func New(cfg Config) *Service {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	limits := cfg.Limits.withDefaults()
	return &Service{store: cfg.Store, log: cfg.Logger, limits: limits, listeners: make(map[Session]*listener), slots: newSlots(limits.Slot),
		senders: newSenders(limits.SenderMessages, limits.SenderBytes), frames: newFrames(framesRoom), bulk: newBulk(), receipts: cfg.Receipts}
}

// Client returns the service as the peer of session sees it: a new reference to schemas.DeliveryService, which the caller releases.
// Sessions are compared with ==. open opens PUSH streams to the peer.
func (s *Service) Client(session Session, open Opener) capnp.Client {
	c := &server{s: s, session: session, owner: session.Peer(), open: open}
	c.sender = &sender[store.Message]{put: s.enqueue(c.owner), size: func(m *store.Message) int { return len(m.Payload) }}
	c.posts = &sender[store.Post]{put: s.post(c.owner), size: func(p *store.Post) int { return len(p.Payload) }}
	return capnp.Client(schemas.DeliveryService_ServerToClient(c))
}

// Closed ends what is done for session, whose connection is over, and waits for it.
func (s *Service) Closed(session Session) {
	s.mu.Lock()
	l := s.listeners[session]
	s.mu.Unlock()
	if l != nil {
		l.stop()
	}
}

// Close ends all listeners, and makes later calls fail with unavailable.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	all := make([]*listener, 0, len(s.listeners))
	for _, l := range s.listeners {
		l.cancel()
		all = append(all, l)
	}
	s.mu.Unlock()
	for _, l := range all {
		l.stop()
	}
	s.slots.close()
}

// Stats returns counters; it does not block.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	listeners := len(s.listeners)
	s.mu.Unlock()
	var signed receipt.Stats
	if s.receipts != nil {
		signed = s.receipts.Stats()
	}
	c := &s.counts
	return Stats{
		Listeners: uint64(listeners), Streams: c.streams.Load(), StreamsOpened: c.opened.Load(), PushedMessages: c.messages.Load(),
		PushedBytes: c.bytes.Load(), PushedFrames: c.frames.Load(), Acks: c.acks.Load(), StreamsCut: c.cut.Load(),
		ReceiptSignatures: signed.Signatures, ReceiptLeaves: signed.Leaves,
	}
}

type method int

const (
	enqueue method = iota
	fetch
	enqueueMany
	fetchAfter
	queues
	acknowledge
	listen
	createGroup
	commitMethod
	post
	group
	members
	groupInformation
	invite
	claimCommit
	releaseCommit
	reportCommit
	putBlob
	getBlob
	submitMethod
)

var methods = [...]string{
	"enqueue", "fetch", "enqueueMany", "fetchAfter", "queues", "acknowledge", "listen",
	"createGroup", "commit", "post", "group", "members", "groupInfo", "invite", "claimCommit", "releaseCommit",
	"reportCommit", "putBlob", "getBlob",
	"submit",
}

// Calls counts the calls since New, by the method's name in the schema; submit are frames on SUBMIT streams.
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return quicrpc.Errorf(quicrpc.CodeUnavailable, "server is shutting down")
	}
	return nil
}

// failure says to the caller what the store said.
func (s *Service) failure(err error) error {
	switch {
	case errors.Is(err, store.ErrBeyondLast):
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "cursor above the last stored message")
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrFailed), errors.Is(err, store.ErrClosed):
		s.full.warn(s.log, "ds: store unavailable", err)
		return quicrpc.Errorf(quicrpc.CodeUnavailable, "storage unavailable")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return quicrpc.Errorf(quicrpc.CodeUnavailable, "the call took too long or was cancelled")
	default:
		s.log.Error("ds: store failed", "err", err)
		return quicrpc.Errorf(quicrpc.CodeInternal, "storage error")
	}
}
