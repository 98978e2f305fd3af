package hotlog

import (
	"encoding/binary"
	"sync/atomic"
)

// filter is a set of names that may hold a few too many: blocked Bloom filters, each twice the size of the one before it, so that it grows with what is in
// it. Safe for concurrent use.
type filter struct{ layers []*layer }

// layer is one of them, with 10 bits for each name.
type layer struct {
	words []uint64
	left  atomic.Int64 // names until it is full
}

const (
	filterBlock = 8       // words: one cache line
	firstWords  = 1 << 13 // 64 KiB
	bitsPerName = 10
)

// add returns false if there is no layer with room, and adds nothing then.
func (f *filter) add(n *name) bool {
	if len(f.layers) == 0 {
		return false
	}
	l := f.layers[len(f.layers)-1]
	if l.left.Add(-1) < 0 {
		return false
	}
	l.add(n)
	return true
}

// grown returns the filter with another layer of at most room bytes; without room, with the last one taken for empty again, which
// then answers "perhaps" more often.
func (f *filter) grown(room int) *filter {
	words := firstWords
	if n := len(f.layers); n > 0 {
		last := f.layers[n-1]
		words = 2 * len(last.words)
		if words*8 > room {
			last.left.Store(int64(len(last.words)) * 64 / bitsPerName)
			return f
		}
	}
	l := &layer{words: make([]uint64, words)}
	l.left.Store(int64(words) * 64 / bitsPerName)
	g := &filter{layers: make([]*layer, 0, len(f.layers)+1)}
	g.layers = append(append(g.layers, f.layers...), l)
	return g
}

func (f *filter) bytes() int {
	n := 0
	for _, l := range f.layers {
		n += 8 * len(l.words)
	}
	return n
}

func (f *filter) mayHold(n *name) bool {
	for _, l := range f.layers {
		if l.mayHold(n) {
			return true
		}
	}
	return false
}

// place returns the block of a name, and the bits for the places in it: a name is a hash already.
func (l *layer) place(n *name) ([]uint64, uint64) {
	at := binary.LittleEndian.Uint64(n[:8]) % uint64(len(l.words)/filterBlock) * filterBlock
	return l.words[at : at+filterBlock], binary.LittleEndian.Uint64(n[8:])
}

func (l *layer) add(n *name) {
	block, bits := l.place(n)
	for range 6 {
		atomic.OrUint64(&block[bits>>6%filterBlock], 1<<(bits%64))
		bits >>= 9
	}
}

func (l *layer) mayHold(n *name) bool {
	block, bits := l.place(n)
	for range 6 {
		if atomic.LoadUint64(&block[bits>>6%filterBlock])&(1<<(bits%64)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}
