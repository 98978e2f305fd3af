package quicrpc

import (
	"fmt"
	"time"

	"github.com/quic-go/quic-go"
)

// Limits bound what a peer may ask for and for how long it may keep us waiting (requirement 29). A zero field means the default, so the zero
// value is usable. Sizes are in bytes.
type Limits struct {
	// Connections, server only. Beyond a Retry threshold a client must prove its address first (RFC 9000 section 8.1.2),
	// which costs it a round trip; beyond a Max it is refused.
	MaxConnections          int // in all
	MaxConnectionsPerSource int // from one IPv4 address or IPv6 /64
	RetryHandshakes         int // threshold: handshakes under way in all
	RetryPerSource          int // threshold: connections from one source

	// Streams of one connection.
	MaxStreams    int // opened by the peer and open at once, of all types
	MaxRPCStreams int // of these, RPC streams; also how many RPC streams a client opens at once
	MaxBadStreams int // cut for the peer's fault, over the connection's life; one more ends the connection

	// Messages and calls of one stream.
	MaxMessage    int // a Cap'n Proto message with its framing, either direction
	MaxAck        int // a message from client to server on a PUSH stream
	MaxCalls      int // calls not returned. A client keeps to half of it on its own, because a call that it gave up counts until the server returns
	MaxUnfinished int // calls returned, but not finished by the peer (go-capnp's clients finish after 250 ms)

	// Memory. A request is held until its call returns, a reply until the peer finished the call. A reply too many cuts the
	// stream; a request waits for room.
	RequestMemory int64 // requests held for one connection
	ReplyMemory   int64 // replies held for one connection
	TotalMemory   int64 // both, over all connections of a server: beyond it, who holds more than a small share is cut

	// Time.
	HandshakeTimeout time.Duration // without a packet of the peer during the handshake
	HeaderTimeout    time.Duration // for the header of a stream
	StallTimeout     time.Duration // without progress (64 KiB, or the message's end) inside a message, sending or receiving
	CallTimeout      time.Duration // the deadline in the context of a served call
	IdleTimeout      time.Duration // without a packet of the peer
	KeepAlive        time.Duration // between packets that keep a connection alive; negative: none

	// QUIC receive windows (RFC 9000 section 4.1): what a peer may send ahead of its being read. They grow from the first to the second.
	StreamWindow, MaxStreamWindow uint64
	ConnWindow, MaxConnWindow     uint64
}

// DefaultLimits returns a server's defaults. The shorter of the two sides' idle timeouts counts: the client, who knows the way between, chooses.
func DefaultLimits() Limits {
	return Limits{
		MaxConnections: 20_000, MaxConnectionsPerSource: 4_096, RetryHandshakes: 256, RetryPerSource: 512,
		MaxStreams: 32, MaxRPCStreams: 16, MaxBadStreams: 16,
		MaxMessage: 1<<20 + 64<<10, MaxAck: 4 << 10, MaxCalls: 1_024, MaxUnfinished: 32 * 1_024,
		RequestMemory: 8 << 20, ReplyMemory: 64 << 20, TotalMemory: 1 << 30,
		HandshakeTimeout: 5 * time.Second, HeaderTimeout: 5 * time.Second, StallTimeout: 10 * time.Second,
		CallTimeout: 30 * time.Second, IdleTimeout: 10 * time.Minute, KeepAlive: -1,
		StreamWindow: 256 << 10, MaxStreamWindow: 2 << 20, ConnWindow: 512 << 10, MaxConnWindow: 4 << 20,
	}
}

// DefaultClientLimits returns a client's defaults: as a server's, but with a keep-alive (a NAT forgets a UDP flow after some 30 s), room for
// the server's PUSH streams and larger windows.
func DefaultClientLimits() Limits {
	l := DefaultLimits()
	l.MaxStreams = 256
	l.IdleTimeout, l.KeepAlive = 60*time.Second, 20*time.Second
	l.StreamWindow, l.MaxStreamWindow = 512<<10, 6<<20
	l.ConnWindow, l.MaxConnWindow = 1<<20, 15<<20
	return l
}

