package ds

import (
	"log/slog"
	"sync"
	"time"
)

// seldom logs at most one line a second, for what happens to all calls at once. The zero value is ready. Safe for concurrent use.
type seldom struct {
	mu      sync.Mutex
	last    time.Time
	leftOut uint64
}

func (s *seldom) warn(log *slog.Logger, msg string, err error) {
	s.mu.Lock()
	now := time.Now()
	if now.Sub(s.last) < time.Second {
		s.leftOut++
		s.mu.Unlock()
		return
	}
	leftOut := s.leftOut
	s.last, s.leftOut = now, 0
	s.mu.Unlock()
	log.Warn(msg, "err", err, "more", leftOut)
}
