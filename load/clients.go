package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sync/errgroup"

	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
)

// perAddress is how many clients come from one loopback address: a quarter of what the daemon allows one source, and below what makes it ask for a proof of the
// address.
const perAddress = 500

// local is where client number i connects from. A daemon limits the connections of one address; on this machine there are many.
func (c *Config) local(i int) netip.Addr {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Is4() || !ip.IsLoopback() {
		return netip.Addr{}
	}
	n := 1 + i/perAddress%60_000
	return netip.AddrFrom4([4]byte{127, 0, byte(n >> 8), byte(n)})
}

// dial connects client number i.
func (r *run) dial(ctx context.Context, i int) (*client.Session, error) {
	return r.dialWith(ctx, i, nil, false)
}

func (r *run) dialWith(ctx context.Context, i int, tickets tls.ClientSessionCache, early bool) (*client.Session, error) {
	trust, err := r.cfg.trust()
	if err != nil {
		return nil, err
	}
	cfg := client.Config{Addr: r.cfg.Addr, Key: r.cfg.identity(i), Trust: trust, Local: r.cfg.local(i), Sessions: tickets, Early: early}
	if r.cfg.KeepAlive > 0 {
		limits := quicrpc.DefaultClientLimits()
		limits.KeepAlive, limits.IdleTimeout = r.cfg.KeepAlive, 5*r.cfg.KeepAlive/2
		cfg.Limits = &limits
	}
	s, err := client.Dial(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("client %d: %w", i, err)
	}
	r.mu.Lock()
	r.sessions[s] = struct{}{}
	r.mu.Unlock()
	return s, nil
}

// hangUp closes a connection, and keeps what it sent and received.
func (r *run) hangUp(s *client.Session) {
	st := s.Conn().State()
	r.mu.Lock()
	_, ours := r.sessions[s]
	delete(r.sessions, s)
	if ours {
		r.wire[0] += st.BytesSent
		r.wire[1] += st.BytesReceived
	}
	r.mu.Unlock()
	_ = s.Close()
}

// hangUpAll closes all connections.
func (r *run) hangUpAll() {
	r.mu.Lock()
	all := make([]*client.Session, 0, len(r.sessions))
	for s := range r.sessions {
		all = append(all, s)
	}
	r.mu.Unlock()
	var group errgroup.Group
	group.SetLimit(r.cfg.Parallel)
	for _, s := range all {
		group.Go(func() error { r.hangUp(s); return nil })
	}
	_ = group.Wait()
}

// onWire is what the clients have sent and received, bytes of QUIC packets.
func (r *run) onWire() (sent, received uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent, received = r.wire[0], r.wire[1]
	for s := range r.sessions {
		st := s.Conn().State()
		sent, received = sent+st.BytesSent, received+st.BytesReceived
	}
	return sent, received
}

// each calls f for 0 to n-1, Config.Parallel at a time.
func (r *run) each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.cfg.Parallel)
	for i := range n {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return f(ctx, i)
		})
	}
	return group.Wait()
}

// always is a connection that is not replaced.
func always(s *client.Session) func() *client.Session { return func() *client.Session { return s } }
