package pebble

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	"quicnprotochat/store"
)

// failure remembers the first error after which nothing may be written any more. It is pebble's Logger too: Fatalf must not return, and
// must not end the process, so it ends the goroutine that called it. Safe for concurrent use.
type failure struct {
	logger *slog.Logger
	failed chan struct{}

	mu    sync.Mutex
	cause error
}

func newFailure(logger *slog.Logger) *failure {
	return &failure{logger: logger, failed: make(chan struct{})}
}

// set records cause unless one was recorded before.
func (f *failure) set(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause != nil {
		return
	}
	f.cause = cause
	f.logger.Error("store: stopped writing", "err", cause)
	close(f.failed)
}

// err is nil, or wraps store.ErrFailed.
func (f *failure) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", store.ErrFailed, f.cause)
}

// Infof implements pebble's Logger.
func (f *failure) Infof(format string, args ...any) {
	f.logger.Debug("store: pebble", "text", fmt.Sprintf(format, args...))
}

// Errorf implements pebble's Logger.
func (f *failure) Errorf(format string, args ...any) {
	f.logger.Warn("store: pebble", "text", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble's Logger.
func (f *failure) Fatalf(format string, args ...any) {
	f.set(fmt.Errorf(format, args...))
	runtime.Goexit()
}

// background hears of a flush or compaction that failed. Pebble tries it again; what was acknowledged is safe in the log meanwhile.
func (f *failure) background(err error) {
	f.logger.Warn("store: background work failed", "err", err)
}
