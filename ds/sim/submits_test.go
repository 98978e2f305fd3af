package sim

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

const (
	maxRead = 64 // frames that the server reads ahead of its answers
	maxSent = 80 // frames that a client has under way on a stream
)

// errSilent is that an answer does not come although nothing broke.
var errSilent = errors.New("no answer")

// submits is a SUBMIT stream, both ends of it. What is on its way is lost when the connection breaks, or the client cuts the stream.
type submits struct {
	l       *link
	frames  chan *capnp.Message // closed by the client when it has no more
	answers chan *capnp.Message // closed by the server after the last
	cut     chan struct{}       // closed by the client when it gives the stream up
	drained chan struct{}       // closed when the server goes away: it reads no more
	served  chan struct{}       // closed when the server is through with the stream
	held    atomic.Int64
	drain   sync.Once
}

// submit opens a SUBMIT stream.
func (w *world) submit(l *link) (*submits, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if l.ctx.Err() != nil {
		return nil, errBroken
	}
	s := &submits{l: l, frames: make(chan *capnp.Message, maxSent), answers: make(chan *capnp.Message, 4),
		cut: make(chan struct{}), drained: make(chan struct{}), served: make(chan struct{})}
	l.streams = append(l.streams, s)
	service := w.service
	l.calls.Go(func() {
		defer close(s.served)
		service.Submit(l, s)
		if n := s.held.Load(); n != 0 {
			w.t.Errorf("seed %d: %d frames are held after their stream", w.seed, n)
		}
	})
	return s, nil
}

func (s *submits) ReadRequest() (*capnp.Message, int64, error) {
	s.l.w.delay(2 * time.Millisecond)
	if s.l.ctx.Err() != nil {
		return nil, 0, errBroken
	}
	select {
	case <-s.cut:
		return nil, 0, errBroken
	case <-s.drained:
		return nil, 0, io.EOF
	default:
	}
	select {
	case m, more := <-s.frames:
		if !more {
			return nil, 0, io.EOF
		}
		if n := s.held.Add(1); n > maxRead {
			s.l.w.t.Errorf("seed %d: %d frames are read and not answered", s.l.w.seed, n)
		}
		return m, 1, nil
	case <-s.drained:
		return nil, 0, io.EOF
	case <-s.cut:
	case <-s.l.ctx.Done():
	}
	return nil, 0, errBroken
}

func (s *submits) Release(n int64) { s.held.Add(-n) }

func (s *submits) WriteMessage(m *capnp.Message) error {
	s.l.w.delay(2 * time.Millisecond)
	select {
	case s.answers <- m:
		return nil
	case <-s.cut:
	case <-s.l.ctx.Done():
	}
	return errBroken
}

func (s *submits) CloseWrite() error {
	close(s.answers)
	return nil
}

// Cancel is the server's, for what nobody does here.
func (s *submits) Cancel(code quicrpc.StreamErrorCode) {
	s.l.w.t.Errorf("seed %d: the server cuts a SUBMIT stream: %v", s.l.w.seed, code)
}

// end has the server read no more, and waits until it has answered the rest.
func (s *submits) end() {
	s.drain.Do(func() { close(s.drained) })
	s.l.w.await(s.served, "a SUBMIT stream")
}

// next is the client's: the next answer, io.EOF after the last.
func (s *submits) next() (a schemas.SubmitAnswer, err error) {
	var m *capnp.Message
	more := false
	select {
	case m, more = <-s.answers:
	case <-s.l.ctx.Done():
	case <-time.After(time.Minute):
		return a, errSilent
	}
	switch {
	case s.l.dead.Load():
		return a, errBroken
	case !more:
		return a, io.EOF
	}
	return schemas.ReadRootSubmitAnswer(m)
}
