package quicrpc

import (
	"errors"
	"testing"
	"time"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"

	"quicnprotochat/schemas"
)

// echoCall is a raw call of uploadKeyPackage with n bytes, so that n come back.
func echoCall(q uint32, n int) rpccp.Message {
	return callMsg(q, theBootstrap, func(c rpccp.Call) {
		p, err := c.NewParams()
		must(err)
		args, err := schemas.NewAuthenticationService_uploadKeyPackage_Params(p.Segment())
		must(err)
		must(args.SetPackage(make([]byte, n)))
		must(p.SetContent(args.ToPtr()))
	})
}

// TestRPCPeerThatNeverReads: replies pile up behind a client that calls and does not read. It is cut when it has taken nothing for the
// stall timeout.
func TestRPCPeerThatNeverReads(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log, Limits: Limits{StallTimeout: 2 * time.Second, MaxBadStreams: 100}})
	siege(t, s, 128<<20, func() {
		q := dialRaw(t, s)
		st := rawStream(t, q, header(wire(bootstrapMsg(0))...))
		for i := uint32(1); i <= 200; i++ {
			if _, err := st.Write(wire(echoCall(i, 64<<10))); err != nil {
				break // cut already
			}
		}
		<-st.Context().Done()
		if code := cutCode(t, st); code != StreamErrSlowReader {
			t.Errorf("cut with %v", code)
		}
	})
	wantLogged(t, logged, "slowReader", 1)
}

// TestUnreadRepliesBudget: the same client is cut earlier if its replies take too much memory.
func TestUnreadRepliesBudget(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log, Limits: Limits{ReplyMemory: 2 << 20, StallTimeout: testTimeout}})
	siege(t, s, 128<<20, func() {
		q := dialRaw(t, s)
		st := rawStream(t, q, header(wire(bootstrapMsg(0))...))
		for i := uint32(1); i <= 200; i++ {
			if _, err := st.Write(wire(echoCall(i, 64<<10))); err != nil {
				break
			}
		}
		<-st.Context().Done()
		if code := cutCode(t, st); code != StreamErrBudget {
			t.Errorf("cut with %v", code)
		}
	})
	wantLogged(t, logged, "budget", 1)
}

// TestUnfinishedCalls: a client that reads its replies, but never finishes a call, makes the server keep them.
func TestUnfinishedCalls(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log, Limits: Limits{MaxCalls: 1000, MaxUnfinished: 500, ReplyMemory: 64 << 20}})
	st := rawStream(t, dialRaw(t, s), header(wire(bootstrapMsg(0))...))
	go func() {
		for i := uint32(1); i <= 1501; i++ { // at most 1,000 of them are under way when the last one comes, so 500 are unfinished
			if _, err := st.Write(wire(echoCall(i, 100))); err != nil {
				return
			}
		}
	}()
	if code := cutCode(t, st); code != StreamErrBudget {
		t.Errorf("cut with %v", code)
	}
	wantLogged(t, logged, "budget", 1)
}

// TestPushPeerThatNeverReads: the stream is cut, the other streams of the same connection go on.
func TestPushPeerThatNeverReads(t *testing.T) {
	h := newTestHandler()
	log, logged := newLog()
	s := startServer(t, ServerConfig{Handler: h, Logger: log, Limits: Limits{StallTimeout: 2 * time.Second}})
	c := dial(t, s, ClientConfig{Limits: Limits{StreamWindow: 64 << 10, MaxStreamWindow: 64 << 10}})
	sc, stuck, unread := pushStreams(t, h, c)
	siege(t, s, 64<<20, func() {
		fine, err := sc.OpenPush(testContext(t))
		if err != nil {
			t.Error(err)
			return
		}
		defer fine.Cancel(StreamErrNone)
		read, err := c.AcceptPush(testContext(t))
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			for err := error(nil); err == nil; {
				_, err = read.ReadMessage()
			}
		}()
		failed := make(chan error, 1)
		go func() {
			for {
				if err := stuck.WriteMessage(frame(t, 16, 1<<10)); err != nil {
					failed <- err
					return
				}
			}
		}()
		for err = nil; err == nil; {
			if werr := fine.WriteMessage(frame(t, 1, 16)); werr != nil {
				t.Errorf("the other stream: %v", werr)
				return
			}
			select {
			case err = <-failed:
			default:
			}
		}
		var se *StreamError
		if !errors.As(err, &se) || se.Code != StreamErrSlowReader || se.Remote {
			t.Errorf("the writer gets %v", err)
		}
	})
	await(t, unread.Context().Done(), "the client's stream")
	for { // what arrived before may still be read
		_, err := unread.ReadMessage()
		if err == nil {
			continue
		}
		if !errors.Is(err, StreamErrSlowReader) {
			t.Errorf("the reader gets %v", err)
		}
		break
	}
	wantLogged(t, logged, "slowReader", 1)
}

// TestCloseWakesBlockedWriter: quic-go's own Close would leave it blocked.
func TestCloseWakesBlockedWriter(t *testing.T) {
	for name, end := range map[string]func(*FrameStream){
		"Close":  func(p *FrameStream) { _ = p.Close() },
		"Cancel": func(p *FrameStream) { p.Cancel(StreamErrInternal) },
	} {
		h := newTestHandler()
		s := startServer(t, ServerConfig{Handler: h, Limits: Limits{StallTimeout: 10 * testTimeout}})
		_, up, _ := pushPair(t, h, s, ClientConfig{Limits: Limits{StreamWindow: 16 << 10, MaxStreamWindow: 16 << 10}})
		wrote, read := make(chan error, 1), make(chan error, 1)
		go func() { wrote <- up.WriteMessage(frame(t, 8, 100<<10)) }()
		go func() { _, err := up.ReadMessage(); read <- err }()
		for up.s.wmu.TryLock() { // until the writer is inside
			up.s.wmu.Unlock()
		}
		end(up)
		for what, c := range map[string]chan error{"writer": wrote, "reader": read} {
			select {
			case err := <-c:
				if err == nil {
					t.Errorf("%s: the %s got no error", name, what)
				}
			case <-testContext(t).Done():
				t.Fatalf("%s: the %s is blocked", name, what)
			}
		}
	}
}
