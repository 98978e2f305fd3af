package idset

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// filter is a set of ids that may hold a few too many, in memory: blocked Bloom filters, each eight times the size of the one before it, so that it grows with what is in
// it, and looking an id up costs a few cache lines. Safe for concurrent use, but for growing.
type filter struct{ layers []*layer }

// layer is one of them, with 16 bits for each id: one in 500 others seems to be there when it is full.
type layer struct {
	blocks [][blockSize / 8]uint64
	left   atomic.Int64 // ids until it is full
	free   func()
}

const (
	firstLayer = 1 << 20 // bytes
	growth     = 8
	bitsPerID  = 16
	idProbes   = 6
)

// add returns false if there is no layer with room, and adds nothing then.
func (f *filter) add(id []byte) bool {
	if len(f.layers) == 0 {
		return false
	}
	l := f.layers[len(f.layers)-1]
	if l.left.Add(-1) < 0 {
		return false
	}
	b, places := l.block(id), probeBits(id)
	for range idProbes {
		atomic.OrUint64(&b[places>>6&7], 1<<(places&63))
		places >>= 9
	}
	return true
}

// block is where an id has its bits: spread anew, for ids come in order, and a layer must not be full at one end and empty at the other when the next one begins.
func (l *layer) block(id []byte) *[blockSize / 8]uint64 {
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(id)*0x9e3779b97f4a7c15, uint64(len(l.blocks)))
	return &l.blocks[hi]
}

// grow adds a layer of at most room bytes, and returns what is left of that. Without room, the last one is taken for empty again: it
// then answers "perhaps" more often.
func (f *filter) grow(room int) int {
	size := firstLayer
	if n := len(f.layers); n > 0 {
		last := f.layers[n-1]
		size = min(growth*len(last.blocks)*blockSize, room/blockSize*blockSize)
		if size < 2*len(last.blocks)*blockSize {
			last.left.Store(last.capacity())
			return room
		}
	}
	l := new(layer)
	l.blocks, l.free = allocate(size / blockSize)
	l.left.Store(l.capacity())
	f.layers = append(f.layers[:len(f.layers):len(f.layers)], l)
	return room - size
}

func (l *layer) capacity() int64 { return int64(len(l.blocks)) * blockSize * 8 / bitsPerID }

// close gives the memory back; nobody may use the filter any more.
func (f *filter) close() {
	for _, l := range f.layers {
		l.free()
	}
	f.layers = nil
}

func (f *filter) bytes() (n int) {
	for _, l := range f.layers {
		n += len(l.blocks) * blockSize
	}
	return n
}

// mayHold decides once for each layer, at its end: most often the answer is no, and a processor that guesses that looks at several layers at a time.
func (f *filter) mayHold(id []byte) bool {
	for _, l := range f.layers {
		b, places, missing := l.block(id), probeBits(id), uint64(0)
		for range idProbes {
			missing |= 1 << (places & 63) &^ atomic.LoadUint64(&b[places>>6&7])
			places >>= 9
		}
		if missing == 0 {
			return true
		}
	}
	return false
}
