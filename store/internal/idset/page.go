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
	blockWords   = 7 // of a block of a run's filter; the rest is its checksum
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

// probeBits are the 48 bits of an id that its places in a filter come from, six for a bit of a word and three for a word, five times. They do not decide the block.
func probeBits(id []byte) uint64 { return binary.BigEndian.Uint64(id[idSize-8:]) }

// block is one of a run's filter.
type block [blockWords]uint64

func (b *block) add(id []byte) {
	bits := probeBits(id)
	for range probes {
		b[bits>>6&7%blockWords] |= 1 << (bits & 63)
		bits >>= 9
	}
}

func (b *block) mayHold(id []byte) bool {
	bits, missing := probeBits(id), uint64(0)
	for range probes {
		missing |= 1 << (bits & 63) &^ b[bits>>6&7%blockWords]
		bits >>= 9
	}
	return missing == 0
}

// encode writes block number n of a filter.
func (b *block) encode(text *[blockSize]byte, n int64) {
	for i, word := range b {
		binary.LittleEndian.PutUint64(text[8*i:], word)
	}
	binary.BigEndian.PutUint64(text[8*blockWords:], uint64(blockSum(text, n)))
}

// decode reads block number n.
func (b *block) decode(text *[blockSize]byte, n int64) error {
	if binary.BigEndian.Uint64(text[8*blockWords:]) != uint64(blockSum(text, n)) {
		return fmt.Errorf("%w: block %d of a filter", store.ErrCorrupt, n)
	}
	for i := range b {
		b[i] = binary.LittleEndian.Uint64(text[8*i:])
	}
	return nil
}

func blockSum(text *[blockSize]byte, n int64) uint32 {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(n))
	return crc32.Update(crc32.Checksum(number[:], castagnoli), castagnoli, text[:8*blockWords])
}

// blocks is how many a filter for n entries has.
func blocks(n int64) int64 { return max((n*bitsPerEntry+64*blockWords-1)/(64*blockWords), 1) }

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
func (h *head) entries() int64 { return 1 + pagesOf(h.blocks, pageSize/blockSize) }

// size is the length of the file, bytes.
func (h *head) size() int64 { return (h.entries() + pagesOf(h.count, pageEntries)) * pageSize }

// name is the file's.
func (h *head) name() string {
	return fmt.Sprintf("%08x-%016x-%016x%s", h.bucket, h.first, h.last, suffix)
}
