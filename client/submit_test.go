package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/certs"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

const submitTimeout = 30 * time.Second

// submitServer serves SUBMIT streams as a test says, and nothing else.
type submitServer struct {
	serve func(*quicrpc.SubmitStream)
	opens atomic.Int32
}

func (h *submitServer) Bootstrap(*quicrpc.ServerConn, quicrpc.StreamType) (capnp.Client, error) {
	return capnp.Client{}, errors.New("no service")
}

func (h *submitServer) Submit(_ *quicrpc.ServerConn, s *quicrpc.SubmitStream) {
	h.opens.Add(1)
	h.serve(s)
}

func (h *submitServer) Closed(*quicrpc.ServerConn) {}

// submitTo starts h and connects to it.
func submitTo(t *testing.T, h *submitServer, idle time.Duration, limits *quicrpc.Limits) *Session {
	t.Helper()
	keys := [2]tls.Certificate{}
	own, err := certs.NewIdentityKey()
	if err == nil {
		keys[0], err = certs.ClientCertificate(own)
	}
	if err != nil {
		t.Fatal(err)
	}
	server, err := quicrpc.Listen("127.0.0.1:0", quicrpc.ServerConfig{
		TLS: &tls.Config{Certificates: keys[:1], ClientAuth: tls.RequireAnyClientCert}, Handler: h,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	s, err := Dial(t.Context(), Config{Addr: server.Addr().String(), Key: own, IdleStream: idle, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// answerWith writes one answer with n outcomes from seq on.
func answerWith(s *quicrpc.SubmitStream, n int, seq uint64) error {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return err
	}
	a, err := schemas.NewRootSubmitAnswer(seg)
	if err != nil {
		return err
	}
	list, err := a.NewOutcomes(int32(n))
	if err != nil {
		return err
	}
	for i := range n {
		list.At(i).SetStatus(schemas.EnqueueStatus_stored)
		list.At(i).SetSeq(seq + uint64(i))
	}
	return s.WriteMessage(m)
}

// requestOf reads a frame: how many outcomes it wants, and the number in its first payload.
func requestOf(s *quicrpc.SubmitStream) (n int, number uint64, err error) {
	m, held, err := s.ReadRequest()
	if err != nil {
		return 0, 0, err
	}
	defer s.Release(held)
	f, err := schemas.ReadRootSubmitFrame(m)
	if err != nil {
		return 0, 0, err
	}
	list, err := f.Posts()
	if err != nil {
		return 0, 0, err
	}
	p, err := list.At(0).Payload()
	if err == nil {
		_, err = fmt.Sscan(string(p[:min(len(p), 20)]), &number)
	}
	return list.Len(), number, err
}

// echoSeqs answers each post with the number in its payload.
func echoSeqs(s *quicrpc.SubmitStream) {
	for {
		n, number, err := requestOf(s)
		if err != nil {
			_ = s.CloseWrite()
			return
		}
		if answerWith(s, n, number) != nil {
			return
		}
	}
}

func numbered(n uint64) []GroupPost {
	return []GroupPost{{Group: "0123456789abcdef", Payload: fmt.Appendf(nil, "%20d", n)}}
}

// wantSeq fails unless a post of n is answered with n.
func wantSeq(t *testing.T, s *Session, n uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), submitTimeout)
	defer cancel()
	if out, err := s.Post(ctx, numbered(n)); err != nil || len(out) != 1 || out[0].Seq != n {
		t.Errorf("post %d: %v, %v", n, out, err)
	}
}

// TestSubmitConcurrently: each of many goroutines gets its own answers, over one stream; calls that are given up, at any point, disturb none of the others.
func TestSubmitConcurrently(t *testing.T) {
	h := &submitServer{serve: echoSeqs}
	s := submitTo(t, h, time.Hour, nil)
	var all sync.WaitGroup
	for g := range uint64(16) {
		all.Go(func() {
			for i := range uint64(100) {
				n := g<<32 | i
				switch i % 10 {
				case 3: // given up before
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					if _, err := s.Post(ctx, numbered(n)); !errors.Is(err, context.Canceled) {
						t.Errorf("given up before: %v", err)
					}
				case 7: // given up while it waits
					ctx, cancel := context.WithCancel(t.Context())
					wait, err := s.StartPost(ctx, numbered(n))
					cancel()
					if err == nil {
						_, err = wait()
					}
					if err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("given up: %v", err)
					}
				default:
					wantSeq(t, s, n)
				}
			}
		})
	}
	all.Wait()
	if n := h.opens.Load(); n != 1 {
		t.Errorf("%d streams were opened", n)
	}
}

// TestSubmitGivenUpInLine: a call that is given up while it waits for its turn to be sent gives its place back.
func TestSubmitGivenUpInLine(t *testing.T) {
	s := submitTo(t, &submitServer{serve: echoSeqs}, time.Hour, nil)
	wantSeq(t, s, 1)
	p := s.shared[quicrpc.StreamSubmit].stream.(*submitter)
	p.sending <- struct{}{}
	for range 2 * maxUnanswered {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := s.Post(ctx, numbered(2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		cancel()
	}
	if n := len(p.room); n != 0 {
		t.Errorf("%d places are taken by calls that were given up", n)
	}
	<-p.sending
	wantSeq(t, s, 3)
}

// TestSubmitTooLarge: nothing of it is sent, and the stream goes on; so it does when the stream ends meanwhile.
func TestSubmitTooLarge(t *testing.T) {
	h := &submitServer{serve: echoSeqs}
	s := submitTo(t, h, time.Hour, nil)
	large := numbered(1)
	large[0].Payload = make([]byte, 2<<20)
	for n := range uint64(maxUnanswered + 2) {
		if _, err := s.Post(t.Context(), large); !errors.Is(err, quicrpc.ErrMessageSize) {
			t.Fatal(err)
		}
		wantSeq(t, s, n)
	}
	if n := h.opens.Load(); n != 1 {
		t.Errorf("%d streams were opened", n)
	}
	var all sync.WaitGroup
	defer all.Wait()
	for range 200 { // the stream ends at any point of it
		p := s.shared[quicrpc.StreamSubmit].stream.(*submitter)
		all.Go(func() { _, _ = s.Post(t.Context(), large) })
		p.stream.Cancel(quicrpc.StreamErrNone)
		wantAgain(t, s, 5)
	}
}

// wantAgain is wantSeq, repeated while the stream that was just lost is not known to be.
func wantAgain(t *testing.T, s *Session, n uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), submitTimeout)
	defer cancel()
	for {
		out, err := s.Post(ctx, numbered(n))
		if err == nil && out[0].Seq == n {
			return
		}
		if err == nil || !transient(err) || ctx.Err() != nil {
			t.Fatalf("post %d: %v, %v", n, out, err)
		}
	}
}

// TestSubmitWrongAnswers: what the protocol does not allow is said to be so, and the next call works.
func TestSubmitWrongAnswers(t *testing.T) {
	for name, answer := range map[string]func(*quicrpc.SubmitStream, int) error{
		"too few":      func(s *quicrpc.SubmitStream, n int) error { return answerWith(s, n-1, 1) },
		"too many":     func(s *quicrpc.SubmitStream, n int) error { return answerWith(s, n+1, 1) },
		"unknown kind": func(s *quicrpc.SubmitStream, _ int) error { return s.WriteMessage(answerOfKind(9)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := &submitServer{}
			h.serve = func(s *quicrpc.SubmitStream) {
				if n, _, err := requestOf(s); err == nil {
					_ = answer(s, n)
				}
				echoSeqs(s)
			}
			s := submitTo(t, h, time.Hour, nil)
			if _, err := s.Post(t.Context(), numbered(1)); !errors.Is(err, ErrProtocol) || transient(err) {
				t.Errorf("got %v", err)
			}
			wantSeq(t, s, 2)
		})
	}
}

func answerOfKind(kind uint16) *capnp.Message {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		panic(err)
	}
	a, err := schemas.NewRootSubmitAnswer(seg)
	if err != nil {
		panic(err)
	}
	capnp.Struct(a).SetUint16(0, kind)
	return m
}
