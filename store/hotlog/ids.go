package hotlog

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"quicnprotochat/store"
)

// bucketWidth is the span of time whose message ids lie together in the tree, and are dropped together: those whose messages left the log, or
// were acknowledged after that, in that time.
const bucketWidth = 8 * time.Hour

func bucketOf(ms int64) uint32 { return uint32(max(ms, 0) / bucketWidth.Milliseconds()) }

// oldestBucket is the oldest one that may hold an id that must still be recognised at now.
func oldestBucket(now time.Time) uint32 { return bucketOf(now.Add(-store.IDRetention).UnixMilli()) }

func appendSeq(b []byte, seq uint64) []byte { return binary.BigEndian.AppendUint64(b, seq) }

// ids are the message ids in the tree, with a filter in memory for each bucket. Safe for concurrent use.
type ids struct {
	tree     *tree
	complete atomic.Bool // the filters hold what was in the tree before the start, too

	mu      sync.RWMutex
	buckets map[uint32]*filter
	room    int // bytes left for filters
}

func newIDs(t *tree, room int) *ids {
	return &ids{tree: t, buckets: make(map[uint32]*filter), room: room}
}

// add must come before the tree holds the id.
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

// find returns the seq under which the tree has an id that must be recognised at now, or 0.
func (s *ids) find(id *name, now time.Time) (uint64, error) {
	newest := bucketOf(now.UnixMilli()) + 1 // the clock may have been ahead
	complete := s.complete.Load()
	for n := oldestBucket(now); n <= newest; n++ {
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
func (s *ids) drop(oldest uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, f := range s.buckets {
		if n < oldest {
			s.room += f.bytes()
			delete(s.buckets, n)
		}
	}
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
	return n
}
