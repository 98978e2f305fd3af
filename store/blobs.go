package store

import (
	"context"
	"time"
)

const (
	// ChunkSize is the size of every chunk of a blob but the last, bytes.
	ChunkSize = 256 << 10
	// MaxBlob is the largest blob, bytes.
	MaxBlob = 100 << 20
	// MaxMissing is how many missing chunks a BlobStatus names.
	MaxMissing = 64
	// UploadTime is for how long the next chunk of an incomplete blob is waited for.
	UploadTime = 24 * time.Hour
)

// BlobID is the SHA-256 of a blob's content.
type BlobID = [32]byte

// Chunk is one part of a blob: the bytes from Index*ChunkSize on, ChunkSize of them but for the last chunk.
type Chunk struct {
	Blob    BlobID
	Owner   Identity // whose quota it counts against: of whoever put the blob's first chunk
	Size    uint64   // of the whole blob, bytes; the same in every chunk
	Index   uint32
	Data    []byte
	Expires time.Time // of the blob, at least; zero stands for the engine's default
}

// BlobStatus describes a blob.
type BlobStatus struct {
	Size     uint64
	Received int      // chunks
	Missing  []uint32 // the first chunks that are not there, at most MaxMissing
	Complete bool     // all chunks are there and have the blob's hash
	Expires  time.Time
}

// Blobs are large values that do not change, named by their content. A blob lives until Expires, which grows with the messages that hold
// on to it, so it is there as long as any of them. One that is not complete waits for its next chunk for UploadTime, and not longer than it was to live.
type Blobs interface {
	// PutChunk stores a chunk, durable when it returns; one that is there already changes nothing. With the last one the whole is checked, and given up
	// if it has another hash. Errors: ErrHash, ErrInvalid (size or index do not fit), ErrQuota (the owner's blobs), ErrFull, ErrFailed, ErrClosed.
	PutChunk(ctx context.Context, c Chunk) (BlobStatus, error)

	// Blob describes a blob. Errors: ErrNotFound, ErrClosed.
	Blob(ctx context.Context, id BlobID) (BlobStatus, error)

	// ReadChunk returns a chunk of a complete blob. Errors: ErrNotFound (or not complete), ErrInvalid (no such index), ErrCorrupt, ErrClosed.
	ReadChunk(ctx context.Context, id BlobID, index uint32) ([]byte, error)
}

// Chunks is how many chunks a blob of so many bytes has.
func Chunks(size uint64) int { return int((size + ChunkSize - 1) / ChunkSize) }

// ChunkLength is the length of one chunk of a blob of so many bytes.
func ChunkLength(size uint64, index int) int {
	return int(min(size-uint64(index)*ChunkSize, ChunkSize))
}
