package hotlog

import (
	"encoding/binary"
	"math/bits"

	"quicnprotochat/store"
)

// A blob is values of the tree alone; who changes it holds the lock of its name, and, when that changes what its owner holds, the lock of the owner's,
// too (Store.owners).
//
//	'B' blob(16)            -> what is known of a blob
//	'C' blob(16) index(4)   -> a chunk
//	'U' owner(16)           -> bytes of all blobs that count against an owner
//	'X' hour(4) blob(16)    -> nothing: the blob is to be looked at in that hour; not sealed
const (
	kindBlob    = 'B'
	kindChunk   = 'C'
	kindUsed    = 'U'
	kindBlobEnd = 'X'
)

// blobMeta is what is known of a blob.
type blobMeta struct {
	id       store.BlobID
	owner    name
	size     uint64
	expires  int64 // ms, if it is complete
	touched  int64 // ms, when the last chunk came
	note     uint32
	complete bool
	received []byte // a bit for each chunk; none once it is complete
}

func (m *blobMeta) has(index int) bool {
	return m.complete || m.received[index/8]&(1<<(index%8)) != 0
}

func (m *blobMeta) count() (n int) {
	if m.complete {
		return store.Chunks(m.size)
	}
	for _, b := range m.received {
		n += bits.OnesCount8(b)
	}
	return n
}

// end is when the blob is given up, ms.
func (m *blobMeta) end() int64 {
	if m.complete {
		return m.expires
	}
	return min(m.expires, m.touched+store.UploadTime.Milliseconds())
}

func (m *blobMeta) append(b []byte) []byte {
	complete := byte(0)
	if m.complete {
		complete = 1
	}
	b = append(append(b, complete), m.id[:]...)
	b = append(b, m.owner[:]...)
	b = binary.AppendUvarint(b, m.size)
	b = appendTime(appendTime(b, m.expires), m.touched)
	b = binary.BigEndian.AppendUint32(b, m.note)
	return append(b, m.received...)
}

func decodeBlobMeta(b []byte) (m blobMeta, err error) {
	r := reader{b: b}
	complete := r.byte()
	copy(m.id[:], r.bytes(len(m.id)))
	copy(m.owner[:], r.bytes(len(m.owner)))
	m.size = r.uvarint()
	m.expires, m.touched = r.time(), r.time()
	if f := r.bytes(4); f != nil {
		m.note = binary.BigEndian.Uint32(f)
	}
	m.complete = complete == 1
	if r.err == nil && (complete > 1 || m.size == 0 || m.size > store.MaxBlob) {
		r.fail("blob")
	}
	want := 0
	if !m.complete && r.err == nil {
		want = (store.Chunks(m.size) + 7) / 8
	}
	if r.err == nil && len(r.b) != want {
		r.fail("blob with other chunks")
	}
	m.received = r.b
	if n := store.Chunks(m.size) % 8; r.err == nil && want > 0 && n > 0 && m.received[want-1]>>n != 0 {
		r.fail("blob with chunks behind its end")
	}
	return m, r.err
}

func blobKey(blob *name) []byte { return append([]byte{kindBlob}, blob[:]...) }

func chunkKey(blob *name, index int) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{kindChunk}, blob[:]...), uint32(index))
}

func usedKey(owner *name) []byte { return append([]byte{kindUsed}, owner[:]...) }

const blobEndKeySize = 1 + 4 + 16

func blobEndKey(hour uint32, blob *name) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kindBlobEnd}, hour), blob[:]...)
}
