package quicrpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"
)

func requestMessage(n, size int) *capnp.Message {
	return newMessage(request(n, size)[wordBytes:], []int{size - wordBytes})
}

// TestSubmitGivenUp: a request that is given up while it waits for the server's window is not sent, and the stream goes on; or part of it was sent, and the stream is over.
func TestSubmitGivenUp(t *testing.T) {
	outcomes := make(map[bool]int)
	for size := 1504; size < 4000; size += 104 {
		outcomes[giveUp(t, size)]++
	}
	if outcomes[true] == 0 || outcomes[false] == 0 {
		t.Errorf("over: %v; both were to happen", outcomes)
	}
}

// giveUp sends requests until one has to wait, gives that one up, and goes on if it can. It says whether the stream is over.
func giveUp(t *testing.T, size int) (over bool) {
	const window = 64 << 10
	h, read, release := newTestHandler(), make(chan int, window), make(chan struct{})
	h.submit = func(_ *ServerConn, s *SubmitStream) {
		defer close(read)
		<-release
		for {
			m, held, err := s.ReadRequest()
			if err != nil {
				return
			}
			n, _, err := numberOf(m)
			if err != nil {
				t.Error(err)
			}
			read <- n
			s.Release(held)
		}
	}
	p := openSubmit(t, dial(t, startServer(t, ServerConfig{Handler: h, Limits: Limits{StreamWindow: window, MaxStreamWindow: window}}), ClientConfig{}))
	sent := 0
	send := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		err := p.WriteMessageContext(ctx, requestMessage(sent, size))
		if err == nil {
			sent++
		}
		return err
	}
	err := error(nil)
	for err == nil {
		err = send(20 * time.Millisecond)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v after %d", err, sent)
	}
	over = p.Context().Err() != nil
	close(release)
	if over {
		if err := send(testTimeout); !errors.Is(err, StreamErrNone) && !errors.Is(err, ErrClosed) {
			t.Errorf("a stream that is over: %v", err)
		}
	} else {
		for range 3 {
			if err := send(testTimeout); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	next := 0
	for n := range read {
		if n != next {
			t.Fatalf("request %d in place of %d", n, next)
		}
		next++
	}
	if next > sent || !over && next != sent {
		t.Errorf("%d came of %d, over: %v", next, sent, over)
	}
	return over
}
