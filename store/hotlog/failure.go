package hotlog

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"quicnprotochat/store"
)

// failure remembers the first error after which nothing may be written any more. It is pebble's Logger too: Fatalf must not return, and
// must not end the process, so it ends the goroutine that called it. Safe for concurrent use.
type failure struct {
	logger *slog.Logger
	failed chan struct{}

	armed   atomic.Bool  // the store is open
	flushes atomic.Int32 // that failed, in a row

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

// maxFailedFlushes is how many flushes in a row may fail, each after retryPause, before the store gives up: until then the log holds
// what was acknowledged, but the memory that waits for the tree fills up, and then every write would hang.
var maxFailedFlushes int32 = 100

// flushed hears of the end of a flush.
func (f *failure) flushed(err error) {
	if err == nil {
		f.flushes.Store(0)
		return
	}
	if f.flushes.Add(1) >= maxFailedFlushes {
		f.set(fmt.Errorf("flush: %w", err))
	}
}

// background hears of a flush or compaction that failed. Pebble tries it again; what was acknowledged is safe meanwhile.
func (f *failure) background(err error) {
	f.logger.Warn("store: background work failed", "err", err)
}
