package quicrpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"
)

// minRequest is the size of the smallest request that has a number.
const minRequest = 3 * wordBytes

// request is a message of size bytes with framing, which says n and is otherwise no struct at all.
func request(n, size int) []byte {
	b := make([]byte, size)
	binary.LittleEndian.PutUint32(b[4:], uint32(size/wordBytes-1))
	binary.LittleEndian.PutUint64(b[2*wordBytes:], uint64(n))
	return b
}

// numberOf is what request was given.
func numberOf(m *capnp.Message) (n, size int, err error) {
	s, err := m.Segment(0)
	if err != nil || len(s.Data()) < minRequest-wordBytes {
		return 0, 0, fmt.Errorf("not a request: %v", err)
	}
	return int(binary.LittleEndian.Uint64(s.Data()[wordBytes:])), len(s.Data()) + wordBytes, nil
}

func openSubmit(t testing.TB, c *Conn) *FrameStream {
	t.Helper()
	p, err := c.OpenSubmit(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// wantAnswer reads the echo of a request.
func wantAnswer(t testing.TB, p *FrameStream, n, size int) {
	t.Helper()
	m, err := p.ReadMessage()
	if err != nil {
		t.Fatalf("answer %d: %v", n, err)
	}
	if got, length, err := numberOf(m); err != nil || got != n || length != size {
		t.Fatalf("answer %d of %d bytes in place of %d of %d, %v", got, length, n, size, err)
	}
}

// wantNothingHeld fails unless the server soon holds nothing for its peers.
func wantNothingHeld(t testing.TB, s *Server) {
	t.Helper()
	eventually(t, "nothing is held", func() bool { st := s.Stats(); return st.MemoryHeld == 0 && st.Calls == 0 })
}

// header4 returns the header of a SUBMIT stream, followed by b.
func header4(b ...byte) []byte { return append(appendHeader(nil, StreamSubmit), b...) }

// TestSubmit: requests are answered in order, of every size, while many are under way; then both sides end in good order.
func TestSubmit(t *testing.T) {
	s := startServer(t, ServerConfig{})
	p := openSubmit(t, dial(t, s, ClientConfig{}))
	limit := s.cfg.Limits.MaxMessage
	sizes := []int{minRequest, readBuffer - 2, readBuffer + 2, firstChunk, 64 << 10, copyLimit + 8, limit - 8, limit, limit / 2, minRequest}
	for i := range sizes {
		sizes[i] = sizes[i] / wordBytes * wordBytes
	}
	const requests = 600
	size := func(n int) int {
		if n%20 == 0 {
			return sizes[n/20%len(sizes)]
		}
		return minRequest + n%13*wordBytes
	}
	go func() {
		for n := range requests {
			if err := p.WriteEncoded(request(n, size(n))); err != nil {
				t.Error(err)
			}
		}
		if err := p.CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	for n := range requests {
		wantAnswer(t, p, n, size(n))
	}
	if _, err := p.ReadMessage(); err != io.EOF {
		t.Fatalf("after the last answer: %v", err)
	}
	await(t, p.Context().Done(), "the stream")
	eventually(t, "the server's side has ended", func() bool { return s.Stats().RPCStreams == 0 })
	wantNothingHeld(t, s)
	if st := s.Stats(); st.CallsTotal != requests || st.RPCStreamsTotal != 1 || len(st.Cut) != 0 {
		t.Errorf("%d calls on %d streams counted, %v cut", st.CallsTotal, st.RPCStreamsTotal, st.Cut)
	}
}

// TestSubmitTooLarge: the client refuses to send what is too large, and its stream goes on; a peer that announces it is cut.
func TestSubmitTooLarge(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log})
	p := openSubmit(t, dial(t, s, ClientConfig{}))
	large := request(1, s.cfg.Limits.MaxMessage+wordBytes)
	if err := p.WriteEncoded(large); !errors.Is(err, ErrMessageSize) {
		t.Errorf("encoded: %v", err)
	}
	if err := p.WriteMessage(&capnp.Message{Arena: capnp.SingleSegment(large[wordBytes:])}); !errors.Is(err, ErrMessageSize) {
		t.Errorf("as a message: %v", err)
	}
	if err := p.WriteEncoded(request(2, minRequest)); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, p, 2, minRequest)

	st := rawStream(t, dialRaw(t, s), header4(large[:minRequest]...))
	if code := cutCode(t, st); code != StreamErrTooLarge {
		t.Errorf("cut with %v", code)
	}
	wantLogged(t, logged, "tooLarge", 1)
	wantNothingHeld(t, s)
}

