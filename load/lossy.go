package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A lossy relay passes datagrams between clients and a daemon, and drops some of them. Each client has a socket of its own towards the daemon, at its own loopback address,
// so that the daemon sees as many clients, at the same addresses, as there are.
type lossy struct {
	loss   float64
	seed   uint64
	near   *net.UDPConn // towards the clients
	daemon *net.UDPAddr

	wg              sync.WaitGroup
	passed, dropped atomic.Uint64

	mu     sync.Mutex
	closed bool
	next   uint64 // number of the next path
	paths  map[netip.AddrPort]*path
}

// path is one client's way to the daemon.
type path struct {
	far  *net.UDPConn
	used atomic.Int64 // when a datagram last went either way
}

const (
	pathIdle    = 2 * time.Minute // of a path without a datagram before it goes: longer than QUIC's own
	maxDatagram = 65_535
	relayBuffer = 4 << 20 // of the kernel, for the clients' side: many share it
)

// newLossy starts a relay to addr.
func newLossy(addr string, loss float64, seed uint64) (*lossy, error) {
	daemon, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	at := netip.IPv4Unspecified()
	if daemon.IP.IsLoopback() {
		at = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if daemon.IP.To4() == nil {
		at = netip.IPv6Loopback()
	}
	near, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		return nil, fmt.Errorf("the lossy relay: %w", err)
	}
	_ = near.SetReadBuffer(relayBuffer)
	_ = near.SetWriteBuffer(relayBuffer)
	l := &lossy{loss: loss, seed: seed, near: near, daemon: daemon, paths: make(map[netip.AddrPort]*path)}
	l.wg.Go(l.outward)
	return l, nil
}

// addr is where clients find the daemon.
func (l *lossy) addr() string {
	port := l.near.LocalAddr().(*net.UDPAddr).Port
	if l.daemon.IP.To4() == nil {
		return fmt.Sprintf("[::1]:%d", port)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// outward passes what clients send. It is the only one that reads near, and the only one that makes paths.
func (l *lossy) outward() {
	rng := rand.New(rand.NewPCG(l.seed, 0))
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := l.near.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // what the kernel says of an earlier datagram
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		p := l.path(from)
		if p == nil || l.drops(rng) {
			continue
		}
		p.used.Store(now())
		_, _ = p.far.Write(buf[:n]) // a daemon that is not there is a loss, too
	}
}

// inward passes what the daemon sends to one client, until the path is idle or closed.
func (l *lossy) inward(client netip.AddrPort, p *path, number uint64) {
	defer l.forget(client, p)
	rng := rand.New(rand.NewPCG(l.seed, number))
	buf := make([]byte, maxDatagram)
	for {
		_ = p.far.SetReadDeadline(time.Now().Add(pathIdle))
		n, err := p.far.Read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil && now()-p.used.Load() > int64(pathIdle):
			return
		case err != nil:
			continue // nobody listens at the daemon's port for the moment
		}
		p.used.Store(now())
		if !l.drops(rng) {
			_, _ = l.near.WriteToUDPAddrPort(buf[:n], client)
		}
	}
}

func (l *lossy) drops(rng *rand.Rand) bool {
	if rng.Float64() < l.loss {
		l.dropped.Add(1)
		return true
	}
	l.passed.Add(1)
	return false
}

// path returns a client's path, made if there is none; nil if that fails.
func (l *lossy) path(client netip.AddrPort) *path {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.paths[client]; p != nil || l.closed {
		return p
	}
	var local *net.UDPAddr
	if l.daemon.IP.IsLoopback() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(client.Addr(), 0))
	}
	far, err := net.DialUDP("udp", local, l.daemon)
	if err != nil {
		return nil
	}
	l.next++
	p, number := &path{far: far}, l.next
	p.used.Store(now())
	l.paths[client] = p
	l.wg.Go(func() { l.inward(client, p, number) })
	return p
}

func (l *lossy) forget(client netip.AddrPort, p *path) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paths[client] == p {
		delete(l.paths, client)
	}
	_ = p.far.Close()
}

// close ends the relay.
func (l *lossy) close() {
	l.mu.Lock()
	l.closed = true
	for _, p := range l.paths {
		_ = p.far.Close()
	}
	l.mu.Unlock()
	_ = l.near.Close()
	l.wg.Wait()
}

// throughLoss puts a relay between the run's clients and the daemon if the configuration says so, and tells at the end what it dropped.
func (r *run) throughLoss(ctx context.Context, f func(context.Context, *run) error) error {
	if r.cfg.Loss == 0 {
		return f(ctx, r)
	}
	l, err := newLossy(r.cfg.Addr, r.cfg.Loss, r.cfg.Seed)
	if err != nil {
		return err
	}
	r.cfg.Addr = l.addr()
	err = f(ctx, r)
	r.hangUpAll()
	l.close()
	r.value("datagrams_dropped", float64(l.dropped.Load()))
	r.value("datagrams_passed", float64(l.passed.Load()))
	return err
}
