package quicrpc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"
)

var errTooManyConnections = errors.New("quicrpc: too many connections")

// An admission counts a server's connections, in all and per source, from the first packet on. Safe for concurrent use.
type admission struct {
	limits Limits

	mu          sync.Mutex
	total       int
	handshaking int
	sources     map[netip.Prefix]int
	refused     uint64
	retries     uint64
}

func newAdmission(l Limits) *admission {
	return &admission{limits: l, sources: make(map[netip.Prefix]int)}
}

// source is what counts as one origin: an IPv4 address, or the /64 that one IPv6 host commands.
func source(a net.Addr) netip.Prefix {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip, ok := netip.AddrFromSlice(u.IP)
	if !ok {
		return netip.Prefix{}
	}
	ip = ip.Unmap()
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}

// verify reports whether a client at a must prove its address first. It runs twice for a connection, because a post-quantum ClientHello takes two
// packets; it decides the same both times unless the load changed in between.
func (a *admission) verify(addr net.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.handshaking < a.limits.RetryHandshakes && a.sources[source(addr)] < a.limits.RetryPerSource {
		return false
	}
	a.retries++
	return true
}

type admissionKey struct{}

// admit counts a connection until its context ends, or refuses it.
func (a *admission) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	src := source(info.RemoteAddr)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= a.limits.MaxConnections || a.sources[src] >= a.limits.MaxConnectionsPerSource {
		a.refused++
		return nil, errTooManyConnections
	}
	a.total++
	a.handshaking++
	a.sources[src]++
	handshake := sync.OnceFunc(func() {
		a.mu.Lock()
		a.handshaking--
		a.mu.Unlock()
	})
	context.AfterFunc(ctx, func() {
		handshake()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.total--
		if a.sources[src]--; a.sources[src] == 0 {
			delete(a.sources, src)
		}
	})
	return context.WithValue(ctx, admissionKey{}, handshake), nil
}

// handshakeDone tells that the connection of ctx finished its handshake.
func handshakeDone(ctx context.Context) {
	if f, ok := ctx.Value(admissionKey{}).(func()); ok {
		f()
	}
}
