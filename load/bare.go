package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/quic-go/quic-go"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
)

// The baseline of connect: quic-go with the daemon's TLS configuration and limits, and nothing else. A stream is answered with what came on it. That of relay is in
// barerelay.go.

// bareID is the length of connection ids, as the daemon's.
const bareID = 8

// bareCall is how much goes each way in a call, about what a call of the daemon's takes.
const bareCall = 128

func bareConfig(l quicrpc.Limits) *quic.Config {
	return &quic.Config{
		Versions: []quic.Version{quic.Version1}, HandshakeIdleTimeout: l.HandshakeTimeout, MaxIdleTimeout: l.IdleTimeout, KeepAlivePeriod: max(0, l.KeepAlive),
		InitialStreamReceiveWindow: l.StreamWindow, MaxStreamReceiveWindow: l.MaxStreamWindow,
		InitialConnectionReceiveWindow: l.ConnWindow, MaxConnectionReceiveWindow: l.MaxConnWindow,
		MaxIncomingStreams: int64(l.MaxStreams), MaxIncomingUniStreams: -1, Allow0RTT: true,
	}
}

// ServeBare serves the baseline until in ends, whose other end the harness holds. It writes its address to out.
func ServeBare(in io.Reader, out io.Writer) error {
	dir, err := os.MkdirTemp("", "quicnprotochat-load-")
	if err != nil {
		return err
	}
	cert, err := certs.OwnServerCertificate(dir)
	_ = os.RemoveAll(dir)
	if err != nil {
		return err
	}
	conf := certs.ServerTLS(cert)
	conf.NextProtos = []string{quicrpc.ALPN}
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer pc.Close()
	tr := &quic.Transport{Conn: pc, ConnectionIDLength: bareID}
	defer tr.Close()
	ln, err := tr.ListenEarly(conf, bareConfig(quicrpc.DefaultLimits()))
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, pc.LocalAddr()); err != nil {
		return err
	}
	hub := &bareHub{readers: make(map[uint32]*quic.Stream)}
	go func() {
		for {
			q, err := ln.Accept(context.Background())
			if err != nil {
				return
			}
			go serveBare(q, hub)
		}
	}()
	_, _ = io.Copy(io.Discard, in)
	return nil
}

func serveBare(q *quic.Conn, hub *bareHub) {
	for {
		s, err := q.AcceptStream(q.Context())
		if err != nil {
			return
		}
		go func() {
			first := make([]byte, bareCall)
			n, err := s.Read(first)
			switch {
			case n == 0 && err != nil:
			case first[0] != bareCalls:
				err = hub.serve(s, first[:n])
			default:
				if _, err = s.Write(first[:n]); err == nil {
					_, err = io.Copy(s, io.LimitReader(s, int64(bareCall-n)))
				}
			}
			if err != nil && err != io.EOF {
				s.CancelRead(1)
				s.CancelWrite(1)
				return
			}
			_ = s.Close()
		}()
	}
}

// A bareConn is the client's side.
type bareConn struct {
	*quic.Conn
	tr *quic.Transport
	pc net.PacketConn
}

// dialBare does what client.Dial does, and no more.
func dialBare(ctx context.Context, addr string, cfg client.Config) (*bareConn, error) {
	cert, err := certs.ClientCertificate(cfg.Key)
	if err != nil {
		return nil, err
	}
	conf := certs.ClientTLS(cert, cfg.Trust)
	conf.ClientSessionCache, conf.NextProtos, conf.ServerName = cfg.Sessions, []string{quicrpc.ALPN}, "127.0.0.1"
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	var local *net.UDPAddr
	if cfg.Local.IsValid() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(cfg.Local, 0))
	}
	pc, err := net.ListenUDP("udp4", local)
	if err != nil {
		return nil, err
	}
	c := &bareConn{pc: pc, tr: &quic.Transport{Conn: pc, ConnectionIDLength: bareID}}
	dial := c.tr.Dial
	if cfg.Early {
		dial = c.tr.DialEarly
	}
	if c.Conn, err = dial(ctx, net.UDPAddrFromAddrPort(to), conf, bareConfig(quicrpc.DefaultClientLimits())); err != nil {
		_, _ = c.tr.Close(), pc.Close()
		return nil, err
	}
	return c, nil
}

// call sends bytes on a stream and reads as many back.
func (c *bareConn) call(ctx context.Context) error {
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	if _, err := s.Write(make([]byte, bareCall)); err != nil {
		return err
	}
	_, err = io.ReadFull(s, make([]byte, bareCall))
	s.CancelRead(0)
	_ = s.Close()
	return err
}

func (c *bareConn) close() {
	_ = c.CloseWithError(0, "")
	_, _ = c.tr.Close(), c.pc.Close()
}
