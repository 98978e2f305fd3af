// Package memory is a store engine that keeps everything in memory. It follows the rules of package store but for one: "on disk"
// means in memory. It starts no goroutine, so it works inside a testing/synctest bubble. It is small and plain, and what others are compared with.
package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/hub"
)

// Options tune a Store. The zero value works.
type Options struct {
	Quota      store.Quota
	Clock      func() time.Time // default: time.Now
	DefaultTTL time.Duration    // of messages and blobs that do not say; default 30 days
	MaxTTL     time.Duration    // default 90 days
}

// Store is the engine; it implements store.Store.
type Store struct {
	opts   Options
	hub    hub.Hub
	failed chan struct{}

	mu      sync.Mutex // guards all below
	closed  bool
	owners  map[store.Identity]*owner
	groups  map[string]*group
	logs    map[string]*queue // of groups, also of those that were dropped: their numbers go on
	records map[string]store.Record
	version uint64 // of the last change of a record
	blobs   map[store.BlobID]*blob
	stats   store.Stats
}

var _ store.Store = (*Store)(nil)

// owner is an identity with what it owns.
type owner struct {
	queues  map[string]*queue
	floor   uint64          // see store.Messages, order
	reads   map[string]bool // groups; true for those that it is a member of
	members int             // of these, how many it is a member of
	blobs   uint64          // bytes
	pool    pool
}

// New returns an empty store.
func New(opts Options) *Store {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.DefaultTTL == 0 {
		opts.DefaultTTL = store.DefaultTTL
	}
	if opts.MaxTTL == 0 {
		opts.MaxTTL = store.MaxTTL
	}
	opts.Quota = opts.Quota.WithDefaults()
	return &Store{
		opts: opts, failed: make(chan struct{}),
		owners: make(map[store.Identity]*owner), groups: make(map[string]*group), logs: make(map[string]*queue),
		records: make(map[string]store.Record), blobs: make(map[store.BlobID]*blob),
	}
}

// enter locks s; the caller unlocks it unless there is an error.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

// NewLine implements store.Lines.
func (s *Store) NewLine() store.Line { return store.WaitingLine(s) }

func (s *Store) owner(id store.Identity) *owner {
	o := s.owners[id]
	if o == nil {
		o = &owner{queues: make(map[string]*queue), reads: make(map[string]bool)}
		s.owners[id] = o
	}
	return o
}

// expires is when what is stored now is given up, in milliseconds as an engine with a disk has it.
func (s *Store) expires(now, asked time.Time) time.Time {
	if asked.IsZero() {
		asked = now.Add(s.opts.DefaultTTL)
	}
	if limit := now.Add(s.opts.MaxTTL); asked.After(limit) {
		asked = limit
	}
	return asked.Truncate(time.Millisecond)
}

// Watch implements store.Messages.
func (s *Store) Watch(id store.Identity) (store.Watcher, error) {
	if err := s.enter(context.Background()); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.hub.Watch(id), nil
}

// Stats implements store.Store.
func (s *Store) Stats() store.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Watchers = s.hub.Len()
	return stats
}

// Snapshot implements store.Backup. There is no disk that a copy could be made on: it is always ErrInvalid.
func (s *Store) Snapshot(ctx context.Context, _ string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	return fmt.Errorf("%w: a store in memory has no snapshots", store.ErrInvalid)
}

// Drop implements store.Backup.
func (s *Store) Drop(ctx context.Context, q store.QueueID) error {
	if err := store.CheckGroup(q.Group); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if q.Shared {
		return s.dropGroup(q.Group)
	}
	if own := s.queue(q); own != nil && own.last > own.acked {
		s.stats.Acknowledged += own.last - own.acked
		own.acknowledge(own.last, s.opts.Clock())
		s.hub.Notify(q)
	}
	return nil
}

// Failed implements store.Store; memory does not fail.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Close implements store.Store.
func (s *Store) Close() error {
	if err := s.enter(context.Background()); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
