package quicrpc

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestShutdownWithCallUnderWay: the call is answered, what comes after it has no effect, everybody learns why.
func TestShutdownWithCallUnderWay(t *testing.T) {
	h := newTestHandler()
	began, release := holdCalls(h)
	s := startServer(t, ServerConfig{Handler: h})
	c := dial(t, s, ClientConfig{})
	_, up, down := pushStreams(t, h, c)
	r, _ := bootstrap(t, c)
	under := make(chan error, 1)
	go func() { under <- callFetch(testContext(t), r) }()
	<-began

	down2 := make(chan error, 1)
	go func() { down2 <- s.Shutdown(testContext(t)) }()
	if _, err := down.ReadMessage(); !errors.Is(err, StreamErrShuttingDown) {
		t.Errorf("the PUSH stream ends with %v", err)
	}
	if err := context.Cause(up.Context()); !errors.Is(err, StreamErrShuttingDown) {
		t.Errorf("at the server, with %v", err)
	}
	late := make(chan error, 1)
	go func() { late <- callFetch(testContext(t), r) }()
	conf, _ := clientTLS(t)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, s.Addr().String(), ClientConfig{TLS: conf}); err == nil {
		t.Error("a new connection while shutting down")
	}
	select {
	case err := <-under:
		t.Fatalf("the call ended before it was released: %v", err)
	default:
	}
	close(release)
	if err := <-under; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := <-late; err == nil {
		t.Error("a call after shutdown began was answered")
	}
	if err := <-down2; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	await(t, c.Context().Done(), "the client's connection")
	if err := c.Err(); !errors.Is(err, ConnErrShuttingDown) {
		t.Errorf("the client's connection ended with %v", err)
	}
	if len(began) != 0 {
		t.Error("the late call began")
	}
	if n := h.closed.Load(); n != 1 {
		t.Errorf("Closed was called %d times, want once", n)
	}
}

// TestShutdownDoesNotWaitForever: a call that takes longer than Shutdown's context loses its own.
func TestShutdownDoesNotWaitForever(t *testing.T) {
	h := newTestHandler()
	began, _ := holdCalls(h)
	s := startServer(t, ServerConfig{Handler: h})
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	under := make(chan error, 1)
	go func() { under <- callFetch(testContext(t), r) }()
	<-began
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-under; !errors.Is(err, ConnErrShuttingDown) {
		t.Errorf("the call ended with %v", err)
	}
}

// TestServeEndsWithItsContext closes everything at once.
func TestServeEndsWithItsContext(t *testing.T) {
	h := newTestHandler()
	began, _ := holdCalls(h)
	s, err := Listen("127.0.0.1:0", ServerConfig{TLS: serverTLS(t), Handler: h})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	under := make(chan error, 1)
	go func() { under <- callFetch(testContext(t), r) }()
	<-began
	why := errors.New("enough")
	cancel(why)
	if err := <-served; !errors.Is(err, why) {
		t.Errorf("Serve: %v", err)
	}
	if err := <-under; !errors.Is(err, ConnErrShuttingDown) {
		t.Errorf("the call ended with %v", err)
	}
	if n := h.closed.Load(); n != 1 {
		t.Errorf("Closed was called %d times", n)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown after it: %v", err)
	}
}

// TestCallDeadline: a served call has a deadline of the server's.
func TestCallDeadline(t *testing.T) {
	h := newTestHandler()
	holdCalls(h)
	s := startServer(t, ServerConfig{Handler: h, Limits: Limits{CallTimeout: 50 * time.Millisecond}})
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	if err := callFetch(testContext(t), r); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	eventually(t, "no call is under way", func() bool { return s.Stats().Calls == 0 })
}
