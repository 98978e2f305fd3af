package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"quicnprotochat/store"
)

// content is the bytes of a blob that is different for each seed.
func content(size int, seed byte) []byte {
	b := make([]byte, size)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// chunkOf is one chunk of a blob with content b.
func (e *engine) chunkOf(b []byte, who, index int) store.Chunk {
	from := index * store.ChunkSize
	return store.Chunk{
		Blob: sha256.Sum256(b), Owner: owner(who), Size: uint64(len(b)), Index: uint32(index),
		Data: b[from:min(from+store.ChunkSize, len(b))], Expires: e.clock().Add(48 * time.Hour),
	}
}

func (e *engine) putChunk(c store.Chunk) store.BlobStatus {
	e.Helper()
	status, err := e.PutChunk(context.Background(), c)
	if err != nil {
		e.Fatalf("chunk %d: %v", c.Index, err)
	}
	return status
}

func (e *engine) putBlob(b []byte, who int) store.BlobID {
	e.Helper()
	for i := 0; i*store.ChunkSize < len(b); i++ {
		e.putChunk(e.chunkOf(b, who, i))
	}
	return sha256.Sum256(b)
}

func (e *engine) hasBlob(b []byte) {
	e.Helper()
	for i := 0; i*store.ChunkSize < len(b); i++ {
		c := e.chunkOf(b, 0, i)
		data, err := e.ReadChunk(context.Background(), c.Blob, c.Index)
		if err != nil || !bytes.Equal(data, c.Data) {
			e.Fatalf("chunk %d: %d bytes, %v", i, len(data), err)
		}
	}
}

func (e *engine) noBlob(id store.BlobID) {
	e.Helper()
	if status, err := e.Blob(context.Background(), id); !errors.Is(err, store.ErrNotFound) {
		e.Fatalf("a blob that should be gone: %+v, %v", status, err)
	}
	if _, err := e.ReadChunk(context.Background(), id, 0); !errors.Is(err, store.ErrNotFound) {
		e.Fatalf("a chunk that should be gone: %v", err)
	}
}

// testBlobResume sends a blob in any order, in parts, some of them twice, with restarts between.
func testBlobResume(t *testing.T, e *engine) {
	e.start(store.Quota{})
	b := content(5*store.ChunkSize+100, 1)
	id := store.BlobID(sha256.Sum256(b))
	e.noBlob(id)
	for n, i := range []int{4, 0, 0, 5} {
		e.putChunk(e.chunkOf(b, 1+n, i))
	}
	check := func() {
		t.Helper()
		status, err := e.Blob(t.Context(), id)
		if err != nil || status.Complete || status.Received != 3 || status.Size != uint64(len(b)) || !slices.Equal(status.Missing, []uint32{1, 2, 3}) {
			t.Fatalf("%+v, %v", status, err)
		}
		if _, err := e.ReadChunk(t.Context(), id, 0); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("read before it is complete: %v", err)
		}
	}
	check()
	e.again()
	check()
	e.putChunk(e.chunkOf(b, 1, 3))
	e.putChunk(e.chunkOf(b, 1, 1))
	e.again()
	if status := e.putChunk(e.chunkOf(b, 1, 2)); !status.Complete || len(status.Missing) != 0 || status.Received != 6 {
		t.Fatalf("%+v", status)
	}
	e.hasBlob(b)
	e.again()
	e.hasBlob(b)
	if status := e.putChunk(e.chunkOf(b, 2, 2)); !status.Complete {
		t.Fatalf("a chunk that comes again: %+v", status)
	}
	if _, err := e.ReadChunk(t.Context(), id, 6); !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("a chunk past the end: %v", err)
	}
	large := make([]byte, 70*store.ChunkSize)
	if status := e.putChunk(e.chunkOf(large, 1, 69)); len(status.Missing) != 64 || status.Missing[63] != 63 {
		t.Fatalf("the missing of a large blob: %v", status.Missing)
	}
}

