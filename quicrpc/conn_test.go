package quicrpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"quicnprotochat/schemas"
)

func TestCallAndState(t *testing.T) {
	h := newTestHandler()
	s := startServer(t, ServerConfig{Handler: h})
	conf, peer := clientTLS(t)
	c := dial(t, s, ClientConfig{TLS: conf})
	r, _ := bootstrap(t, c)
	for _, n := range []int{0, 1, 1000, 1 << 20} {
		want := bytes.Repeat([]byte{7}, n)
		got, err := callEcho(testContext(t), r, want)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %d came back, %v", n, len(got), err)
		}
	}
	if sc := <-h.conns; sc.Peer() != peer {
		t.Fatal("the server sees another peer")
	}
	st := c.State()
	if st.ALPN != ALPN || st.TLS.Version != tls.VersionTLS13 || st.QUICVersion != "v1" || st.Group != "X25519MLKEM768" || st.Resumed || st.Used0RTT {
		t.Fatalf("state %+v", st)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := callEcho(testContext(t), r, nil); !errors.Is(err, ErrClosed) {
		t.Fatalf("a call after Close: %v", err)
	}
}

func TestRPCErrors(t *testing.T) {
	h := newTestHandler()
	var answer atomic.Pointer[error]
	h.echo.call = func(context.Context, schemas.AuthenticationService_fetchKeyPackage) error { return *answer.Load() }
	log, logged := newLog()
	s := startServer(t, ServerConfig{Handler: h, Logger: log})
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	for _, test := range []struct {
		answer, want error
		text         string
	}{
		{Errorf(CodeNotAuthorized, "key %d is not yours", 5), ErrNotAuthorized, "[notAuthorized] key 5 is not yours"},
		{Errorf(CodeRateLimited, ""), ErrRateLimited, "[rateLimited]"},
		{errors.New("secret path /x"), ErrInternal, "[internal] internal error"},
		{context.DeadlineExceeded, ErrUnavailable, "[unavailable] the call took too long or was cancelled"},
	} {
		answer.Store(&test.answer)
		err := callFetch(testContext(t), r)
		if !errors.Is(err, test.want) || err.Error() != test.text {
			t.Errorf("%v arrived as %v, want %q", test.answer, err, test.text)
		}
	}
	if n := len(logged.with("msg", "call failed")); n != 1 {
		t.Errorf("%d records of unexpected errors, want 1", n)
	}
}

func TestUnknownMethod(t *testing.T) {
	s := startServer(t, ServerConfig{})
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	// The service behind the stream is another one.
	f, release := schemas.DeliveryService(r.Client()).Fetch(testContext(t), nil)
	defer release()
	if _, err := f.Struct(); !errors.Is(r.Err(err), ErrUnimplemented) {
		t.Fatalf("got %v", r.Err(err))
	}
}

// TestMessageSizes: a call and a reply above the limit fail alone; the stream goes on.
func TestMessageSizes(t *testing.T) {
	s := startServer(t, ServerConfig{Limits: Limits{MaxMessage: 64 << 10}})
	r, _ := bootstrap(t, dial(t, s, ClientConfig{Limits: Limits{MaxMessage: 128 << 10}}))
	if _, err := callEcho(testContext(t), r, make([]byte, 200<<10)); !errors.Is(err, ErrMessageSize) {
		t.Errorf("a call above the client's limit: %v", err)
	}
	if _, err := callEcho(testContext(t), r, make([]byte, 10)); err != nil {
		t.Errorf("the call after it: %v", err)
	}
	r, _ = bootstrap(t, dial(t, s, ClientConfig{Limits: Limits{MaxMessage: 128 << 10}}))
	if _, err := callEcho(testContext(t), r, make([]byte, 100<<10)); !errors.Is(err, StreamErrTooLarge) {
		t.Errorf("a call above the server's limit: %v", err)
	}
}

// TestReplyTooLarge: a service's reply that its caller could not read becomes an exception.
func TestReplyTooLarge(t *testing.T) {
	h := newTestHandler()
	h.echo.call = func(_ context.Context, c schemas.AuthenticationService_fetchKeyPackage) error {
		r, err := c.AllocResults()
		if err != nil {
			return err
		}
		return r.SetPackage(make([]byte, 2<<20))
	}
	s := startServer(t, ServerConfig{Handler: h})
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	if err := callFetch(testContext(t), r); !errors.Is(err, ErrInternal) || err.Error() != "[internal] the reply is too large" {
		t.Errorf("got %v", err)
	}
	if _, err := callEcho(testContext(t), r, nil); err != nil {
		t.Errorf("the call after it: %v", err)
	}
}

// TestCallAfterClose: a call after Close says so, also when the server's end of the stream is seen before ours.
func TestCallAfterClose(t *testing.T) {
	s := startServer(t, ServerConfig{})
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	_ = r.t.fail(io.EOF)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := callEcho(testContext(t), r, nil); !errors.Is(err, ErrClosed) {
		t.Fatalf("a call after Close: %v", err)
	}
}
