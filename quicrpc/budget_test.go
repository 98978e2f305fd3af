package quicrpc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	"quicnprotochat/schemas"
)

// holdCalls makes h's fetchKeyPackage wait for release or its context, and tell began. To be called before h's server starts.
func holdCalls(h *testHandler) (began chan struct{}, release chan struct{}) {
	began, release = make(chan struct{}, 4096), make(chan struct{})
	h.echo.call = func(ctx context.Context, _ schemas.AuthenticationService_fetchKeyPackage) error {
		began <- struct{}{}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return began, release
}

func TestTooManyCalls(t *testing.T) {
	h := newTestHandler()
	began, release := holdCalls(h)
	log, logged := newLog()
	s := startServer(t, ServerConfig{Handler: h, Logger: log, Limits: Limits{MaxCalls: 8}})

	// This package's client keeps to its share on its own.
	r, _ := bootstrap(t, dial(t, s, ClientConfig{Limits: Limits{MaxCalls: 8}}))
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if err := callFetch(testContext(t), r); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-began
	}
	select {
	case <-began:
		t.Error("more than half of MaxCalls are in flight")
	default:
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := callFetch(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("a waiting call whose context is dead: %v", err)
	}
	close(release)
	calls.Wait()

	// One that does not is cut, and with the stream every call of it.
	h2 := newTestHandler()
	_, hold := holdCalls(h2)
	defer close(hold)
	s = startServer(t, ServerConfig{Handler: h2, Logger: log, Limits: Limits{MaxCalls: 8}})
	r, _ = bootstrap(t, dial(t, s, ClientConfig{Limits: Limits{MaxCalls: 100}}))
	for range 20 {
		calls.Go(func() {
			if err := callFetch(testContext(t), r); !errors.Is(err, StreamErrBudget) {
				t.Errorf("got %v", err)
			}
		})
	}
	calls.Wait()
	wantLogged(t, logged, "budget", 1)
}

func TestTooManyRPCStreams(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log, Limits: Limits{MaxRPCStreams: 2}})
	c := dial(t, s, ClientConfig{})
	var open []*RPC
	for range 2 {
		r, _ := bootstrap(t, c)
		if _, err := callEcho(testContext(t), r, nil); err != nil {
			t.Fatal(err)
		}
		open = append(open, r)
	}
	r, _ := bootstrap(t, c)
	if _, err := callEcho(testContext(t), r, nil); !errors.Is(err, StreamErrBudget) {
		t.Fatalf("a third stream: %v", err)
	}
	wantLogged(t, logged, "budget", 1)
	if _, err := callEcho(testContext(t), open[1], nil); err != nil {
		t.Fatalf("an open stream after it: %v", err)
	}
	if n := s.Stats().RPCStreams; n != 2 {
		t.Errorf("%d streams counted", n)
	}
}

// TestRequestsWaitForMemory: requests that together are larger than the server will hold are read one after the other.
func TestRequestsWaitForMemory(t *testing.T) {
	h := newTestHandler()
	s := startServer(t, ServerConfig{Handler: h, Limits: Limits{RequestMemory: 1200 << 10}})
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() {
			if got, err := callEcho(testContext(t), r, make([]byte, 900<<10)); err != nil || len(got) != 900<<10 {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	calls.Wait()
}

// TestTotalMemory: when the server as a whole holds too much, who holds more than a small share is cut, and the others are not.
func TestTotalMemory(t *testing.T) {
	all := &memory{limit: 10 << 20}
	limits := DefaultLimits()
	small, large := newAccount(all, limits), newAccount(all, limits)
	if !large.addReply(9 << 20) {
		t.Fatal("below every limit")
	}
	if !small.addReply(3 << 20) {
		t.Error("a small share was refused")
	}
	if large.addReply(1) {
		t.Error("more for the large one")
	}
	if err := large.acquireRequest(context.Background(), 1); !errors.Is(err, StreamErrBudget) {
		t.Errorf("a request of the large one: %v", err)
	}
	large.addReply(-9 << 20)
	if !small.addReply(2 << 20) {
		t.Error("refused after the other gave back")
	}
	if small.addReply(limits.ReplyMemory) {
		t.Error("above the connection's own limit")
	}
	small.addReply(-5 << 20)
	if n := all.used.Load(); n != 0 {
		t.Errorf("%d bytes left", n)
	}
}

func TestTooManyConnections(t *testing.T) {
	s := startServer(t, ServerConfig{Limits: Limits{MaxConnectionsPerSource: 2}})
	first := dial(t, s, ClientConfig{})
	dial(t, s, ClientConfig{})
	conf, _ := clientTLS(t)
	if _, err := Dial(testContext(t), s.Addr().String(), ClientConfig{TLS: conf}); !errors.Is(err, ErrRefused) {
		t.Fatalf("a third connection: %v", err)
	}
	if n := s.Stats().ConnectionsRefused; n == 0 {
		t.Error("no refusal counted")
	}
	first.Close()
	eventually(t, "the place is free again", func() bool { return s.Stats().Connections == 1 })
	dial(t, s, ClientConfig{})
}

// TestRetry: under load, a client must prove its address, which it does without its user's noticing.
func TestRetry(t *testing.T) {
	s := startServer(t, ServerConfig{Limits: Limits{RetryPerSource: 1}})
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	if n := s.Stats().Retries; n != 0 {
		t.Fatalf("%d Retries without load", n)
	}
	r2, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	if n := s.Stats().Retries; n == 0 {
		t.Fatal("no Retry")
	}
	for _, r := range []*RPC{r, r2} {
		if _, err := callEcho(testContext(t), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "no handshake is under way", func() bool { return s.Stats().Handshakes == 0 })
}

func TestSource(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64",
	} {
		if got := source(&net.UDPAddr{IP: net.ParseIP(ip)}); got != netip.MustParsePrefix(want) {
			t.Errorf("%s counts as %v, want %s", ip, got, want)
		}
	}
}
