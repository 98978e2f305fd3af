package hotlog

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
	"quicnprotochat/store/internal/hub"
	"quicnprotochat/store/internal/wal"
)

// What is in the directory beside LOCK and FORMAT.
const (
	logDir  = "log"
	treeDir = "tree"
	idsDir  = "ids"
)

// Store is the engine. It implements store.Store.
type Store struct {
	opts  Options
	share int // bytes of a call that go into one op
	lock  *lsm.Lock
	fail  *disk.Failure
	names *names
	tree  *tree
	log   *wal.Log
	ids   *ids
	hub   hub.Hub

	watchers atomic.Int64
	objects  *objects
	durable  atomic.Uint64 // the last batch that is on disk: what is in later ones is not seen
	idEpoch  atomic.Uint64 // raised when ids have been brought to the tree, before the decider forgets them
	corrupt  atomic.Uint64 // records that could not be read at the start
	counters counters
	sweepers []sweeper
	locks    locks
	blobs    locks // of blobs: completing one reads all of it
	owners   locks // of what owners hold; taken after one of blobs

	queue   callQueue
	calls   sync.Pool // of calls; not shared with other stores, so that tests in virtual time can have one each
	space   space
	retirer *retirer
	stopped chan struct{} // the decider has ended
	stop    chan struct{} // for what works in the background
	ended   sync.WaitGroup

	life   sync.RWMutex // held for reading by every call
	closed bool
}

// Open opens or creates the store in o.Dir, which nobody else may use (ErrLocked), and which no newer version, and no other engine, may have written
// (ErrVersion). Another key than that of before is ErrKey.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts:    o,
		fail:    disk.NewFailure(o.Logger),
		queue:   callQueue{kick: make(chan struct{}, 1)},
		space:   space{fs: o.FS, dir: o.Dir, reserve: o.Reserve},
		stopped: make(chan struct{}),
		stop:    make(chan struct{}),
		locks:   locks{seed: maphash.MakeSeed()},
		blobs:   locks{seed: maphash.MakeSeed()},
		owners:  locks{seed: maphash.MakeSeed()},
		share:   int(min(share, o.SegmentBytes/10)),
	}
	if err := makeDir(o.FS, o.FS.PathDir(o.Dir), o.FS.PathBase(o.Dir)); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := s.acquire(); err != nil {
		return nil, err
	}
	d, err := s.startGuarded()
	if err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	s.fail.Arm()
	go d.run()
	go s.retirer.run()
	s.ended.Go(s.retirer.mergeIDs)
	s.ended.Go(func() {
		if err := s.ids.load(s.stop); err != nil {
			o.Logger.Warn("store: reading the message ids", "err", err)
		}
	})
	return s, nil
}

func (s *Store) acquire() error {
	lock, err := lsm.LockDirectory(s.opts.Dir, s.opts.FS)
	switch {
	case err == nil:
		s.lock = lock
		return nil
	case errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EACCES), errors.Is(err, fs.ErrNotExist), errors.Is(err, os.ErrInvalid):
		return fmt.Errorf("store: %w", err)
	default:
		return fmt.Errorf("%w: %s: %v", store.ErrLocked, s.opts.Dir, err)
	}
}

// startGuarded is start in a goroutine of its own, which pebble may end (see failure.Fatalf), or have panic.
func (s *Store) startGuarded() (*decider, error) {
	type result struct {
		d   *decider
		err error
	}
	done := make(chan result, 1)
	go func() {
		var res result
		defer func() {
			if r := recover(); r != nil {
				res = result{err: fmt.Errorf("store: open %s: %v", s.opts.Dir, r)}
			} else if res.d == nil && res.err == nil {
				res.err = s.fail.Err()
			}
			done <- res
		}()
		res.d, res.err = s.start()
	}()
	select {
	case res := <-done:
		return res.d, res.err
	case <-s.fail.Failed():
		return nil, fmt.Errorf("store: open %s: %w", s.opts.Dir, s.fail.Err())
	}
}

// start opens the tree and the log, and makes the decider ready.
func (s *Store) start() (*decider, error) {
	o := &s.opts
	keys, err := openFormat(o.FS, o.Dir, o.Key)
	if err != nil {
		return nil, err
	}
	if err := makeDir(o.FS, o.Dir, logDir, treeDir, idsDir); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := keys.upgrade(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s.names = keys.names
	s.sweepers = []sweeper{s.sweepKeyPackages, s.sweepBlobs}
	s.objects = newObjects(s.names, o.Owners)
	if s.tree, err = openTree(o.FS.PathJoin(o.Dir, treeDir), o, s.fail, keys.tree); err != nil {
		return nil, err
	}
	if s.ids, err = newIDs(s.tree, o.FS.PathJoin(o.Dir, idsDir), o, s.stop); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", o.Dir, err), s.tree.db.Close())
	}
	s.retirer = newRetirer(s)
	d, err := s.openLog(keys.log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", o.Dir, err), s.ids.runs.Close(), s.tree.db.Close())
	}
	return d, nil
}

// use says whether the store is open; it stays so until life.RUnlock.
func (s *Store) use() bool {
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return false
	}
	return true
}

// Watch implements store.Store.
func (s *Store) Watch(owner store.Identity) (store.Watcher, error) {
	if !s.use() {
		return nil, store.ErrClosed
	}
	defer s.life.RUnlock()
	s.watchers.Add(1)
	return &watcher{Watcher: s.hub.Watch(owner), s: s}, nil
}

// watcher counts itself, so that nobody looks for watchers where there are none.
type watcher struct {
	store.Watcher
	s    *Store
	once sync.Once
}

func (w *watcher) Close() {
	w.once.Do(func() { w.s.watchers.Add(-1) })
	w.Watcher.Close()
}

// Failed implements store.Store.
func (s *Store) Failed() <-chan struct{} { return s.fail.Failed() }

// Close implements store.Store.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.closed = true
	close(s.stop)
	close(s.retirer.stop)
	s.retirer.wait()
	s.queue.mu.Lock()
	s.queue.closed = true
	s.queue.mu.Unlock()
	select {
	case s.queue.kick <- struct{}{}:
	default:
	}
	<-s.stopped
	s.ended.Wait()
	if err := s.fail.Err(); err != nil {
		// The tree is left as it stands: pebble may hold locks that nobody will release, so closing it could block for ever. The process
		// keeps the directory lock until it ends.
		return errors.Join(err, s.log.Close(), s.ids.runs.Close())
	}
	return errors.Join(s.log.Close(), s.ids.runs.Close(), s.tree.db.Close(), s.lock.Close())
}