func testBlobRefused(t *testing.T, e *engine) {
	e.start(store.Quota{BlobBytes: 2*store.ChunkSize + 10})
	b := content(store.ChunkSize+5, 1)
	good := e.chunkOf(b, 1, 0)
	for name, f := range map[string]func(c *store.Chunk){
		"empty":       func(c *store.Chunk) { c.Size, c.Data = 0, nil },
		"too large":   func(c *store.Chunk) { c.Size = store.MaxBlob + 1 },
		"no such":     func(c *store.Chunk) { c.Index = 2 },
		"short":       func(c *store.Chunk) { c.Data = c.Data[1:] },
		"long at end": func(c *store.Chunk) { c.Index = 1 },
	} {
		c := good
		f(&c)
		if _, err := e.PutChunk(t.Context(), c); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		e.noBlob(good.Blob)
	}
	e.putChunk(good)
	other := good
	other.Size++
	if _, err := e.PutChunk(t.Context(), other); !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("another size: %v", err)
	}
	wrong := e.chunkOf(b, 1, 1)
	wrong.Data = []byte("wrong")
	if _, err := e.PutChunk(t.Context(), wrong); !errors.Is(err, store.ErrHash) {
		t.Fatalf("another hash: %v", err)
	}
	e.noBlob(good.Blob)
	e.again()
	e.noBlob(good.Blob)

	e.putBlob(b, 1)
	second := content(store.ChunkSize, 2)
	if _, err := e.PutChunk(t.Context(), e.chunkOf(second, 1, 0)); err != nil {
		t.Fatalf("what was refused still counts: %v", err)
	}
	third := content(6, 3)
	e.again()
	if _, err := e.PutChunk(t.Context(), e.chunkOf(third, 1, 0)); !errors.Is(err, store.ErrQuota) {
		t.Fatalf("above the quota: %v", err)
	}
	e.noBlob(sha256.Sum256(third))
	e.putBlob(third, 2) // another owner's
	e.putBlob(b, 2)     // which is there already
	e.pass(49 * time.Hour)
	e.noBlob(good.Blob)
	e.sweep()
	e.again()
	e.noBlob(good.Blob)
	e.putBlob(content(2*store.ChunkSize+10, 4), 1) // all of the quota is free again
}

// testBlobHeld has messages of all kinds hold on to blobs, which live as long as these and no longer.
func testBlobHeld(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 1)
	var blobs [][]byte
	var ids []store.BlobID
	for n := range 4 {
		blobs = append(blobs, content(store.ChunkSize/2+n, byte(n)))
		ids = append(ids, e.putBlob(blobs[n], 1))
	}
	until := e.clock().Add(20 * 24 * time.Hour)
	m, p, c := message(inbox(1), 1), post("g", 1, 1), change("g", 1, 3, 2)
	m.Expires, m.Blobs = until, ids[:1]
	p.Expires, p.Blobs = until, ids[1:2]
	w := message(inbox(2), 3)
	w.Expires, w.Blobs = until, ids[2:3]
	c.Added, c.Welcomes = owners(2), []store.Message{w}
	if r := e.enqueue(m); r.Status != store.Stored {
		t.Fatalf("%+v", r)
	}
	if r := e.postAs(p); r.Status != store.Stored {
		t.Fatalf("%+v", r)
	}
	e.commit(c)
	missing := message(inbox(1), 4)
	missing.Expires, missing.Blobs = until, []store.BlobID{ids[0], {9}} // it may hold what there is, though it is refused
	half := content(2*store.ChunkSize, 9)
	e.putChunk(e.chunkOf(half, 1, 0))
	incomplete := message(inbox(1), 5)
	incomplete.Blobs = []store.BlobID{sha256.Sum256(half)}
	for _, m := range []store.Message{missing, incomplete} {
		if r := e.enqueue(m); r != (store.Result{Status: store.NoBlob}) {
			t.Fatalf("%+v", r)
		}
	}
	e.pass(49 * time.Hour)
	e.sweep()
	e.again()
	e.noBlob(ids[3]) // which nothing holds
	e.noBlob(sha256.Sum256(half))
	for n := range 3 {
		e.hasBlob(blobs[n])
	}
	e.ack(inbox(1), 1)
	e.pass(until.Sub(e.clock()) - time.Minute)
	e.sweep()
	for n := range 3 {
		e.hasBlob(blobs[n])
		if status, err := e.Blob(t.Context(), ids[n]); err != nil || status.Expires.Before(until) {
			t.Fatalf("%+v, %v, want it to live until %v", status, err, until)
		}
	}
	e.pass(3 * time.Hour)
	e.sweep()
	e.again()
	for n := range 3 {
		e.noBlob(ids[n])
	}
	m.ID, m.Expires = id(50), time.Time{}
	if r := e.enqueue(m); r != (store.Result{Status: store.NoBlob}) {
		t.Fatalf("a message with a blob that is gone: %+v", r)
	}
}
