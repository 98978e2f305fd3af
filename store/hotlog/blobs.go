package hotlog

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"quicnprotochat/store"
)

var _ store.Blobs = (*Store)(nil)

// blobChange is one change of a blob, under its lock.
type blobChange struct {
	s    *Store
	name name
	now  int64
	meta *blobMeta // nil if there is none
	c    changes
}

// changeBlob calls f under the lock of a blob, with what the tree says of it. A blob that has expired is not there, though it may not have been swept yet.
func (s *Store) changeBlob(id *store.BlobID, f func(b *blobChange) error) error {
	n := s.names.hash('b', id[:])
	return s.changeBlobNamed(&n, f)
}

func (s *Store) changeBlobNamed(n *name, f func(b *blobChange) error) error {
	lock := s.blobs.of(n[:])
	lock.Lock()
	defer lock.Unlock()
	b := &blobChange{s: s, name: *n, now: min(max(s.opts.Clock().UnixMilli(), 0), maxTime)}
	value, err := s.tree.get(blobKey(n))
	if err == nil && value != nil {
		var m blobMeta
		m, err = decodeBlobMeta(value)
		b.meta = &m
	}
	if err != nil {
		return err
	}
	return f(b)
}

// save makes the changes, and what is known of the blob, durable.
func (b *blobChange) save(ctx context.Context, room bool) error {
	b.c.setSealed(b.s.tree, blobKey(&b.name), b.meta.append(nil))
	return b.s.do(ctx, &poolOp{changeOp{b.c}, room})
}

// charge changes what the owner's blobs hold, and calls f with that among the changes.
func (b *blobChange) charge(owner *name, f func(used uint64) (uint64, error), do func() error) error {
	lock := b.s.owners.of(owner[:])
	lock.Lock()
	defer lock.Unlock()
	key := usedKey(owner)
	used := uint64(0)
	value, err := b.s.tree.get(key)
	if err == nil && value != nil {
		used, err = decodeUsed(value)
	}
	if err == nil {
		used, err = f(used)
	}
	if err != nil {
		return err
	}
	if used == 0 {
		b.c.delete(key)
	} else {
		b.c.setSealed(b.s.tree, key, binary.BigEndian.AppendUint64(nil, used))
	}
	return do()
}

