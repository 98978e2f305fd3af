package quicrpc

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/schemas"
)

// frame returns a PushFrame with n envelopes of size bytes each.
func frame(t testing.TB, n, size int) *capnp.Message {
	t.Helper()
	m, seg := capnp.NewMultiSegmentMessage(nil)
	f, err := schemas.NewRootPushFrame(seg)
	if err != nil {
		t.Fatal(err)
	}
	list, err := f.NewDeliver(int32(n))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		list.At(i).SetSeq(uint64(i) + 1)
		if err := list.At(i).SetPayload(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func ack(t testing.TB, upTo uint64) *capnp.Message {
	t.Helper()
	m, seg := capnp.NewSingleSegmentMessage(nil)
	a, err := schemas.NewRootPushAck(seg)
	if err != nil {
		t.Fatal(err)
	}
	a.SetUpTo(upTo)
	return m
}

// pushPair returns both ends of a PUSH stream.
func pushPair(t testing.TB, h *testHandler, s *Server, cfg ClientConfig) (*ServerConn, *FrameStream, *FrameStream) {
	t.Helper()
	return pushStreams(t, h, dial(t, s, cfg))
}

func pushStreams(t testing.TB, h *testHandler, c *Conn) (*ServerConn, *FrameStream, *FrameStream) {
	t.Helper()
	ctx := testContext(t)
	r, _ := bootstrap(t, c)
	if _, err := callEcho(ctx, r, nil); err != nil {
		t.Fatal(err)
	}
	sc := <-h.conns
	up, err := sc.OpenPush(ctx)
	if err != nil {
		t.Fatal(err)
	}
	down, err := c.AcceptPush(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return sc, up, down
}

func TestPush(t *testing.T) {
	h := newTestHandler()
	s := startServer(t, ServerConfig{Handler: h})
	_, up, down := pushPair(t, h, s, ClientConfig{})
	up.SetUrgency(1)
	sizes := []int{0, 1, 256, 64 << 10, 1 << 20}
	go func() {
		for _, n := range sizes {
			if err := up.WriteMessage(frame(t, 1, n)); err != nil {
				t.Error(err)
			}
		}
		if err := up.CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	for _, n := range sizes {
		m, err := down.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		f, err := schemas.ReadRootPushFrame(m)
		if err != nil {
			t.Fatal(err)
		}
		list, err := f.Deliver()
		if err != nil {
			t.Fatal(err)
		}
		if p, err := list.At(0).Payload(); err != nil || len(p) != n {
			t.Fatalf("payload of %d bytes, %v, want %d", len(p), err, n)
		}
	}
	if _, err := down.ReadMessage(); err != io.EOF {
		t.Fatalf("after CloseWrite: %v", err)
	}
	if err := down.WriteMessage(ack(t, 5)); err != nil {
		t.Fatal(err)
	}
	m, err := up.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	if a, err := schemas.ReadRootPushAck(m); err != nil || a.UpTo() != 5 {
		t.Fatalf("acknowledged %d, %v", a.UpTo(), err)
	}
	if err := down.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := up.ReadMessage(); err != io.EOF {
		t.Fatalf("after the client's CloseWrite: %v", err)
	}
	<-up.Context().Done()
	<-down.Context().Done()
}

func TestPushCancel(t *testing.T) {
	h := newTestHandler()
	s := startServer(t, ServerConfig{Handler: h})
	_, up, down := pushPair(t, h, s, ClientConfig{})
	up.Cancel(StreamErrProtocol)
	var se *StreamError
	if _, err := down.ReadMessage(); !errors.Is(err, StreamErrProtocol) || !errors.As(err, &se) || !se.Remote {
		t.Fatalf("the client reads %v", err)
	}
	if _, err := up.ReadMessage(); !errors.As(err, &se) || se.Code != StreamErrProtocol || se.Remote {
		t.Fatalf("the server reads %v", err)
	}
	if err := up.WriteMessage(ack(t, 1)); !errors.As(err, &se) || se.Code != StreamErrProtocol || se.Remote {
		t.Fatalf("the server writes %v", err)
	}
	<-down.Context().Done()
}

func TestPushLimits(t *testing.T) {
	h := newTestHandler()
	log, logged := newLog()
	s := startServer(t, ServerConfig{Handler: h, Logger: log, Limits: Limits{MaxMessage: 8 << 10}})
	// The client sends a larger acknowledgement than the server reads.
	_, up, down := pushPair(t, h, s, ClientConfig{Limits: Limits{MaxAck: 1 << 20}})
	if err := up.WriteMessage(frame(t, 1, 8<<10)); !errors.Is(err, ErrMessageSize) {
		t.Fatalf("a frame above the limit: %v", err)
	}
	if err := up.WriteEncoded(make([]byte, 8<<10+8)); !errors.Is(err, ErrMessageSize) {
		t.Fatalf("encoded bytes above the limit: %v", err)
	}
	fits := frame(t, 1, 4<<10)
	encoded, err := fits.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(up.WriteMessage(fits), up.WriteEncoded(encoded)); err != nil {
		t.Fatalf("the stream does not go on after it: %v", err)
	}
	for range 2 {
		m, err := down.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := m.Marshal(); err != nil || !bytes.Equal(b, encoded) {
			t.Fatalf("%d bytes came, want %d: %v", len(b), len(encoded), err)
		}
	}
	if err := down.WriteMessage(frame(t, 1, 8<<10)); err != nil {
		t.Fatal(err)
	}
	if _, err := up.ReadMessage(); !errors.Is(err, StreamErrTooLarge) {
		t.Fatalf("a large acknowledgement: %v", err)
	}
	if _, err := down.ReadMessage(); !errors.Is(err, StreamErrTooLarge) {
		t.Fatalf("the client is told %v", err)
	}
	if n := len(logged.with("code", "tooLarge")); n != 1 {
		t.Fatalf("%d log records, want 1", n)
	}
}
