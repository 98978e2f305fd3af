package client

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

const (
	// blobChunk is what the server takes and gives at once, bytes: a part of the content, encrypted.
	blobChunk = 256 << 10
	// blobTag is what encryption adds to a part.
	blobTag = 16
	// blobPart is the length of every part of the content but the last.
	blobPart = blobChunk - blobTag
	// maxBlob is the largest blob that a server takes.
	maxBlob = 100 << 20
	// blobDomain is authenticated with every part, so that a key in another use opens nothing.
	blobDomain = "quicnprotochat blob 1"
)

// MaxBlob is the longest content of a blob.
const MaxBlob = maxBlob - maxBlob/blobChunk*blobTag

// BlobRef is all that it takes to fetch a blob and read it. It travels in a message, encrypted end to end: whoever has it can read the blob. It never goes to a server whole.
type BlobRef struct {
	Hash [32]byte // SHA-256 of what the server holds
	Key  [32]byte // AES-256-GCM, of this blob alone
	Size uint64   // of what the server holds, bytes
}

// BlobRefSize is the length of an encoded BlobRef.
const BlobRefSize = 32 + 32 + 8

// AppendBinary appends hash, key and size (big-endian) to b. It does not fail.
func (r BlobRef) AppendBinary(b []byte) ([]byte, error) {
	b = append(append(b, r.Hash[:]...), r.Key[:]...)
	return binary.BigEndian.AppendUint64(b, r.Size), nil
}

// MarshalBinary encodes r. It does not fail.
func (r BlobRef) MarshalBinary() ([]byte, error) { return r.AppendBinary(nil) }

// UnmarshalBinary reads what MarshalBinary made. Errors: ErrBlob.
func (r *BlobRef) UnmarshalBinary(b []byte) error {
	if len(b) != BlobRefSize {
		return fmt.Errorf("%w: reference of %d bytes, want %d", ErrBlob, len(b), BlobRefSize)
	}
	to := BlobRef{Hash: [32]byte(b), Key: [32]byte(b[32:]), Size: binary.BigEndian.Uint64(b[64:])}
	if err := to.check(); err != nil {
		return err
	}
	*r = to
	return nil
}

// check refuses a size that no content comes to.
func (r *BlobRef) check() error {
	last := r.chunk(r.chunks() - 1)
	if r.Size < blobTag || r.Size > maxBlob || last < blobTag || last == blobTag && r.Size > blobChunk {
		return fmt.Errorf("%w: size %d", ErrBlob, r.Size)
	}
	return nil
}

// Length is the length of the content.
func (r BlobRef) Length() int64 { return int64(r.Size) - int64(r.chunks())*blobTag }

func (r *BlobRef) chunks() int { return int((r.Size + blobChunk - 1) / blobChunk) }

// chunk is the length of one chunk.
func (r *BlobRef) chunk(i int) int { return int(min(r.Size-uint64(i)*blobChunk, blobChunk)) }

// blobSize is the size of the blob that content of so many bytes makes: also empty content has a part.
func blobSize(length int64) uint64 {
	parts := max(1, (length+blobPart-1)/blobPart)
	return uint64(length + parts*blobTag)
}

// blobCipher encrypts and decrypts the parts of one blob. The nonce says which part it is, and whether it is the last: parts that are exchanged, and an end that is cut off, do not decrypt.
type blobCipher struct {
	aead   cipher.AEAD
	chunks int
}

func (r *BlobRef) cipher() (*blobCipher, error) {
	block, err := aes.NewCipher(r.Key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &blobCipher{aead, r.chunks()}, err
}

// nonce is 7 zero bytes, the part's number in 4, and 1 for the last part, 0 for the others. A key belongs to one blob, whose parts are encrypted with one content each.
func (c *blobCipher) nonce(part int) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint32(nonce[7:], uint32(part))
	if part == c.chunks-1 {
		nonce[11] = 1
	}
	return nonce
}

// seal encrypts a part in its place; it must have room for the tag.
func (c *blobCipher) seal(part int, content []byte) []byte {
	return c.aead.Seal(content[:0], c.nonce(part), content, []byte(blobDomain))
}

// open decrypts a part in its place.
func (c *blobCipher) open(part int, chunk []byte) ([]byte, error) {
	content, err := c.aead.Open(chunk[:0], c.nonce(part), chunk, []byte(blobDomain))
	if err != nil {
		return nil, fmt.Errorf("%w: part %d is not what was uploaded", ErrBlob, part)
	}
	return content, nil
}