// TestSubmitStalls: who does not read its answers, or begins a request and does not go on, is cut, and nothing stays behind.
func TestSubmitStalls(t *testing.T) {
	for code, misbehave := range map[StreamErrorCode]func(write func([]byte) error){
		StreamErrSlowReader: func(write func([]byte) error) {
			for n := 0; write(request(n, 256<<10)) == nil; n++ {
			}
		},
		StreamErrSlowWriter: func(write func([]byte) error) { _ = write(request(1, 20<<10)[:17<<10]) },
	} {
		t.Run(code.String(), func(t *testing.T) {
			log, logged := newLog()
			s := startServer(t, ServerConfig{Logger: log, Limits: Limits{StallTimeout: 500 * time.Millisecond}})
			st := rawStream(t, dialRaw(t, s), header4())
			_ = st.SetWriteDeadline(time.Now().Add(testTimeout))
			misbehave(func(b []byte) error { _, err := st.Write(b); return err })
			await(t, st.Context().Done(), "the stream") // the server reads it no more
			if got := cutCode(t, st); got != code {
				t.Errorf("cut with %v", got)
			}
			wantLogged(t, logged, code.String(), 1)
			wantNothingHeld(t, s)
		})
	}
}

// TestTooManySubmitStreams: they share the places of RPC streams, and give them back.
func TestTooManySubmitStreams(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log})
	c := dial(t, s, ClientConfig{})
	var open []*FrameStream
	answered := func(p *FrameStream) error {
		if err := p.WriteEncoded(request(7, minRequest)); err != nil {
			return err
		}
		_, err := p.ReadMessage()
		return err
	}
	r, _ := bootstrap(t, c)
	if _, err := callEcho(testContext(t), r, nil); err != nil {
		t.Fatal(err)
	}
	for range s.cfg.Limits.MaxRPCStreams - 1 {
		p := openSubmit(t, c)
		if err := answered(p); err != nil {
			t.Fatal(err)
		}
		open = append(open, p)
	}
	if err := answered(openSubmit(t, c)); !errors.Is(err, StreamErrBudget) {
		t.Errorf("a SUBMIT stream too many: %v", err)
	}
	more, _ := bootstrap(t, c)
	if _, err := callEcho(testContext(t), more, nil); !errors.Is(err, StreamErrBudget) {
		t.Errorf("an RPC stream too many: %v", err)
	}
	wantLogged(t, logged, "budget", 2)
	_ = open[0].Close()
	eventually(t, "a place is free", func() bool { return s.Stats().RPCStreams == s.cfg.Limits.MaxRPCStreams-1 })
	if err := errors.Join(answered(open[1]), answered(openSubmit(t, c))); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestSubmitOverLost: whatever ends the connection, both sides of the stream learn of it in this package's errors.
func TestSubmitOverLost(t *testing.T) {
	for name, end := range map[string]func(*Conn, *ServerConn){
		"by the client": func(c *Conn, _ *ServerConn) { c.Close() },
		"by the server": func(_ *Conn, sc *ServerConn) { sc.Close(ConnErrInternal, "enough") },
	} {
		for range 20 {
			h := newTestHandler()
			ended := make(chan error, 1)
			h.submit = func(_ *ServerConn, s *SubmitStream) {
				_, _, err := s.ReadRequest()
				ended <- err
			}
			s := startServer(t, ServerConfig{Handler: h})
			c := dial(t, s, ClientConfig{})
			p := openSubmit(t, c)
			read := make(chan error, 1)
			go func() { _, err := p.ReadMessage(); read <- err }()
			end(c, <-h.conns)
			var ce *ConnError
			if err := <-read; !errors.As(err, &ce) && !errors.Is(err, ErrClosed) {
				t.Fatalf("%s: the client reads %T %v", name, err, err)
			}
			if err := <-ended; !errors.As(err, &ce) && !errors.Is(err, ErrClosed) {
				t.Fatalf("%s: the server reads %T %v", name, err, err)
			}
			if err := p.WriteEncoded(request(1, minRequest)); !errors.As(err, &ce) && !errors.Is(err, ErrClosed) {
				t.Fatalf("%s: the client writes %T %v", name, err, err)
			}
		}
	}
}
