package client

import (
	"errors"
	"strings"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/quicrpc"
)

// TestSubmitAnswerUnasked: an answer that nobody waits for ends the stream, and the next call opens another.
func TestSubmitAnswerUnasked(t *testing.T) {
	h, ended := &submitServer{}, make(chan error, 8)
	h.serve = func(s *quicrpc.SubmitStream) {
		n, number, err := requestOf(s)
		if err == nil {
			_ = answerWith(s, n, number)
			_ = answerWith(s, n, number)
		}
		_, _, err = s.ReadRequest()
		ended <- err
	}
	s := submitTo(t, h, time.Hour, nil)
	for n := range uint64(3) {
		wantSeq(t, s, n)
		select {
		case err := <-ended:
			if !errors.Is(err, quicrpc.StreamErrProtocol) {
				t.Errorf("the server is told %v", err)
			}
		case <-time.After(submitTimeout):
			t.Fatal("the stream goes on")
		}
		p := s.shared[quicrpc.StreamSubmit].stream.(*submitter)
		<-p.Done()
		if err := p.reason(); !errors.Is(err, ErrProtocol) {
			t.Errorf("it ended with %v", err)
		}
	}
	if n := h.opens.Load(); n != 3 {
		t.Errorf("%d streams were opened", n)
	}
}

// TestSubmitEnds: calls under way when the stream ends fail with what says so, and is cured by another attempt if the server ended it.
func TestSubmitEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end       func(*quicrpc.SubmitStream, *Session)
		want      error
		transient bool
	}{
		"in good order": {func(s *quicrpc.SubmitStream, _ *Session) { _ = s.CloseWrite() }, quicrpc.StreamErrShuttingDown, true},
		"cut":           {func(s *quicrpc.SubmitStream, _ *Session) { s.Cancel(quicrpc.StreamErrInternal) }, quicrpc.StreamErrInternal, true},
		"closed here":   {func(_ *quicrpc.SubmitStream, c *Session) { _ = c.Close() }, quicrpc.ErrClosed, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, began, release := &submitServer{}, make(chan *quicrpc.SubmitStream, 2), make(chan struct{})
			h.serve = func(s *quicrpc.SubmitStream) {
				if h.opens.Load() > 1 {
					echoSeqs(s)
					return
				}
				_, _, _ = requestOf(s)
				_, _, _ = requestOf(s)
				began <- s
				<-release
			}
			s := submitTo(t, h, time.Hour, nil)
			failed := make(chan error, 2)
			for n := range uint64(2) {
				wait, err := s.StartPost(t.Context(), numbered(n))
				if err != nil {
					t.Fatal(err)
				}
				go func() { _, err := wait(); failed <- err }()
			}
			stream := <-began
			c.end(stream, s)
			for range 2 {
				select {
				case err := <-failed:
					if !errors.Is(err, c.want) || transient(err) != c.transient {
						t.Errorf("%T %v, transient %v", err, err, transient(err))
					}
				case <-time.After(submitTimeout):
					t.Fatal("a call hangs")
				}
			}
			close(release)
			if name != "closed here" {
				wantAgain(t, s, 7)
			} else if _, err := s.Post(t.Context(), numbered(1)); err == nil {
				t.Error("a call after Close")
			}
		})
	}
}

// TestSubmitIdle: a stream that nobody uses is closed, in good order, and the next call opens another (TestShare: when).
func TestSubmitIdle(t *testing.T) {
	h, ended := &submitServer{}, make(chan struct{}, 8)
	h.serve = func(s *quicrpc.SubmitStream) {
		echoSeqs(s)
		ended <- struct{}{}
	}
	s := submitTo(t, h, 50*time.Millisecond, nil)
	for n := range uint64(2) {
		wait, err := s.StartPost(t.Context(), numbered(n))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := wait(); err != nil || out[0].Seq != n {
			t.Errorf("%v, %v", out, err)
		}
		select {
		case <-ended:
		case <-time.After(submitTimeout):
			t.Fatal("not closed")
		}
	}
	if n := h.opens.Load(); n != 2 {
		t.Errorf("%d streams were opened", n)
	}
}

// TestSubmitFrameRoom: frames with as many parts as there may be, and more, are built and sent.
func TestSubmitFrameRoom(t *testing.T) {
	h := &submitServer{}
	h.serve = func(s *quicrpc.SubmitStream) {
		for {
			_, held, err := s.ReadRequest()
			if err != nil {
				return
			}
			s.Release(held)
			if answerWith(s, 3, 1) != nil {
				return
			}
		}
	}
	s := submitTo(t, h, time.Hour, nil)
	for _, parts := range []int{0, 1, 2, 16, 300} {
		group := strings.Repeat("g", parts)
		posts, subs := make([]GroupPost, 3), make([]Submission, 3)
		for i := range 3 {
			posts[i] = GroupPost{Group: group, Payload: make([]byte, i+1), Blobs: make([][32]byte, parts)}
			subs[i] = Submission{Group: group, Payload: make([]byte, i+1), Recipients: make([]certs.Identity, 1), Blobs: make([][32]byte, parts)}
		}
		if _, err := s.Post(t.Context(), posts); err != nil {
			t.Errorf("posts with %d: %v", parts, err)
		}
		if _, err := s.Submit(t.Context(), subs); err != nil {
			t.Errorf("submissions with %d: %v", parts, err)
		}
	}
}