func decodeUsed(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: sum of blobs in %d bytes", store.ErrCorrupt, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

// remove forgets the blob with all its chunks.
func (b *blobChange) remove(ctx context.Context) error {
	m := b.meta
	return b.charge(&m.owner, func(used uint64) (uint64, error) { return used - min(used, m.size), nil }, func() error {
		for i := range store.Chunks(m.size) {
			if m.has(i) {
				b.c.delete(chunkKey(&b.name, i))
			}
		}
		b.c.delete(blobEndKey(m.note, &b.name))
		b.c.delete(blobKey(&b.name))
		err := b.s.do(ctx, &poolOp{changeOp{b.c}, false})
		b.c, b.meta = nil, nil
		return err
	})
}

// PutChunk implements store.Blobs. An incomplete blob waits for its next chunk for a day.
func (s *Store) PutChunk(ctx context.Context, c store.Chunk) (status store.BlobStatus, err error) {
	if err := store.CheckChunk(&c); err != nil {
		return status, err
	}
	if !s.use() {
		return status, store.ErrClosed
	}
	defer s.life.RUnlock()
	err = s.changeBlob(&c.Blob, func(b *blobChange) error {
		if err := b.put(ctx, &c); err != nil {
			return err
		}
		status = b.meta.status()
		return nil
	})
	return status, err
}

func (b *blobChange) put(ctx context.Context, c *store.Chunk) error {
	if b.meta != nil && b.meta.end() <= b.now {
		if err := b.remove(ctx); err != nil {
			return err
		}
	}
	expires := min(b.s.expires(b.now, c.Expires), maxTime)
	if b.meta == nil {
		return b.begin(ctx, c, expires)
	}
	m := b.meta
	if m.size != c.Size {
		return fmt.Errorf("%w: a blob of %d bytes, said to have %d before", store.ErrInvalid, c.Size, m.size)
	}
	if m.has(int(c.Index)) {
		if expires <= m.expires {
			return nil
		}
		m.expires = expires
		return b.save(ctx, true)
	}
	m.expires = max(m.expires, expires)
	return b.add(ctx, c)
}

// begin stores the first chunk, and charges the whole blob to its owner.
func (b *blobChange) begin(ctx context.Context, c *store.Chunk, expires int64) error {
	m := &blobMeta{id: c.Blob, owner: b.s.names.hash('u', c.Owner[:]), size: c.Size, expires: expires, touched: b.now}
	m.received = make([]byte, (store.Chunks(c.Size)+7)/8)
	m.note = hourOf(m.end())
	limit := b.s.opts.Quota.BlobBytes
	err := b.charge(&m.owner, func(used uint64) (uint64, error) {
		if c.Size > limit || used > limit-c.Size {
			return 0, fmt.Errorf("%w: blobs of %d bytes held, %d more, %d allowed", store.ErrQuota, used, c.Size, limit)
		}
		return used + c.Size, nil
	}, func() error {
		b.meta = m
		b.c.set(blobEndKey(m.note, &b.name), nil)
		return b.add(ctx, c)
	})
	return err
}

// add stores a chunk that is not there, and checks the whole if it is the last.
func (b *blobChange) add(ctx context.Context, c *store.Chunk) error {
	m := b.meta
	last := m.count()+1 == store.Chunks(m.size)
	if last {
		if ok, err := b.check(c); err != nil {
			return err
		} else if !ok {
			return b.refuse(ctx)
		}
	}
	b.c.setSealed(b.s.tree, chunkKey(&b.name, int(c.Index)), c.Data)
	m.received[c.Index/8] |= 1 << (c.Index % 8)
	m.touched = b.now
	if last {
		m.complete, m.received = true, nil
	}
	return b.save(ctx, true)
}

// refuse gives up a blob whose chunks have another hash than it was named by.
func (b *blobChange) refuse(ctx context.Context) error {
	err := fmt.Errorf("%w: %x", store.ErrHash, b.meta.id[:8])
	if len(b.c) > 0 {
		return err // its only chunk, of which nothing is stored
	}
	if failed := b.remove(ctx); failed != nil {
		return failed
	}
	return err
}

// check says whether the chunks that are there, and c, have the hash.
func (b *blobChange) check(c *store.Chunk) (bool, error) {
	sum := sha256.New()
	for i := range store.Chunks(c.Size) {
		data := c.Data
		if i != int(c.Index) {
			var err error
			if data, err = b.s.tree.get(chunkKey(&b.name, i)); err != nil {
				return false, err
			}
		}
		sum.Write(data)
	}
	return store.BlobID(sum.Sum(nil)) == c.Blob, nil
}

func (m *blobMeta) status() store.BlobStatus {
	status := store.BlobStatus{Size: m.size, Received: m.count(), Complete: m.complete, Expires: time.UnixMilli(m.end())}
	for i := 0; !m.complete && i < store.Chunks(m.size) && len(status.Missing) < store.MaxMissing; i++ {
		if !m.has(i) {
			status.Missing = append(status.Missing, uint32(i))
		}
	}
	return status
}

// Blob implements store.Blobs.
func (s *Store) Blob(ctx context.Context, id store.BlobID) (store.BlobStatus, error) {
	if !s.use() {
		return store.BlobStatus{}, store.ErrClosed
	}
	defer s.life.RUnlock()
	m, err := s.blob(&id)
	if err != nil {
		return store.BlobStatus{}, err
	}
	return m.status(), ctx.Err()
}

// blob reads what is known of a blob that has not expired.
func (s *Store) blob(id *store.BlobID) (m blobMeta, err error) {
	n := s.names.hash('b', id[:])
	value, err := s.tree.get(blobKey(&n))
	if err == nil && value != nil {
		m, err = decodeBlobMeta(value)
	}
	if err == nil && (value == nil || m.end() <= s.opts.Clock().UnixMilli()) {
		err = fmt.Errorf("%w: blob", store.ErrNotFound)
	}
	return m, err
}

// ReadChunk implements store.Blobs.
func (s *Store) ReadChunk(ctx context.Context, id store.BlobID, index uint32) ([]byte, error) {
	if !s.use() {
		return nil, store.ErrClosed
	}
	defer s.life.RUnlock()
	m, err := s.blob(&id)
	switch {
	case err != nil:
		return nil, err
	case !m.complete:
		return nil, fmt.Errorf("%w: blob is not complete", store.ErrNotFound)
	case int64(index) >= int64(store.Chunks(m.size)):
		return nil, fmt.Errorf("%w: chunk %d of %d", store.ErrInvalid, index, store.Chunks(m.size))
	}
	n := s.names.hash('b', id[:])
	data, err := s.tree.get(chunkKey(&n, int(index)))
	if err != nil {
		return nil, err
	}
	if len(data) != store.ChunkLength(m.size, int(index)) {
		if _, err := s.blob(&id); err != nil { // it went away meanwhile
			return nil, err
		}
		return nil, fmt.Errorf("%w: chunk of %d bytes", store.ErrCorrupt, len(data))
	}
	return data, ctx.Err()
}
