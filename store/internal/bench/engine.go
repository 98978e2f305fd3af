package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/hotlog"
	"quicnprotochat/store/pebble"
)

// engine is the part of a store that a cycle needs. bare does not read.
type engine interface {
	Enqueue(ctx context.Context, messages []store.Message) ([]store.Result, error)
	Read(ctx context.Context, q store.QueueID, after uint64, maxMessages, maxBytes int) (store.Page, error)
	Acknowledge(ctx context.Context, cursors []store.Cursor) error
	Sweep(ctx context.Context, budget int) (store.SweepResult, error)
	Close() error
}

// quota lets the backlog lie in few queues.
var quota = store.Quota{Messages: 1 << 40, Bytes: 1 << 50}

func openEngine(s settings, fs *disk) (engine, error) {
	dir := filepath.Join(s.Dir, s.Engine)
	switch s.Engine {
	case "hotlog":
		return hotlog.Open(hotlog.Options{Dir: dir, Quota: quota, FS: fs})
	case "pebble":
		return pebble.Open(dir, pebble.Options{Quota: quota, FS: fs})
	case "bare":
		return openBare(dir, fs)
	}
	return nil, fmt.Errorf("unknown engine %q", s.Engine)
}

// sweepAll is what the daemon does now and then.
func sweepAll(ctx context.Context, e engine) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
			if _, err := e.Sweep(ctx, 1000); err != nil {
				return
			}
		}
	}
}
