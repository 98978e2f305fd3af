package quicrpc

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// oneByOne makes h's SUBMIT streams answer each request once it is released, before the next one is read. To be called before h's server starts.
func oneByOne(h *testHandler) (began chan *SubmitStream, release chan struct{}) {
	began, release = make(chan *SubmitStream, 1024), make(chan struct{})
	h.submit = func(_ *ServerConn, s *SubmitStream) {
		for {
			m, held, err := s.ReadRequest()
			if err != nil {
				if err == io.EOF {
					_ = s.CloseWrite()
				}
				return
			}
			began <- s
			<-release
			_ = s.WriteMessage(m)
			s.Release(held)
		}
	}
	return began, release
}

// TestShutdownWithRequestUnderWay: it is answered; what came behind it, read into a buffer or not, has no effect, and the client learns why.
func TestShutdownWithRequestUnderWay(t *testing.T) {
	h := newTestHandler()
	began, release := oneByOne(h)
	s := startServer(t, ServerConfig{Handler: h})
	c := dial(t, s, ClientConfig{})
	p := openSubmit(t, c)
	first := request(0, minRequest)
	for n := 1; n < 5; n++ {
		first = append(first, request(n, minRequest)...) // in one packet
	}
	p.s.wmu.Lock()
	if err := p.s.write(first); err != nil {
		t.Fatal(err)
	}
	p.s.wmu.Unlock()
	stream := receive(t, "the first request", began)
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(testContext(t)) }()
	eventually(t, "the stream drains", stream.draining.Load)
	if err := p.WriteEncoded(request(5, 100<<10)); err != nil {
		t.Errorf("writing while the server waits: %v", err)
	}
	if len(down) != 0 {
		t.Fatal("Shutdown did not wait for the request")
	}
	close(release)
	wantAnswer(t, p, 0, minRequest)
	if _, err := p.ReadMessage(); err != io.EOF {
		t.Errorf("after the answer: %v", err)
	}
	start := time.Now()
	_ = p.Close()
	if err := receive(t, "Shutdown", down); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if took := time.Since(start); took >= finGrace {
		t.Errorf("Shutdown took %v after the client had closed its side", took)
	}
	await(t, c.Context().Done(), "the client's connection")
	if err := c.Err(); !errors.Is(err, ConnErrShuttingDown) {
		t.Errorf("the client's connection ended with %v", err)
	}
	if len(began) != 0 {
		t.Errorf("%d requests began after Shutdown", len(began))
	}
	if _, err := c.OpenSubmit(testContext(t)); !errors.Is(err, ConnErrShuttingDown) {
		t.Errorf("another stream: %v", err)
	}
	wantNothingHeld(t, s)
}

// TestShutdownOfSubmitAtRest: the client is told at once, also when only half of a request is here, which has no effect. Who then does not close its side
// holds Shutdown up no longer than for its grace.
func TestShutdownOfSubmitAtRest(t *testing.T) {
	for name, sent := range map[string][]byte{
		"idle": nil, "half a word": request(1, minRequest)[:4], "half a request": request(1, 100<<10)[:50<<10], "after a request": request(1, minRequest),
	} {
		for _, closes := range []bool{true, false} {
			h := newTestHandler()
			s := startServer(t, ServerConfig{Handler: h})
			q := dialRaw(t, s)
			st := rawStream(t, q, header4(sent...))
			eventually(t, name+": the stream is served", func() bool { return s.Stats().RPCStreams == 1 })
			answer := len(sent)
			if name != "after a request" {
				answer = 0
			}
			if _, err := io.ReadFull(st, make([]byte, answer)); err != nil {
				t.Fatalf("%s: answer: %v", name, err)
			}
			if len(sent) > minRequest {
				eventually(t, name+" is here", func() bool { return s.Stats().MemoryHeld > 0 })
			}
			start := time.Now()
			down := make(chan error, 1)
			go func() { down <- s.Shutdown(testContext(t)) }()
			if rest, err := io.ReadAll(st); err != nil || len(rest) != 0 {
				t.Errorf("%s: the client reads %d bytes, %v", name, len(rest), err)
			}
			if closes {
				st.CancelWrite(quic.StreamErrorCode(StreamErrNone))
			}
			if err := receive(t, "Shutdown", down); err != nil {
				t.Errorf("%s: Shutdown: %v", name, err)
			}
			if took := time.Since(start); closes != (took < finGrace) {
				t.Errorf("%s: the client closes: %v, Shutdown took %v", name, closes, took)
			}
			if n := h.closed.Load(); n != 1 {
				t.Errorf("%s: Closed was called %d times", name, n)
			}
			wantNothingHeld(t, s)
		}
	}
}

// TestShutdownOfSubmitWithoutEnd: a request that is not answered before Shutdown's context ends loses its connection.
func TestShutdownOfSubmitWithoutEnd(t *testing.T) {
	h := newTestHandler()
	began, release := oneByOne(h)
	s := startServer(t, ServerConfig{Handler: h})
	p := openSubmit(t, dial(t, s, ClientConfig{}))
	if err := p.WriteEncoded(request(1, minRequest)); err != nil {
		t.Fatal(err)
	}
	receive(t, "the request", began)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := p.ReadMessage(); !errors.Is(err, ConnErrShuttingDown) {
		t.Errorf("the client reads %v", err)
	}
	close(release)
}

// TestShutdownWhileRequestWaits: a request that waits for room, behind those under way, holds nothing up.
func TestShutdownWhileRequestWaits(t *testing.T) {
	s, _, p, _, ended, two := heldTwo(t, func(s *SubmitStream, _ error) { _ = s.CloseWrite() })
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(testContext(t)) }()
	eventually(t, "the stream drains", two[0].s.draining.Load)
	for _, r := range two {
		r.s.Release(r.held)
	}
	if err := receive(t, "the end", ended); err != io.EOF {
		t.Errorf("ended with %v", err)
	}
	if _, err := p.ReadMessage(); err != io.EOF {
		t.Errorf("the client reads %v", err)
	}
	_ = p.Close()
	if err := receive(t, "Shutdown", down); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	wantNothingHeld(t, s)
}
