package quicrpc

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// messageOverhead is what a message is taken to cost beyond its bytes: the library's answer, promise, goroutine and smallest buffer.
const messageOverhead = 2 << 10

// fairShare is what a connection may always hold, however much the others hold.
const fairShare = 4 << 20

// A memory counts what a server holds for all its connections.
type memory struct {
	limit int64
	used  atomic.Int64
}

// pressed reports whether more is held than should be.
func (m *memory) pressed() bool { return m.used.Load() > m.limit }

// An account counts what is held for one connection: requests (which wait for room) and replies (which do not). Safe for concurrent use.
// A nil account counts nothing.
type account struct {
	all      *memory
	requests *semaphore.Weighted
	replyMax int64
	replies  atomic.Int64
	used     atomic.Int64
}

func newAccount(all *memory, l Limits) *account {
	return &account{all: all, requests: semaphore.NewWeighted(l.RequestMemory), replyMax: l.ReplyMemory}
}

// acquireRequest waits until there is room for a request of n bytes. The whole request is reserved before its first byte is read, so that
// requests that arrive side by side cannot wait for each other.
func (a *account) acquireRequest(ctx context.Context, n int64) error {
	if a == nil {
		return nil
	}
	if err := a.requests.Acquire(ctx, n); err != nil {
		return err
	}
	if !a.add(n) {
		a.requests.Release(n)
		return &StreamError{Code: StreamErrBudget, Text: "the server's memory for requests and replies is used up"}
	}
	return nil
}

func (a *account) releaseRequest(n int64) {
	if a != nil {
		a.add(-n)
		a.requests.Release(n)
	}
}

// addReply counts n bytes of replies; false, and nothing counted, if that is too much. Negative n gives back.
func (a *account) addReply(n int64) bool {
	if a == nil {
		return true
	}
	if r := a.replies.Add(n); n > 0 && r > a.replyMax || !a.add(n) {
		a.replies.Add(-n)
		return false
	}
	return true
}

func (a *account) add(n int64) bool {
	u, g := a.used.Add(n), a.all.used.Add(n)
	if n > 0 && g > a.all.limit && u > fairShare {
		a.used.Add(-n)
		a.all.used.Add(-n)
		return false
	}
	return true
}
