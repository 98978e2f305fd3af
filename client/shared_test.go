package client

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quicnprotochat/quicrpc"
)

// fakeStream is a stream that a test ends.
type fakeStream struct {
	done   chan struct{}
	closed atomic.Int32
}

func (f *fakeStream) Done() <-chan struct{} { return f.done }
func (f *fakeStream) Close() error          { f.closed.Add(1); return nil }

// TestShare: one stream serves all calls; it is closed when nobody used it for a time, never while somebody does, and what is over is replaced.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle = time.Minute
		ended := 0
		s := &Session{idle: idle, answered: func() { ended++ }, shared: make(map[quicrpc.StreamType]*shared)}
		var opened []*fakeStream
		use := func(want int) *shared {
			t.Helper()
			stream, u, err := share(s, quicrpc.StreamSubmit, func() (*fakeStream, error) {
				opened = append(opened, &fakeStream{done: make(chan struct{})})
				return opened[len(opened)-1], nil
			})
			if err != nil || stream != opened[len(opened)-1] || len(opened) != want {
				t.Fatalf("%v, %d streams opened, want %d", err, len(opened), want)
			}
			return u
		}
		after := func(d time.Duration, closed int32) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := opened[len(opened)-1].closed.Load(); n != closed {
				t.Fatalf("closed %d times, want %d", n, closed)
			}
		}
		first, second := use(1), use(1)
		after(10*idle, 0)
		first.release()
		after(10*idle, 0)
		second.release()
		after(idle-1, 0)
		use(1).release()
		after(idle-1, 0)
		after(1, 1)
		u := use(2)
		close(opened[1].done)
		use(3).release()
		u.release()
		if opened[1].closed.Load() != 1 {
			t.Error("what was over is not closed")
		}
		after(idle, 1)
		if ended != 5 {
			t.Errorf("told of %d calls that ended, of 5", ended)
		}
		refused := errors.New("refused")
		if _, u, err := share(s, quicrpc.StreamSubmit, func() (*fakeStream, error) { return nil, refused }); u != nil || err != refused {
			t.Errorf("%v, %v", u, err)
		}
		use(4).release()
	})
}
