package quicrpc

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// What is logged of peers that misbehave: at first some in a burst, then a few a second, so that a flood does not become one of the log.
const (
	cutLogBurst = 50
	cutLogEvery = 100 * time.Millisecond
)

// A cutLog logs what peers bring about (a stream or connection cut, a call failed), at a bounded rate, and counts all. Safe for concurrent use.
type cutLog struct {
	log *slog.Logger

	mu         sync.Mutex
	room       int
	refilled   time.Time
	suppressed uint64
	counts     map[string]uint64 // by code
}

func newCutLog(log *slog.Logger) *cutLog {
	return &cutLog{log: log, room: cutLogBurst, refilled: time.Now(), counts: make(map[string]uint64)}
}

// cut logs msg ("stream cut", "connection cut") with code, reason and attrs, as a warning.
func (c *cutLog) cut(msg, code, reason string, attrs ...any) {
	c.record(slog.LevelWarn, msg, code, reason, attrs...)
}

func (c *cutLog) record(level slog.Level, msg, code, reason string, attrs ...any) {
	c.mu.Lock()
	c.counts[code]++
	now := time.Now()
	if n := int(now.Sub(c.refilled) / cutLogEvery); n > 0 {
		c.room = min(cutLogBurst, c.room+n)
		c.refilled = now
	}
	if c.room == 0 {
		c.suppressed++
		c.mu.Unlock()
		return
	}
	c.room--
	suppressed := c.suppressed
	c.suppressed = 0
	c.mu.Unlock()

	attrs = append(attrs, "code", code, "reason", reason)
	if suppressed > 0 {
		attrs = append(attrs, "suppressed", suppressed)
	}
	c.log.Log(context.Background(), level, msg, attrs...)
}

func (c *cutLog) snapshot() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := make(map[string]uint64, len(c.counts))
	for code, n := range c.counts {
		m[code] = n
	}
	return m
}
