package quicrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/quic-go/quic-go"
)

// connIDLength is the length of our connection IDs in bytes: fixed, because a stateless reset is found by it, and not zero, because a
// client needs one to move to another path.
const connIDLength = 8

// Dial connects to addr ("host", "host:port", "[v6]:port"; the port is DefaultPort if absent) and completes the handshake, or, with cfg.Early and a
// session to resume, only begins it. It tries the host's addresses in turn. A server refuses a client certificate after its own part of
// the handshake, so that this may surface only in the first use of the connection, as ErrCertificateRequired or ErrTLS. Errors: a
// *ConnError, ctx's, or the resolver's.
func Dial(ctx context.Context, addr string, cfg ClientConfig) (*Conn, error) {
	if cfg.TLS == nil {
		return nil, errors.New("quicrpc: ClientConfig.TLS is not set")
	}
	cfg.Limits = cfg.Limits.or(DefaultClientLimits())
	if err := cfg.Limits.check(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	host, port, err := splitAddr(addr)
	if err != nil {
		return nil, err
	}
	cfg.TLS = tlsConfig(cfg.TLS)
	if cfg.TLS.ServerName == "" {
		cfg.TLS.ServerName = host
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("quicrpc: %s has no address", host)
	for _, ip := range ips {
		var c *Conn
		if c, err = dialOne(ctx, netip.AddrPortFrom(ip.Unmap(), port), cfg); err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func dialOne(ctx context.Context, to netip.AddrPort, cfg ClientConfig) (*Conn, error) {
	network := "udp6"
	if to.Addr().Is4() {
		network = "udp4"
	}
	var local *net.UDPAddr
	if cfg.Local.IsValid() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(cfg.Local, 0))
	}
	pc, err := net.ListenUDP(network, local)
	if err != nil {
		return nil, err
	}
	quietBufferWarning()
	e := &endpoint{pc: pc, tr: &quic.Transport{Conn: pc, ConnectionIDLength: connIDLength}, ownSocket: true}
	dial := e.tr.Dial
	if cfg.Early {
		dial = e.tr.DialEarly
	}
	q, err := dial(ctx, net.UDPAddrFromAddrPort(to), cfg.TLS, cfg.Limits.quicConfig())
	if err != nil {
		_ = e.close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, connFailure(err)
	}
	return newConn(q, cfg, e), nil
}

func splitAddr(addr string) (host string, port uint16, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		bare := addr
		if strings.HasPrefix(addr, "[") && strings.HasSuffix(addr, "]") {
			bare = addr[1 : len(addr)-1]
		}
		if _, notIP := netip.ParseAddr(bare); bare == "" || notIP != nil && strings.ContainsAny(bare, ":[]") {
			return "", 0, err
		}
		return bare, DefaultPort, nil
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil || host == "" {
		return "", 0, &net.AddrError{Err: "want host:port", Addr: addr}
	}
	return host, uint16(n), nil
}

// tlsConfig returns a copy of c with what the protocol requires.
func tlsConfig(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS13)
	if len(c.NextProtos) == 0 {
		c.NextProtos = []string{ALPN}
	}
	return c
}

// An endpoint is a UDP socket with the QUIC transport on it.
type endpoint struct {
	pc        net.PacketConn
	tr        *quic.Transport
	ownSocket bool // close the socket too

	once sync.Once
	err  error
}

// close ends the transport, abruptly for connections that are still there, and the socket.
func (e *endpoint) close() error {
	e.once.Do(func() {
		e.err = e.tr.Close()
		if e.ownSocket {
			e.err = errors.Join(e.err, e.pc.Close())
		}
	})
	return e.err
}

// quietBufferWarning switches off a line that quic-go prints to standard error when the kernel gives a smaller UDP buffer than it likes:
// in a command line tool it is noise, and a server logs the size itself.
var quietBufferWarning = sync.OnceFunc(func() {
	const name = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"
	if _, set := os.LookupEnv(name); !set {
		_ = os.Setenv(name, "true")
	}
})
