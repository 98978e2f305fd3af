package idset

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"quicnprotochat/store"
)

const (
	pageSize     = 4096
	pageData     = pageSize - 4
	entrySize    = 20
	idSize       = 14 // kept of an id
	pageEntries  = pageData / entrySize
	blockSize    = 64
	pageBlocks   = pageData / blockSize
	bitsPerEntry = 8
	probes       = 5
	maxSeq       = 1<<48 - 1
)

// ID is the name of a message id: evenly spread, as a hash is.
type ID = [16]byte

// Entry is an id, with the number of its message, below 2^48.
type Entry struct {
	ID  ID
	Seq uint64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of page number n.
func sum(p *[pageSize]byte, n int64) uint32 {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(n))
	return crc32.Update(crc32.Checksum(number[:], castagnoli), castagnoli, p[:pageData])
}

func seal(p *[pageSize]byte, n int64) {
	binary.BigEndian.PutUint32(p[pageData:], sum(p, n))
}

func check(p *[pageSize]byte, n int64) error {
	if binary.BigEndian.Uint32(p[pageData:]) != sum(p, n) {
		return fmt.Errorf("%w: page %d", store.ErrCorrupt, n)
	}
	return nil
}

// part says in which of n equal parts of the whole an id falls.
func part(id []byte, n int64) int64 {
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(id), uint64(n))
	return int64(hi)
}

// block is one of a filter.
type block [blockSize / 8]uint64

// probe is the five bits of an id in its block, the same in every filter: the number of a word, and a mask, for each. The bytes that they come from do not decide the block.
type probe struct {
	words [probes]uint8
	masks [probes]uint64
}

func probeOf(id []byte) (p probe) {
	bits := binary.BigEndian.Uint64(id[idSize-8:])
	for i := range probes {
		at := bits >> (9 * i)
		p.words[i], p.masks[i] = uint8(at>>6&7), 1<<(at&63)
	}
	return p
}

// in says whether a block may hold the id. It decides once, at the end: most often the answer is no, and a processor that guesses that looks at the blocks of many filters at a time.
func (p *probe) in(b *block) bool {
	missing := p.masks[0] &^ b[p.words[0]&7]
	missing |= p.masks[1] &^ b[p.words[1]&7]
	missing |= p.masks[2] &^ b[p.words[2]&7]
	missing |= p.masks[3] &^ b[p.words[3]&7]
	missing |= p.masks[4] &^ b[p.words[4]&7]
	return missing == 0
}

// decode reads a block of a page.
func (b *block) decode(text []byte) {
	for i := range b {
		b[i] = binary.LittleEndian.Uint64(text[8*i:])
	}
}

// blocks is how many a filter for n entries has.
func blocks(n int64) int64 { return max((n*bitsPerEntry+8*blockSize-1)/(8*blockSize), 1) }

func pagesOf(n, each int64) int64 { return (n + each - 1) / each }

// appendEntry appends what a page has of an entry.
func appendEntry(b, id []byte, seq uint64) []byte {
	b = append(b, id[:idSize]...)
	return append(b, byte(seq>>40), byte(seq>>32), byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq))
}

// seqOf is the number in an entry.
func seqOf(entry []byte) uint64 { return binary.BigEndian.Uint64(entry[idSize-2:]) & maxSeq }

// head is page 0.
type head struct {
	bucket, level uint32
	first, last   uint64 // segments of the log
	count         int64  // entries
	blocks        int64  // of the filter
}

const magic = "qncids\x00\x01"

func (h *head) encode(p *[pageSize]byte) {
	*p = [pageSize]byte{}
	b := append(p[:0], magic...)
	b = binary.BigEndian.AppendUint32(b, h.bucket)
	b = binary.BigEndian.AppendUint32(b, h.level)
	for _, n := range []uint64{h.first, h.last, uint64(h.count), uint64(h.blocks)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	seal(p, 0)
}

// maxCount is more entries than any disk holds, so that sums of sizes cannot overflow.
const maxCount = 1 << 48

// decodeHead takes page 0 of a file of size bytes apart.
func decodeHead(p *[pageSize]byte, size int64) (h head, err error) {
	if err := check(p, 0); err != nil {
		return h, err
	}
	h.bucket, h.level = binary.BigEndian.Uint32(p[8:]), binary.BigEndian.Uint32(p[12:])
	h.first, h.last = binary.BigEndian.Uint64(p[16:]), binary.BigEndian.Uint64(p[24:])
	h.count, h.blocks = int64(binary.BigEndian.Uint64(p[32:])), int64(binary.BigEndian.Uint64(p[40:]))
	switch {
	case string(p[:len(magic)]) != magic:
		return h, fmt.Errorf("%w: no run of ids", store.ErrCorrupt)
	case h.first > h.last, h.level > maxLevel, h.count < 1, h.count > maxCount, h.blocks < 1, h.blocks > maxCount, h.size() != size:
		return h, fmt.Errorf("%w: a run of %d ids and %d blocks in %d bytes", store.ErrCorrupt, h.count, h.blocks, size)
	}
	return h, nil
}

// entries is the number of the first page of entries.
func (h *head) entries() int64 { return 1 + pagesOf(h.blocks, pageBlocks) }

// size is the length of the file, bytes.
func (h *head) size() int64 { return (h.entries() + pagesOf(h.count, pageEntries)) * pageSize }

// name is the file's.
func (h *head) name() string {
	return fmt.Sprintf("%08x-%016x-%016x%s", h.bucket, h.first, h.last, suffix)
}
