package hotlog

import (
	"context"
	"sync"
	"sync/atomic"

	"quicnprotochat/store"
)

const (
	callWaits = iota
	callTaken
	callLeft
)

// call is an op that somebody waits for.
type call struct {
	op    op
	state atomic.Int32
	done  chan error // of one
	line  *lineOp    // in place of done: nobody waits
}

// end tells of the end of the call.
func (c *call) end(err error) {
	if c.line != nil {
		c.line.end(err)
		return
	}
	c.done <- err
}

// do has the decider decide o, and waits until that is durable, or written, as o needs. If the context ends before o was looked at, it never is.
func (s *Store) do(ctx context.Context, o op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, _ := s.calls.Get().(*call)
	if c == nil {
		c = &call{done: make(chan error, 1)}
	}
	c.op = o
	c.state.Store(callWaits)
	if err := s.submit(c); err != nil {
		return err
	}
	var err error
	if ctx.Done() == nil {
		err = <-c.done
	} else {
		select {
		case err = <-c.done:
		case <-ctx.Done():
			if c.state.CompareAndSwap(callWaits, callLeft) {
				return ctx.Err() // c stays in the queue, o is the caller's again
			}
			err = <-c.done
		}
	}
	c.op = nil
	s.calls.Put(c)
	return err
}

func (s *Store) submit(c *call) error {
	s.queue.mu.Lock()
	if s.queue.closed {
		s.queue.mu.Unlock()
		return store.ErrClosed
	}
	s.queue.calls = append(s.queue.calls, c)
	first := len(s.queue.calls) == 1
	s.queue.mu.Unlock()
	if first {
		select {
		case s.queue.kick <- struct{}{}:
		default:
		}
	}
	return nil
}

// callQueue is what waits for the decider.
type callQueue struct {
	mu     sync.Mutex
	calls  []*call
	closed bool
	kick   chan struct{}
}

// swap takes all that waits, for an empty list.
func (q *callQueue) swap(empty []*call) ([]*call, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	calls := q.calls
	q.calls = empty
	return calls, q.closed
}