// or returns l with every zero field taken from d.
func (l Limits) or(d Limits) Limits {
	for _, f := range []struct{ v, def *int }{
		{&l.MaxConnections, &d.MaxConnections}, {&l.MaxConnectionsPerSource, &d.MaxConnectionsPerSource},
		{&l.RetryHandshakes, &d.RetryHandshakes}, {&l.RetryPerSource, &d.RetryPerSource},
		{&l.MaxStreams, &d.MaxStreams}, {&l.MaxRPCStreams, &d.MaxRPCStreams}, {&l.MaxBadStreams, &d.MaxBadStreams},
		{&l.MaxMessage, &d.MaxMessage}, {&l.MaxAck, &d.MaxAck}, {&l.MaxCalls, &d.MaxCalls},
	} {
		setDefault(f.v, *f.def)
	}
	setDefault(&l.MaxUnfinished, 32*l.MaxCalls)
	for _, f := range []struct{ v, def *int64 }{
		{&l.RequestMemory, &d.RequestMemory}, {&l.ReplyMemory, &d.ReplyMemory}, {&l.TotalMemory, &d.TotalMemory},
	} {
		setDefault(f.v, *f.def)
	}
	for _, f := range []struct{ v, def *time.Duration }{
		{&l.HandshakeTimeout, &d.HandshakeTimeout}, {&l.HeaderTimeout, &d.HeaderTimeout}, {&l.StallTimeout, &d.StallTimeout},
		{&l.CallTimeout, &d.CallTimeout}, {&l.IdleTimeout, &d.IdleTimeout}, {&l.KeepAlive, &d.KeepAlive},
	} {
		setDefault(f.v, *f.def)
	}
	for _, f := range []struct{ v, def *uint64 }{
		{&l.StreamWindow, &d.StreamWindow}, {&l.MaxStreamWindow, &d.MaxStreamWindow}, {&l.ConnWindow, &d.ConnWindow}, {&l.MaxConnWindow, &d.MaxConnWindow},
	} {
		setDefault(f.v, *f.def)
	}
	return l
}

func setDefault[T int | int64 | uint64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// check refuses limits under which nothing could work.
func (l Limits) check() error {
	for name, v := range map[string]int64{
		"MaxConnections": int64(l.MaxConnections), "MaxConnectionsPerSource": int64(l.MaxConnectionsPerSource), "MaxStreams": int64(l.MaxStreams),
		"MaxRPCStreams": int64(l.MaxRPCStreams), "MaxCalls": int64(l.MaxCalls), "MaxUnfinished": int64(l.MaxUnfinished), "MaxAck": int64(l.MaxAck),
		"HeaderTimeout": int64(l.HeaderTimeout), "StallTimeout": int64(l.StallTimeout), "CallTimeout": int64(l.CallTimeout),
		"IdleTimeout": int64(l.IdleTimeout), "HandshakeTimeout": int64(l.HandshakeTimeout), "TotalMemory": l.TotalMemory,
	} {
		if v < 0 {
			return fmt.Errorf("quicrpc: limit %s is %d", name, v)
		}
	}
	if l.MaxMessage < 1<<10 || l.MaxMessage > 64<<20 {
		return fmt.Errorf("quicrpc: limit MaxMessage is %d, want 1 KiB to 64 MiB", l.MaxMessage)
	}
	if need := int64(l.MaxMessage) + messageOverhead; l.RequestMemory < need || l.ReplyMemory < need {
		return fmt.Errorf("quicrpc: RequestMemory and ReplyMemory must hold one message, %d bytes", need)
	}
	return nil
}

// quicConfig is every setting of quic-go, by hand, because its defaults are for web servers.
func (l Limits) quicConfig() *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           l.HandshakeTimeout,
		MaxIdleTimeout:                 l.IdleTimeout,
		KeepAlivePeriod:                max(0, l.KeepAlive+l.KeepAlive/4), // only where there are no signs of life
		EnableDatagrams:                true,
		InitialStreamReceiveWindow:     l.StreamWindow,
		MaxStreamReceiveWindow:         max(l.StreamWindow, l.MaxStreamWindow),
		InitialConnectionReceiveWindow: l.ConnWindow,
		MaxConnectionReceiveWindow:     max(l.ConnWindow, l.MaxConnWindow),
		MaxIncomingStreams:             int64(l.MaxStreams),
		MaxIncomingUniStreams:          -1,
	}
}
