package quicrpc

import (
	"context"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// A sign of life is what a client sends over a connection at rest: a DATAGRAM frame (RFC 9221) whose content nobody reads. A bare PING would keep the connection alive as well,
// but it is shorter than what a server without memory of the connection may answer by a stateless reset (RFC 9000 section 10.3): who only listens would learn of a
// server's restart by its idle timeout.
const signSize = 32

// signs sends signs of life. A server that takes no datagrams gets the PINGs of quic-go in their place, a quarter later.
type signs struct {
	q     *quic.Conn
	every time.Duration

	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

func newSigns(q *quic.Conn, every time.Duration) *signs {
	s := &signs{q: q, every: every}
	s.mu.Lock()
	defer s.mu.Unlock()
	if every > 0 {
		s.timer = time.AfterFunc(every, s.send)
	}
	return s
}

func (s *signs) send() {
	if s.q.Context().Err() != nil {
		return
	}
	if s.q.ConnectionState().SupportsDatagrams.Remote {
		_ = s.q.SendDatagram(make([]byte, signSize)) // it fails when the connection is over
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.timer.Reset(s.every)
	}
}

func (s *signs) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// dropEvery is how often a server throws away the signs of life that quic-go has kept for it: up to 128 datagrams a connection, which a hostile client fills with 1.4 KB each.
const dropEvery = 5 * time.Second

// dropSigns throws away what has come as datagrams.
func (s *Server) dropSigns() {
	s.mu.Lock()
	live := make([]*ServerConn, 0, len(s.live))
	for c := range s.live {
		live = append(live, c)
	}
	s.mu.Unlock()
	for _, c := range live {
		for b, err := c.q.ReceiveDatagram(noWait); b != nil && err == nil; b, err = c.q.ReceiveDatagram(noWait) {
		}
	}
}

// noWait is a context that does not wait: it is done, but it has not failed, for quic-go looks at an error first, and would return nothing.
var noWait context.Context = func() done {
	c := make(chan struct{})
	close(c)
	return done{context.Background(), c}
}()

type done struct {
	context.Context
	c chan struct{}
}

func (d done) Done() <-chan struct{} { return d.c }
