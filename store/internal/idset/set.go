package idset

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// Options of a Set.
type Options struct {
	FS     vfs.FS
	Dir    string // which exists, and is the set's alone
	Room   int    // bytes of memory for filters
	Spare  uint64 // bytes of the disk that Merge leaves free
	Logger *slog.Logger
	Hurry  <-chan struct{} // once it is closed, Add makes no more pauses to spare the disk
}

// Set is all the runs. Find may be called by any number of goroutines beside the rest; Add by one at a time.
type Set struct {
	o      Options
	merged atomic.Uint64 // entries that Merge wrote
	bad    atomic.Uint64 // runs, and pages of runs, that could not be read

	work sync.Mutex // held by Merge and Drop

	mu       sync.RWMutex
	runs     []*run // newest first
	filters  map[uint32]*filter
	room     int    // bytes left for filters
	complete bool   // the filters hold what was there at Open
	held     int    // copies that are being made: what is removed meanwhile stays on disk
	later    []*run // to be removed after that
}

// Open opens the set in o.Dir. What cannot be read of it is left out, and logged.
func Open(o Options) (*Set, error) {
	s := &Set{o: o, room: o.Room, filters: make(map[uint32]*filter)}
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		path := o.FS.PathJoin(o.Dir, name)
		if strings.HasSuffix(name, suffix+temporary) {
			if err := o.FS.Remove(path); err != nil {
				return nil, err
			}
		}
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		r, err := openRun(o.FS, path)
		if errors.Is(err, store.ErrCorrupt) {
			s.damaged(err)
			continue
		} else if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.runs = append(s.runs, r)
	}
	slices.SortFunc(s.runs, newerFirst)
	if err := s.removeMerged(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newerFirst(a, b *run) int {
	switch {
	case a.bucket != b.bucket:
		return compare(b.bucket, a.bucket)
	case a.last != b.last:
		return compare(b.last, a.last)
	default:
		return compare(b.first, a.first)
	}
}

func compare[T uint32 | uint64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// removeMerged removes what a crash left of runs that had been merged.
func (s *Set) removeMerged() error {
	kept := make([]*run, 0, len(s.runs))
	var stale []*run
	for _, r := range s.runs {
		if slices.ContainsFunc(s.runs, func(o *run) bool {
			return o != r && o.bucket == r.bucket && o.first <= r.first && r.last <= o.last
		}) {
			stale = append(stale, r)
		} else {
			kept = append(kept, r)
		}
	}
	s.runs = kept
	return s.remove(stale)
}

func (s *Set) damaged(err error) {
	s.bad.Add(1)
	s.o.Logger.Error("store: message ids that cannot be read", "err", err)
}

// Add adds ids, ascending, of one segment of the log to a bucket; they are on disk when it returns. Adding a segment again replaces it. When it
// fails nothing is added.
func (s *Set) Add(bucket uint32, segment uint64, n int, entries func(yield func(Entry) bool)) error {
	if n == 0 {
		return nil
	}
	h := head{bucket: bucket, first: segment, last: segment, count: int64(n)}
	r, err := makeRun(s.o.FS, s.o.Dir, h, s.o.Hurry, func(add func([]byte, uint64) error) (err error) {
		entries(func(e Entry) bool {
			err = add(e.ID[:], e.Seq)
			return err == nil
		})
		return err
	})
	if err != nil || r == nil {
		return s.full(err)
	}
	entries(func(e Entry) bool {
		s.Note(bucket, &e.ID)
		return true
	})
	s.mu.Lock()
	r.known = true
	i := slices.IndexFunc(s.runs, func(o *run) bool { return o.bucket == bucket && o.first == segment && o.last == segment })
	var old *run
	if i >= 0 {
		old = s.runs[i]
	}
	s.swap(r, old)
	s.mu.Unlock()
	if old == nil {
		return nil
	}
	old.replaced = true
	return s.remove([]*run{old})
}

// Note has the filters know an id of a bucket that is kept elsewhere; call it before it is there.
func (s *Set) Note(bucket uint32, id *ID) {
	s.mu.RLock()
	f := s.filters[bucket]
	added := f != nil && f.add(id[:])
	s.mu.RUnlock()
	if added {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f = s.filters[bucket]; f == nil {
		f = new(filter)
		s.filters[bucket] = f
	}
	for !f.add(id[:]) {
		s.room = f.grow(s.room)
	}
}

// Load has the filters know what was there at Open. It ends early, with false, when stop is closed. When all else that was there has been noted, too, call Complete.
func (s *Set) Load(stop <-chan struct{}) bool {
	s.mu.Lock()
	s.held++ // so that no file goes away
	runs := s.runs
	s.mu.Unlock()
	defer func() {
		if err := s.release(); err != nil {
			s.o.Logger.Warn("store: removing message ids", "err", err)
		}
	}()
	for _, r := range runs {
		m := merging{s: s, stop: stop}
		err := m.run([]*run{r}, func(id []byte, _ uint64) error {
			var whole ID
			copy(whole[:], id)
			s.Note(r.bucket, &whole)
			return nil
		})
		m.end()
		if err != nil {
			if !errors.Is(err, errStopped) {
				s.o.Logger.Warn("store: reading message ids", "err", err)
			}
			return false
		}
		s.mu.Lock()
		r.known = true
		s.mu.Unlock()
	}
	return true
}

// Complete says that the filters know all that is there.
func (s *Set) Complete() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = true
}

// MayHold says whether an id may be in one of the buckets from oldest to newest: in a run, or where Note was told of. It asks memory alone.
func (s *Set) MayHold(id *ID, oldest, newest uint32) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.complete || s.noted(id, oldest, newest)
}

// noted asks the filters; the lock is held.
func (s *Set) noted(id *ID, oldest, newest uint32) bool {
	for bucket, f := range s.filters {
		if bucket >= oldest && bucket <= newest && f.mayHold(id[:]) {
			return true
		}
	}
	return false
}

func (s *Set) full(err error) error {
	if err != nil {
		return fmt.Errorf("message ids: %w", err)
	}
	return nil
}

// swap puts r, which may be nil, in the place of old ones; the lock is held.
func (s *Set) swap(r *run, old ...*run) {
	kept := make([]*run, 0, len(s.runs)+1)
	if r != nil {
		kept = append(kept, r)
	}
	for _, o := range s.runs {
		if !slices.Contains(old, o) {
			kept = append(kept, o)
		}
	}
	slices.SortFunc(kept, newerFirst)
	s.runs = kept
}

// remove closes and removes runs that are in use no more.
func (s *Set) remove(runs []*run) (err error) {
	s.mu.Lock()
	if s.held > 0 {
		s.later = append(s.later, runs...)
		runs = nil
	}
	s.mu.Unlock()
	for _, r := range runs {
		err = errors.Join(err, r.f.Close())
		if !r.replaced {
			err = errors.Join(err, s.o.FS.Remove(r.path))
		}
	}
	return err
}

// Find returns the number under which an id was added to one of the buckets from oldest to newest, or 0. Errors: store.ErrCorrupt, of the file system.
func (s *Set) Find(id *ID, oldest, newest uint32) (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	onlyUnknown := !s.complete && !s.noted(id, oldest, newest)
	for _, r := range s.runs {
		if r.bucket < oldest || r.bucket > newest || onlyUnknown && r.known {
			continue
		}
		if seq, err := r.find(id); seq != 0 || err != nil {
			return seq, err
		}
	}
	return 0, nil
}

// Drop removes the buckets below oldest, and says how many runs that were. While runs are merged it does nothing.
func (s *Set) Drop(oldest uint32) (int, error) {
	if !s.work.TryLock() {
		return 0, nil
	}
	defer s.work.Unlock()
	s.mu.Lock()
	for bucket, f := range s.filters {
		if bucket < oldest {
			s.room += f.bytes()
			f.close()
			delete(s.filters, bucket)
		}
	}
	var old []*run
	for _, r := range s.runs {
		if r.bucket < oldest {
			old = append(old, r)
		}
	}
	if len(old) > 0 {
		s.swap(nil, old...)
	}
	s.mu.Unlock()
	if len(old) == 0 {
		return 0, nil
	}
	return len(old), s.remove(old)
}

// Stats are figures about a set.
type Stats struct {
	Runs    int
	Entries uint64
	Filters int    // bytes of them in memory
	Known   bool   // they know all that is there
	Merged  uint64 // entries that were written by Merge since Open
	Damaged uint64 // runs, and pages of them, that could not be read since Open
	Bytes   uint64 // of the files
}

// Stats returns figures.
func (s *Set) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := Stats{Runs: len(s.runs), Filters: s.o.Room - s.room, Known: s.complete, Merged: s.merged.Load(), Damaged: s.bad.Load()}
	for _, r := range s.runs {
		st.Entries += uint64(r.count)
		st.Bytes += uint64(r.size())
	}
	return st
}

// Close closes the files. Nothing else may be under way, or come after it.
func (s *Set) Close() (err error) {
	for _, f := range s.filters {
		f.close()
	}
	for _, r := range append(s.runs, s.later...) {
		err = errors.Join(err, r.f.Close())
	}
	return err
}
