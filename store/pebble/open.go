package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	lsm "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
	"quicnprotochat/store/internal/hub"
)

// Options tune an engine. The zero value is what a daemon wants.
type Options struct {
	Quota  store.Quota
	Logger *slog.Logger     // default: discards
	Clock  func() time.Time // default: time.Now

	CacheBytes    int64  // block cache; default 64 MiB
	MemTableBytes uint64 // a write buffer, of which up to four exist; default 32 MiB
	CachedQueues  int    // heads of queues kept in memory, about 300 bytes each; default 65,536
	Reserve       uint64 // free disk space below which new data is refused with ErrFull; default 64 MiB

	FS vfs.FS // default: the real one, files 0600, directories 0700
}

func (o Options) withDefaults() Options {
	o.Quota = o.Quota.WithDefaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 32 << 20
	}
	if o.CachedQueues == 0 {
		o.CachedQueues = 65_536
	}
	if o.Reserve == 0 {
		o.Reserve = 64 << 20
	}
	if o.FS == nil {
		o.FS = disk.Private(vfs.Default)
	}
	return o
}

// Store is the engine: the part of store.Store that it has.
type Store struct {
	opts Options
	dir  string
	lock *lsm.Lock
	db   *lsm.DB
	fail *disk.Failure
	hub  hub.Hub

	views    views
	counters counters

	requests chan *request
	closing  chan struct{}
	stopped  chan struct{} // the committer has ended
	closed   sync.Once
	closeErr error
}

var _ interface {
	store.Messages
	store.KeyPackages
} = (*Store)(nil)

// Open opens or creates the store in dir, which nobody else may use (ErrLocked) and which no newer version may have written (ErrVersion).
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	s := &Store{
		opts:     opts,
		dir:      dir,
		fail:     disk.NewFailure(opts.Logger),
		requests: make(chan *request, 256),
		closing:  make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	if err := opts.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := s.acquire(); err != nil {
		return nil, err
	}
	c, err := s.startGuarded()
	if err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	s.fail.Arm()
	// The view is taken before the committer runs: what it stores itself it puts into its filters itself.
	if v, err := s.views.acquire(); err == nil {
		go func() {
			defer s.views.release(v)
			if f := s.loadFilters(v, c.ids.seed); f != nil {
				c.loaded <- f
			}
		}()
	}
	go c.run()
	return s, nil
}

// startGuarded is start in a goroutine of its own, which pebble may end (see failure.Fatalf), or have panic. One that pebble ended may
// block in pebble's own clean-up for good, so a failure counts as its end too.
func (s *Store) startGuarded() (*committer, error) {
	type result struct {
		c   *committer
		err error
	}
	done := make(chan result, 1)
	go func() {
		var res result
		defer func() {
			if r := recover(); r != nil {
				res = result{err: fmt.Errorf("store: open %s: %v", s.dir, r)}
			} else if res.c == nil && res.err == nil {
				res.err = s.fail.Err()
			}
			done <- res
		}()
		res.c, res.err = s.start()
	}()
	select {
	case res := <-done:
		return res.c, res.err
	case <-s.fail.Failed():
		return nil, fmt.Errorf("store: open %s: %w", s.dir, s.fail.Err())
	}
}

func (s *Store) acquire() error {
	lock, err := lsm.LockDirectory(s.dir, s.opts.FS)
	switch {
	case err == nil:
		s.lock = lock
		return nil
	case errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EACCES), errors.Is(err, fs.ErrNotExist), errors.Is(err, os.ErrInvalid):
		return fmt.Errorf("store: %w", err)
	default:
		return fmt.Errorf("%w: %s: %v", store.ErrLocked, s.dir, err)
	}
}

// start opens the tree and makes the committer ready.
func (s *Store) start() (c *committer, err error) {
	if err := checkFormat(s.opts.FS, s.dir); err != nil {
		return nil, err
	}
	if s.db, err = openTree(s.dir, s.lock, s.opts, s.fail); err != nil {
		if lsm.IsCorruptionError(err) {
			err = fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		}
		return nil, fmt.Errorf("store: open %s: %w", s.dir, err)
	}
	if c, err = newCommitter(s); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	// What a crash of the process left in the log may not be on disk yet: it is read from now on, so make it durable first.
	if err := s.db.LogData(nil, lsm.Sync); err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), s.db.Close())
	}
	s.views.publish(s.db.NewSnapshot())
	return c, nil
}

func openTree(dir string, lock *lsm.Lock, opts Options, fail *disk.Failure) (*lsm.DB, error) {
	o := &lsm.Options{
		FS:                          disk.Halt(opts.FS, dir, fail),
		Lock:                        lock,
		Logger:                      fail,
		FormatMajorVersion:          lsm.FormatNewest,
		CacheSize:                   opts.CacheBytes,
		MemTableSize:                opts.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               256 << 20,
		MaxOpenFiles:                1000,
		BytesPerSync:                512 << 10,
		WALBytesPerSync:             512 << 10,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		EventListener: &lsm.EventListener{
			BackgroundError: fail.Background,
			FlushEnd:        func(info lsm.FlushInfo) { fail.Flushed(info.Err) },
			DataCorruption:  func(info lsm.DataCorruptionInfo) { opts.Logger.Error("store: corrupt data", "info", info.String()) },
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return lsm.Open(dir, o)
}

// Watch is as in store.Store.
func (s *Store) Watch(owner store.Identity) (store.Watcher, error) {
	select {
	case <-s.closing:
		return nil, store.ErrClosed
	default:
		return s.hub.Watch(owner), nil
	}
}

// Failed is as in store.Store.
func (s *Store) Failed() <-chan struct{} { return s.fail.Failed() }

// Close is as in store.Store.
func (s *Store) Close() error {
	first := false
	s.closed.Do(func() {
		first = true
		close(s.closing)
		s.closeErr = s.shutDown()
	})
	if !first {
		return store.ErrClosed
	}
	return s.closeErr
}

func (s *Store) shutDown() error {
	select {
	case <-s.stopped:
	case <-s.fail.Failed():
	}
	s.views.close()
	if err := s.fail.Err(); err != nil {
		// The tree is left as it stands: pebble may hold locks that nobody will release, so closing it could block for ever. The process
		// keeps the directory lock until it ends.
		return err
	}
	s.views.closeSnapshots()
	return errors.Join(s.db.Close(), s.lock.Close())
}
