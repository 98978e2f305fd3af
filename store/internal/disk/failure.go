package disk

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"quicnprotochat/store"
)

// Failure remembers the first error after which nothing may be written any more. It is pebble's Logger too: Fatalf must not return, and
// must not end the process, so it ends the goroutine that called it. Safe for concurrent use.
type Failure struct {
	logger *slog.Logger
	failed chan struct{}

	armed   atomic.Bool  // the store is open
	flushes atomic.Int32 // that failed, in a row

	mu    sync.Mutex
	cause error
}

// NewFailure returns one that tells logger.
func NewFailure(logger *slog.Logger) *Failure {
	return &Failure{logger: logger, failed: make(chan struct{})}
}

// Set records cause unless one was recorded before.
func (f *Failure) Set(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause != nil {
		return
	}
	f.cause = cause
	f.logger.Error("store: stopped writing", "err", cause)
	close(f.failed)
}

// Err is nil, or wraps store.ErrFailed.
func (f *Failure) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", store.ErrFailed, f.cause)
}

// Failed is closed when a cause was recorded.
func (f *Failure) Failed() <-chan struct{} { return f.failed }

// Arm says that the store is open: from now on an error that pebble must not see stops it.
func (f *Failure) Arm() { f.armed.Store(true) }

// Infof implements pebble's Logger.
func (f *Failure) Infof(format string, args ...any) {
	f.logger.Debug("store: pebble", "text", fmt.Sprintf(format, args...))
}

// Errorf implements pebble's Logger.
func (f *Failure) Errorf(format string, args ...any) {
	f.logger.Warn("store: pebble", "text", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble's Logger.
func (f *Failure) Fatalf(format string, args ...any) {
	f.Set(fmt.Errorf(format, args...))
	runtime.Goexit()
}

// MaxFailedFlushes is how many flushes in a row may fail, each after retryPause, before the store gives up: until then the log holds
// what was acknowledged, but the memory that waits for the tree fills up, and then every write would hang. Tests lower it.
var MaxFailedFlushes int32 = 100

// Flushed hears of the end of a flush.
func (f *Failure) Flushed(err error) {
	if err == nil {
		f.flushes.Store(0)
		return
	}
	if f.flushes.Add(1) >= MaxFailedFlushes {
		f.Set(fmt.Errorf("flush: %w", err))
	}
}

// Background hears of a flush or compaction that failed. Pebble tries it again; what was acknowledged is safe meanwhile.
func (f *Failure) Background(err error) {
	f.logger.Warn("store: background work failed", "err", err.Error()) // without the stack that pebble adds
}
