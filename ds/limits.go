package ds

import (
	"time"

	"quicnprotochat/store"
)

// Limits of the service. Zero fields stand for the defaults (DefaultLimits).
type Limits struct {
	// Of calls.
	MaxPayload     int // of a message, bytes; at most store.MaxPayload
	MaxBatch       int // submissions in one enqueueMany
	MaxRecipients  int // in one enqueueMany, over all its submissions
	MaxStoredBytes int // payload times recipients of one enqueueMany, bytes

	MaxBlob uint64 // bytes; at most store.MaxBlob

	SenderMessages uint64 // of one sender that a queue, or a group's order, holds, about
	SenderBytes    uint64 // of payload, likewise

	Slot time.Duration // for which who lost the race for an epoch often goes first

	// Of push.
	WindowMessages    uint32        // granted to who asks for 0
	MaxWindowMessages uint32        // granted at most
	WindowBytes       uint32        // as WindowMessages, payload bytes
	MaxWindowBytes    uint32        // as MaxWindowMessages
	MaxStreams        int           // PUSH streams open at once on a connection
	Idle              time.Duration // after which a stream whose queue is empty is closed
	Turn              time.Duration // after which a stream makes room, if other queues wait for one
	AckDelay          time.Duration // for which acknowledgements are gathered before they go to the store
	RetryMin          time.Duration // pause before a queue is pushed again whose stream was cut; it doubles,
	RetryMax          time.Duration // up to this, until something is acknowledged
}

// Limits that the schema gives.
const (
	maxCursors       = 256  // of acknowledge
	maxListenCursors = 1024 // of listen
	maxQueues        = 256  // of queues
	maxMembers       = 256  // of members
	maxInvite        = 256  // of invite
	maxInvited       = 1024 // invitations of a group
	maxFetch         = 1024 // payloads of fetch
	maxPage          = 256  // envelopes of fetchAfter and of a push frame
	maxPageBytes     = 512 << 10
	maxFrameBytes    = 256 << 10 // of payload in a push frame of more than one envelope: our own choice
)

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{
		MaxPayload: store.MaxPayload, MaxBatch: 1024, MaxRecipients: 1024, MaxStoredBytes: 64 << 20, Slot: 5 * time.Second,
		MaxBlob: store.MaxBlob, SenderMessages: 25_000, SenderBytes: 64 << 20,
		WindowMessages: 1024, MaxWindowMessages: 4096, WindowBytes: 4 << 20, MaxWindowBytes: 16 << 20,
		MaxStreams: 64, Idle: 30 * time.Second, Turn: 2 * time.Second, AckDelay: 25 * time.Millisecond,
		RetryMin: time.Second, RetryMax: time.Minute,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	or(&l.MaxPayload, d.MaxPayload)
	or(&l.MaxBatch, d.MaxBatch)
	or(&l.MaxRecipients, d.MaxRecipients)
	or(&l.MaxStoredBytes, d.MaxStoredBytes)
	or(&l.Slot, d.Slot)
	or(&l.MaxBlob, d.MaxBlob)
	or(&l.SenderMessages, d.SenderMessages)
	or(&l.SenderBytes, d.SenderBytes)
	or(&l.WindowMessages, d.WindowMessages)
	or(&l.MaxWindowMessages, d.MaxWindowMessages)
	or(&l.WindowBytes, d.WindowBytes)
	or(&l.MaxWindowBytes, d.MaxWindowBytes)
	or(&l.MaxStreams, d.MaxStreams)
	or(&l.Idle, d.Idle)
	or(&l.Turn, d.Turn)
	or(&l.AckDelay, d.AckDelay)
	or(&l.RetryMin, d.RetryMin)
	or(&l.RetryMax, d.RetryMax)
	return l
}

func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// grant returns the window for who asks for asked.
func grant(asked, def, limit uint32) uint32 {
	if asked == 0 {
		asked = def
	}
	return min(asked, limit)
}
