package pebble

import (
	"encoding/binary"
	"hash/maphash"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// filterWords is the size of the filter of one bucket: 4 MiB, good for some four million ids; with more of them it only answers "perhaps" more
// often.
const (
	filterWords = 1 << 19
	filterBlock = 8 // words: one cache line
)

// filter is a blocked Bloom filter over the message ids of one bucket. Its memory is taken at the first add.
type filter struct{ words []uint64 }

func (f *filter) add(hash uint64) {
	if f.words == nil {
		f.words = make([]uint64, filterWords)
	}
	block := f.block(hash)
	for range 4 {
		block[hash>>6%filterBlock] |= 1 << (hash % 64)
		hash >>= 9
	}
}

func (f *filter) mayHold(hash uint64) bool {
	if f.words == nil {
		return false
	}
	block := f.block(hash)
	for range 4 {
		if block[hash>>6%filterBlock]&(1<<(hash%64)) == 0 {
			return false
		}
		hash >>= 9
	}
	return true
}

// block is chosen by bits that the places within it do not use.
func (f *filter) block(hash uint64) []uint64 {
	n := hash >> 40 % (filterWords / filterBlock) * filterBlock
	return f.words[n : n+filterBlock]
}

func (f *filter) merge(g *filter) {
	if f.words == nil {
		f.words = g.words
		return
	}
	for i, w := range g.words {
		f.words[i] |= w
	}
}

// filters spare the look-up of an id that was never stored. They hold all ids stored since the start, and from the moment that those of before
// are merged they are complete; until then they say "perhaps". The committer owns them.
type filters struct {
	seed     maphash.Seed
	buckets  map[uint32]*filter
	complete bool
}

func newFilters() *filters {
	return &filters{seed: maphash.MakeSeed(), buckets: make(map[uint32]*filter)}
}

func (f *filters) hash(queue uint64, id *store.MessageID) uint64 {
	return maphash.Comparable(f.seed, idKey{queue, *id})
}

func (f *filters) bucket(n uint32) *filter {
	b := f.buckets[n]
	if b == nil {
		b = new(filter)
		f.buckets[n] = b
	}
	return b
}

// merge adds the ids of before the start.
func (f *filters) merge(old *filters) {
	for n, g := range old.buckets {
		f.bucket(n).merge(g)
	}
	f.complete = true
}

// drop forgets the buckets below oldest.
func (f *filters) drop(oldest uint32) {
	for n := range f.buckets {
		if n < oldest {
			delete(f.buckets, n)
		}
	}
}

// loadFilters reads all ids of v; it stops early, with nil, when the store closes or cannot read.
func (s *Store) loadFilters(v *view, seed maphash.Seed) *filters {
	f := &filters{seed: seed, buckets: make(map[uint32]*filter)}
	start := binary.BigEndian.AppendUint32([]byte{prefixID}, oldestBucket(s.opts.Clock()))
	it, err := v.NewIter(&lsm.IterOptions{LowerBound: start, UpperBound: []byte{prefixID + 1}})
	if err != nil {
		s.opts.Logger.Warn("store: reading message ids", "err", err)
		return nil
	}
	n := 0
	for it.First(); it.Valid(); it.Next() {
		if key := it.Key(); len(key) == 29 {
			id := store.MessageID(key[13:])
			f.bucket(binary.BigEndian.Uint32(key[1:])).add(f.hash(binary.BigEndian.Uint64(key[5:]), &id))
		}
		if n++; n%1024 == 0 && isClosed(s.closing) {
			break
		}
	}
	if err := it.Close(); err != nil {
		s.opts.Logger.Warn("store: reading message ids", "err", err)
		return nil
	}
	if isClosed(s.closing) {
		return nil
	}
	return f
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
