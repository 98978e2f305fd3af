package quicrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"quicnprotochat/schemas"
)

// A ticketCache is a session cache that tells when a ticket came.
type ticketCache struct {
	tls.ClientSessionCache
	put chan struct{}
}

func newTicketCache() *ticketCache {
	return &ticketCache{ClientSessionCache: tls.NewLRUClientSessionCache(4), put: make(chan struct{}, 64)}
}

func (c *ticketCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if s != nil {
		select {
		case c.put <- struct{}{}:
		default:
		}
	}
}

// visit makes one connection with conf and waits for the ticket in cache, so that the next connection can resume it.
func visit(t *testing.T, s *Server, conf *tls.Config, cache *ticketCache) {
	t.Helper()
	c := dial(t, s, ClientConfig{TLS: conf, Early: true})
	r, _ := bootstrap(t, c)
	if _, err := callEcho(testContext(t), r, nil); err != nil {
		t.Fatal(err)
	}
	<-cache.put
	if st := c.State(); st.Resumed || st.Used0RTT {
		t.Fatalf("the first connection: resumed %v, 0-RTT %v", st.Resumed, st.Used0RTT)
	}
	c.Close()
}

// TestEarlyDataAfterRestart: a server with kept keys answers what needs no handshake in 0-RTT, right after its restart, and what has an effect
// only when the handshake is complete.
func TestEarlyDataAfterRestart(t *testing.T) {
	dir := t.TempDir()
	cert := serverTLS(t)
	start := func(h *testHandler) *Server {
		keys, err := LoadKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		return startServer(t, ServerConfig{TLS: cert, Keys: keys, Handler: h})
	}
	conf, peer := clientTLS(t)
	cache := newTicketCache()
	conf.ClientSessionCache = cache
	first := start(newTestHandler())
	visit(t, first, conf, cache)
	if err := first.Shutdown(testContext(t)); err != nil {
		t.Fatal(err)
	}

	h := newTestHandler()
	began, effect := make(chan *ServerConn, 1), make(chan struct{}, 1)
	h.echo.call = func(ctx context.Context, _ schemas.AuthenticationService_fetchKeyPackage) error {
		sc := <-h.conns
		began <- sc
		if err := sc.WaitHandshake(ctx); err != nil {
			return err
		}
		effect <- struct{}{}
		return nil
	}
	second := start(h)
	line := newProxy(t, second.Addr()) // nothing of the server reaches the client yet: the handshake cannot complete
	c, err := Dial(testContext(t), line.LocalAddr().String(), ClientConfig{TLS: conf, Early: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r, _ := bootstrap(t, c)
	answered := make(chan error, 1)
	go func() { answered <- callFetch(testContext(t), r) }()
	sc := <-began
	if sc.Peer() != peer {
		t.Fatal("another peer in 0-RTT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := sc.WaitHandshake(ctx); !errors.Is(err, context.DeadlineExceeded) || len(effect) != 0 {
		t.Fatalf("before the handshake: WaitHandshake gives %v, %d effects", err, len(effect))
	}
	line.open()
	if err := <-answered; err != nil || len(effect) != 1 {
		t.Fatalf("the call: %v, %d effects", err, len(effect))
	}
	if st := c.State(); !st.Resumed || !st.Used0RTT {
		t.Fatalf("the second connection: resumed %v, 0-RTT %v", st.Resumed, st.Used0RTT)
	}
	c.Close()
	eventually(t, "the server knows", func() bool { return second.Stats().Connections == 0 })
}

// TestEarlyDataRejected: a server that lost its keys does not know the ticket. What was sent early is lost, and is said to be; the
// connection goes on.
func TestEarlyDataRejected(t *testing.T) {
	cert := serverTLS(t)
	conf, _ := clientTLS(t)
	cache := newTicketCache()
	conf.ClientSessionCache = cache
	visit(t, startServer(t, ServerConfig{TLS: cert}), conf, cache)

	second := startServer(t, ServerConfig{TLS: cert})
	line := newProxy(t, second.Addr())
	c, err := Dial(testContext(t), line.LocalAddr().String(), ClientConfig{TLS: conf, Early: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r, _ := bootstrap(t, c)
	answered := make(chan error, 1)
	go func() { _, err := callEcho(testContext(t), r, nil); answered <- err }()
	line.open()
	if err := <-answered; !errors.Is(err, ErrEarlyRejected) {
		t.Fatalf("the early call: %v", err)
	}
	r, _ = bootstrap(t, c)
	if _, err := callEcho(testContext(t), r, nil); err != nil {
		t.Fatalf("on the same connection, after it: %v", err)
	}
	if st := c.State(); st.Used0RTT {
		t.Fatal("0-RTT was used")
	}
	c.Close()
	eventually(t, "the server knows", func() bool { return second.Stats().Connections == 0 })
}

// crash makes a server, has connect make connections to it, and puts one in its place that knows its keys and not its connections, as after kill -9. It returns the new one.
func crash(t *testing.T, connect func(*Server)) *Server {
	t.Helper()
	keys, err := LoadKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cert := serverTLS(t)
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	first, err := NewServer(pc, ServerConfig{TLS: cert, Keys: keys, Handler: newTestHandler()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- first.Serve(context.Background()) }()
	connect(first)
	pc.Close() // no packet says goodbye
	if err := <-served; err == nil {
		t.Fatal("Serve returned nil although its socket is gone")
	}
	again, err := net.ListenUDP("udp4", pc.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	second, err := NewServer(again, ServerConfig{TLS: cert, Keys: keys, Handler: newTestHandler()})
	if err != nil {
		t.Fatal(err)
	}
	runServer(t, second)
	return second
}

// TestStatelessReset: a server that was killed and started again tells old clients at once, without knowing them.
func TestStatelessReset(t *testing.T) {
	var c *Conn
	var r *RPC
	crash(t, func(s *Server) {
		c = dial(t, s, ClientConfig{})
		r, _ = bootstrap(t, c)
		if _, err := callEcho(testContext(t), r, nil); err != nil {
			t.Fatal(err)
		}
	})
	select {
	case <-c.Context().Done():
		t.Fatalf("the client was told something: %v", c.Err())
	default:
	}
	start := time.Now()
	if _, err := callEcho(testContext(t), r, nil); !errors.Is(err, ErrPeerRestarted) {
		t.Fatalf("a call on the old connection: %v", err)
	}
	took := time.Since(start)
	t.Logf("noticed after %v", took)
	if took > 5*time.Second { // an idle timeout would take 30 s and more
		t.Errorf("noticed only after %v", took)
	}
	await(t, c.Context().Done(), "the connection")
	if !errors.Is(c.Err(), ErrPeerRestarted) {
		t.Errorf("the connection ended with %v", c.Err())
	}
}

// A proxy passes one client's datagrams on to a server, and the server's back once it is open.
type proxy struct {
	*net.UDPConn
	open func()
}

func newProxy(t testing.TB, server net.Addr) *proxy {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.DialUDP("udp4", nil, server.(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	opened, client := make(chan struct{}), make(chan *net.UDPAddr, 1)
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		known := false
		for buf := make([]byte, 64<<10); ; {
			n, from, err := front.ReadFromUDP(buf)
			if err != nil {
				return
			}
			if !known {
				known = true
				client <- from
			}
			_, _ = back.Write(buf[:n])
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		<-opened
		var to *net.UDPAddr
		for buf := make([]byte, 64<<10); ; {
			n, err := back.Read(buf)
			if err != nil {
				return
			}
			if to == nil {
				to = <-client
			}
			_, _ = front.WriteToUDP(buf[:n], to)
		}
	}()
	p := &proxy{UDPConn: front}
	isOpen := false
	p.open = func() {
		if !isOpen {
			isOpen = true
			close(opened)
		}
	}
	t.Cleanup(func() {
		p.open()
		front.Close()
		back.Close()
		<-done
		<-done
	})
	return p
}
