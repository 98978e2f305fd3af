package hotlog

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/idset"
)

// bucketWidth is the span of time whose message ids lie together, and are dropped together: those whose messages left the log (in runs), or
// were acknowledged after that (in the tree), in that time.
const bucketWidth = 8 * time.Hour

func bucketOf(ms int64) uint32 { return uint32(max(ms, 0) / bucketWidth.Milliseconds()) }

// oldestBucket is the oldest one that may hold an id that must still be recognised at now.
func oldestBucket(now time.Time) uint32 { return bucketOf(now.Add(-store.IDRetention).UnixMilli()) }

func appendSeq(b []byte, seq uint64) []byte { return binary.BigEndian.AppendUint64(b, seq) }

// ids are the message ids that left the log: those of a segment in a run of their own, and in the tree, with a filter in memory for each bucket, the ids of
// messages that were acknowledged so late that theirs would be forgotten too soon. Safe for concurrent use.
type ids struct {
	runs     *idset.Set
	tree     *tree
	complete atomic.Bool // the filters hold what was in the tree before the start, too

	mu      sync.RWMutex
	buckets map[uint32]*filter
	room    int // bytes left for filters
}

// filtersOfTree is the part of Options.IDFilters that is for the ids in the tree: one in so many.
const filtersOfTree = 8

// newIDs takes room bytes for the filters of both.
func newIDs(t *tree, dir string, o *Options) (*ids, error) {
	ofTree := o.IDFilters / filtersOfTree
	runs, err := idset.Open(idset.Options{FS: o.FS, Dir: dir, Room: o.IDFilters - ofTree, Spare: 2 * o.Reserve, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	return &ids{runs: runs, tree: t, buckets: make(map[uint32]*filter), room: ofTree}, nil
}

// add is for an id that the tree is to hold, and must come before that.
func (s *ids) add(bucket uint32, id *name) {
	s.mu.RLock()
	f := s.buckets[bucket]
	s.mu.RUnlock()
	if f == nil || !f.add(id) {
		s.grow(bucket, id)
	}
}

// grow gives a bucket more filter, within the bounds of memory, and adds the id.
func (s *ids) grow(bucket uint32, id *name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.buckets[bucket]
	if f == nil {
		f = new(filter)
		s.buckets[bucket] = f
	}
	if f.add(id) {
		return
	}
	grown := f.grown(s.room)
	s.room -= grown.bytes() - f.bytes()
	s.buckets[bucket] = grown
	grown.add(id)
}

// find returns the seq of an id that must be recognised at now, or 0.
func (s *ids) find(id *name, now time.Time) (uint64, error) {
	oldest, newest := oldestBucket(now), bucketOf(now.UnixMilli())+1 // the clock may have been ahead
	if seq, err := s.runs.Find(id, oldest, newest); seq != 0 || err != nil {
		return seq, readError(err)
	}
	return s.findInTree(id, oldest, newest)
}

func (s *ids) findInTree(id *name, oldest, newest uint32) (uint64, error) {
	complete := s.complete.Load()
	for n := oldest; n <= newest; n++ {
		if complete {
			s.mu.RLock()
			f := s.buckets[n]
			s.mu.RUnlock()
			if f == nil || !f.mayHold(id) {
				continue
			}
		}
		var key [idKeySize]byte
		value, err := s.tree.getRaw(appendIDKey(key[:0], n, id))
		if err != nil {
			return 0, err
		}
		if value == nil {
			continue
		}
		if len(value) != 8 {
			return 0, fmt.Errorf("%w: message id with a value of %d bytes", store.ErrCorrupt, len(value))
		}
		return binary.BigEndian.Uint64(value), nil
	}
	return 0, nil
}

// drop forgets the buckets below oldest.
func (s *ids) drop(oldest uint32) error {
	s.mu.Lock()
	for n, f := range s.buckets {
		if n < oldest {
			s.room += f.bytes()
			delete(s.buckets, n)
		}
	}
	s.mu.Unlock()
	_, err := s.runs.Drop(oldest)
	return err
}

// load adds what the tree holds. It ends early, with the filters incomplete, when stop is closed.
func (s *ids) load(stop <-chan struct{}) error {
	n := 0
	err := s.tree.scan([]byte{kindID}, []byte{kindID + 1}, func(key, _ []byte) (bool, error) {
		if n++; n%1024 == 0 {
			select {
			case <-stop:
				return false, store.ErrClosed
			default:
			}
		}
		if len(key) == idKeySize {
			id := name(key[5:])
			s.add(binary.BigEndian.Uint32(key[1:]), &id)
		}
		return true, nil
	})
	if err == nil {
		s.complete.Store(true)
	}
	return err
}

// bytes is the memory that the filters take.
func (s *ids) bytes() (n int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range s.buckets {
		n += f.bytes()
	}
	return n + s.runs.Stats().Filters
}
