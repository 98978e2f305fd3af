package quicrpc

import (
	"errors"
	"io"
	"testing"
	"time"
)

// taken is a request that a handler has read and not released.
type taken struct {
	s    *SubmitStream
	n    int
	held int64
}

// takeRequests makes h's SUBMIT streams pass their requests on, unanswered and held, and the error that ends each; the stream then ends with what
// finish does. To be called before h's server starts.
func takeRequests(h *testHandler, finish func(*SubmitStream, error)) (requests chan taken, ended chan error) {
	requests, ended = make(chan taken, 1024), make(chan error, 64)
	h.submit = func(_ *ServerConn, s *SubmitStream) {
		for {
			m, held, err := s.ReadRequest()
			if err != nil {
				ended <- err
				if finish != nil {
					finish(s, err)
				}
				return
			}
			n, _, err := numberOf(m)
			if err != nil {
				panic(err)
			}
			requests <- taken{s, n, held}
		}
	}
	return requests, ended
}

func receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-testContext(t).Done():
		t.Fatalf("%s did not come in %v", what, testTimeout)
		panic("unreachable")
	}
}

const largeRequest = 500 << 10

// heldTwo starts a server with room for two large requests, sends four on a stream, and returns once two are held and the third waits for room.
func heldTwo(t *testing.T, finish func(*SubmitStream, error)) (*Server, *Conn, *FrameStream, chan taken, chan error, []taken) {
	t.Helper()
	h := newTestHandler()
	requests, ended := takeRequests(h, finish)
	s := startServer(t, ServerConfig{Handler: h, Limits: Limits{RequestMemory: 1200 << 10}})
	c := dial(t, s, ClientConfig{})
	p := openSubmit(t, c)
	sent := make(chan struct{})
	t.Cleanup(func() { p.Cancel(StreamErrNone); <-sent })
	go func() {
		defer close(sent)
		for n := range 4 {
			if p.WriteEncoded(request(n, largeRequest)) != nil {
				return
			}
		}
	}()
	two := []taken{receive(t, "a request", requests), receive(t, "a request", requests)}
	if got, want := s.Stats().MemoryHeld, int64(2*(largeRequest+messageOverhead)); got != want {
		t.Fatalf("%d bytes are held, want %d", got, want)
	}
	select {
	case r := <-requests:
		t.Fatalf("request %d came although there is no room for it", r.n)
	case <-time.After(100 * time.Millisecond):
	}
	if st := s.Stats(); st.Calls != 2 {
		t.Fatalf("%d requests are under way", st.Calls)
	}
	return s, c, p, requests, ended, two
}

// TestSubmitWaitsForMemory: a request is read once those before it leave room for it.
func TestSubmitWaitsForMemory(t *testing.T) {
	s, _, p, requests, ended, two := heldTwo(t, func(s *SubmitStream, _ error) { _ = s.CloseWrite() })
	all := two
	for n := 2; n < 4; n++ {
		s, r := all[n-2].s, all[n-2]
		s.Release(r.held)
		all = append(all, receive(t, "the next request", requests))
	}
	for n, r := range all {
		if r.n != n {
			t.Errorf("request %d in place of %d", r.n, n)
		}
	}
	for _, r := range all[2:] {
		r.s.Release(r.held)
	}
	if err := p.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "the end", ended); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
	if _, err := p.ReadMessage(); err != io.EOF {
		t.Errorf("the client reads %v", err)
	}
	wantNothingHeld(t, s)
}

// TestSubmitEndsWhileWaiting: a stream that ends while a request waits for room ends at once, and what is held is given back by Release alone.
func TestSubmitEndsWhileWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*Conn, *FrameStream, *SubmitStream)
		want func(error) bool
	}{
		"reset by the client": {
			func(_ *Conn, p *FrameStream, _ *SubmitStream) { p.Cancel(StreamErrInternal) },
			func(err error) bool { return errors.Is(err, StreamErrInternal) },
		},
		"connection closed": {
			func(c *Conn, _ *FrameStream, _ *SubmitStream) { c.Close() },
			func(err error) bool { var ce *ConnError; return errors.As(err, &ce) && ce.Remote },
		},
		"cancelled here": {
			func(_ *Conn, _ *FrameStream, s *SubmitStream) { s.Cancel(StreamErrProtocol) },
			func(err error) bool { return errors.Is(err, StreamErrProtocol) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, conn, p, _, ended, two := heldTwo(t, nil)
			c.end(conn, p, two[0].s)
			if err := receive(t, "the end", ended); !c.want(err) {
				t.Errorf("ended with %T %v", err, err)
			}
			if got, want := s.Stats().MemoryHeld, int64(2*(largeRequest+messageOverhead)); got != want {
				t.Errorf("%d bytes are held, want %d", got, want)
			}
			for _, r := range two {
				r.s.Release(r.held)
			}
			wantNothingHeld(t, s)
		})
	}
}

// TestSubmitResetInsideMessage: the memory of a request that does not arrive whole is given back.
func TestSubmitResetInsideMessage(t *testing.T) {
	h := newTestHandler()
	_, ended := takeRequests(h, nil)
	s := startServer(t, ServerConfig{Handler: h})
	q := dialRaw(t, s)
	for _, sent := range []int{minRequest, firstChunk + 100, 300 << 10} {
		st := rawStream(t, q, header4(request(1, largeRequest)[:sent]...))
		eventually(t, "the request is reserved", func() bool { return s.Stats().MemoryHeld == largeRequest+messageOverhead })
		st.CancelWrite(5)
		if err := receive(t, "the end", ended); !errors.Is(err, StreamErrorCode(5)) {
			t.Errorf("ended with %v", err)
		}
		wantNothingHeld(t, s)
	}
	st := rawStream(t, q, header4(request(1, largeRequest)[:1000]...))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "the end", ended); !errors.Is(err, StreamErrProtocol) {
		t.Errorf("ended inside a message: %v", err)
	}
	wantNothingHeld(t, s)
}
