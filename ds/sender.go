package ds

import (
	"context"
	"sync"

	"quicnprotochat/store"
)

// sender puts what one stream's calls enqueue into the store, in the order of the calls, many at a time: while one round waits for the disk, the calls
// that come meanwhile gather for the next. Safe for concurrent use.
type sender[T any] struct {
	put  func(context.Context, []T) ([]store.Result, error)
	size func(*T) int // bytes of payload

	mu      sync.Mutex
	waiting []*job[T]
	busy    bool // somebody leads a round
}

// job is one call's messages. The payloads are the call's, which therefore waits until they are not needed any more.
type job[T any] struct {
	messages []T
	results  []store.Result
	err      error
	turn     chan bool // true: lead the next round; false: done
}

// Bounds of a round.
const (
	maxRoundMessages = 4096
	maxRoundBytes    = 8 << 20
)

// add gives messages their place in the order. wait must follow.
func (s *sender[T]) add(messages []T) *job[T] {
	j := &job[T]{messages: messages, turn: make(chan bool, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, j)
	if !s.busy {
		s.busy = true
		j.turn <- true
	}
	return j
}

// wait returns when j is done. One of those that wait leads: it takes what has gathered, its own job first, and then hands over.
func (s *sender[T]) wait(ctx context.Context, j *job[T]) ([]store.Result, error) {
	if lead := <-j.turn; lead {
		s.round(ctx)
	}
	return j.results, j.err
}

// settle returns when all that was added before is done.
func (s *sender[T]) settle(ctx context.Context) { _, _ = s.wait(ctx, s.add(nil)) }

func (s *sender[T]) round(ctx context.Context) {
	s.mu.Lock()
	n, count, size := 0, 0, 0
	for n < len(s.waiting) && (n == 0 || count < maxRoundMessages && size < maxRoundBytes) {
		for i := range s.waiting[n].messages {
			size += s.size(&s.waiting[n].messages[i])
		}
		count += len(s.waiting[n].messages)
		n++
	}
	jobs := s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	s.mu.Unlock()

	messages := jobs[0].messages
	if n > 1 {
		messages = make([]T, 0, count)
		for _, j := range jobs {
			messages = append(messages, j.messages...)
		}
		ctx = context.WithoutCancel(ctx) // one call's end must not end the others
	}
	var results []store.Result
	var err error
	if len(messages) > 0 {
		results, err = s.put(ctx, messages)
	}
	for i, j := range jobs {
		if j.err = err; err == nil {
			j.results, results = results[:len(j.messages)], results[len(j.messages):]
		}
		if i > 0 {
			j.turn <- false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 {
		s.waiting[0].turn <- true
	} else {
		s.busy, s.waiting = false, nil
	}
}
