package memory

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"quicnprotochat/store"
)

// blob is a blob with the chunks that came.
type blob struct {
	owner    store.Identity
	size     uint64
	chunks   [][]byte // nil: missing
	received int
	expires  time.Time
	touched  time.Time // when the last chunk came
}

func (b *blob) complete() bool { return b.received == len(b.chunks) }

// end is when the blob is given up.
func (b *blob) end() time.Time {
	if wait := b.touched.Add(store.UploadTime); !b.complete() && wait.Before(b.expires) {
		return wait
	}
	return b.expires
}

func (b *blob) status() store.BlobStatus {
	status := store.BlobStatus{Size: b.size, Received: b.received, Complete: b.complete(), Expires: b.end()}
	for i, c := range b.chunks {
		if c == nil && len(status.Missing) < store.MaxMissing {
			status.Missing = append(status.Missing, uint32(i))
		}
	}
	return status
}

// blob returns a blob that has not expired, or nil.
func (s *Store) blob(id store.BlobID, now time.Time) *blob {
	b := s.blobs[id]
	if b == nil || !b.end().After(now) {
		return nil
	}
	return b
}

func (s *Store) removeBlob(id store.BlobID) {
	if b := s.blobs[id]; b != nil {
		s.owner(b.owner).blobs -= b.size
		delete(s.blobs, id)
	}
}

// hold makes blobs live as long as a message, and says whether all are there.
func (s *Store) hold(ids []store.BlobID, asked, now time.Time) bool {
	for _, id := range ids {
		b := s.blob(id, now)
		if b == nil || !b.complete() {
			return false
		}
		if until := s.expires(now, asked); until.After(b.expires) {
			b.expires = until
		}
	}
	return true
}

// PutChunk implements store.Blobs.
func (s *Store) PutChunk(ctx context.Context, c store.Chunk) (store.BlobStatus, error) {
	if err := store.CheckChunk(&c); err != nil {
		return store.BlobStatus{}, err
	}
	if err := s.enter(ctx); err != nil {
		return store.BlobStatus{}, err
	}
	defer s.mu.Unlock()
	now := s.opts.Clock()
	b := s.blob(c.Blob, now)
	if b == nil {
		s.removeBlob(c.Blob)
		o := s.owner(c.Owner)
		if o.blobs+c.Size > s.opts.Quota.BlobBytes {
			return store.BlobStatus{}, fmt.Errorf("%w: blobs of %d bytes held, %d more", store.ErrQuota, o.blobs, c.Size)
		}
		b = &blob{owner: c.Owner, size: c.Size, chunks: make([][]byte, store.Chunks(c.Size))}
		o.blobs += c.Size
		s.blobs[c.Blob] = b
	}
	if b.size != c.Size {
		return store.BlobStatus{}, fmt.Errorf("%w: a blob of %d bytes, said to have %d before", store.ErrInvalid, c.Size, b.size)
	}
	if until := s.expires(now, c.Expires); until.After(b.expires) {
		b.expires = until
	}
	if b.chunks[c.Index] == nil {
		b.chunks[c.Index], b.touched = slices.Clone(c.Data), now
		if b.received++; b.complete() && sha256.Sum256(slices.Concat(b.chunks...)) != c.Blob {
			s.removeBlob(c.Blob)
			return store.BlobStatus{}, fmt.Errorf("%w: %x", store.ErrHash, c.Blob[:8])
		}
	}
	return b.status(), nil
}

// Blob implements store.Blobs.
func (s *Store) Blob(ctx context.Context, id store.BlobID) (store.BlobStatus, error) {
	if err := s.enter(ctx); err != nil {
		return store.BlobStatus{}, err
	}
	defer s.mu.Unlock()
	b := s.blob(id, s.opts.Clock())
	if b == nil {
		return store.BlobStatus{}, fmt.Errorf("%w: blob", store.ErrNotFound)
	}
	return b.status(), nil
}

// ReadChunk implements store.Blobs.
func (s *Store) ReadChunk(ctx context.Context, id store.BlobID, index uint32) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	b := s.blob(id, s.opts.Clock())
	switch {
	case b == nil || !b.complete():
		return nil, fmt.Errorf("%w: blob", store.ErrNotFound)
	case int(index) >= len(b.chunks):
		return nil, fmt.Errorf("%w: chunk %d of %d", store.ErrInvalid, index, len(b.chunks))
	}
	return slices.Clone(b.chunks[index]), nil
}
