package ds

import (
	"context"
	"errors"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// PutBlob adds a chunk to a blob. Chunks come in order: what begins elsewhere than where the blob ends so far changes nothing, so that a caller who
// asks first, or repeats itself, does no harm.
func (c *server) PutBlob(ctx context.Context, call schemas.DeliveryService_putBlob) error {
	if err := c.change(ctx, putBlob); err != nil {
		return err
	}
	args := call.Args()
	hash, err := blobID(args.Hash())
	if err != nil {
		return err
	}
	data, err := args.Data()
	if err != nil {
		return malformed(err)
	}
	size, offset := args.Size(), args.Offset()
	if err := c.s.checkBlob(size, offset, len(data)); err != nil {
		return err
	}
	call.Go() // a small message behind it on the stream does not wait for it
	done, err := c.s.bulk.enter(ctx, c.session)
	if err != nil {
		return err
	}
	defer done()
	have, complete, err := c.putChunk(ctx, hash, size, offset, data)
	if err != nil {
		return c.s.blobFailure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetHave(have)
	results.SetComplete(complete)
	return nil
}

// putChunk stores a chunk if it is the next one, and says how much of the blob is there.
func (c *server) putChunk(ctx context.Context, hash store.BlobID, size, offset uint64, data []byte) (have uint64, complete bool, err error) {
	status, err := c.s.store.Blob(ctx, hash)
	switch {
	case errors.Is(err, store.ErrNotFound):
		status = store.BlobStatus{Size: size, Missing: []uint32{0}}
	case err != nil:
		return 0, false, err
	case status.Size != size:
		return 0, false, invalid("the blob has another size")
	}
	if len(data) > 0 && !status.Complete && offset == blobEnd(&status) {
		status, err = c.s.store.PutChunk(ctx, store.Chunk{Blob: hash, Owner: c.owner, Size: size, Index: uint32(offset / store.ChunkSize), Data: data})
		if err != nil {
			return 0, false, err
		}
	}
	return blobEnd(&status), status.Complete, nil
}

// blobEnd is where the first chunk that is missing begins.
func blobEnd(status *store.BlobStatus) uint64 {
	if status.Complete || len(status.Missing) == 0 {
		return status.Size
	}
	return uint64(status.Missing[0]) * store.ChunkSize
}

// checkBlob checks what a call says of a blob before anything is looked up or stored.
func (s *Service) checkBlob(size, offset uint64, data int) error {
	switch {
	case size > s.limits.MaxBlob:
		return quicrpc.Errorf(quicrpc.CodeTooLarge, "blob of %d bytes, at most %d allowed", size, s.limits.MaxBlob)
	case size == 0:
		return invalid("empty blob")
	case data == 0:
		return nil
	case offset >= size || offset%store.ChunkSize != 0:
		return invalid("chunk at %d of a blob of %d bytes", offset, size)
	}
	if want := store.ChunkLength(size, int(offset/store.ChunkSize)); data != want {
		return invalid("chunk of %d bytes at %d of a blob of %d bytes, want %d", data, offset, size, want)
	}
	return nil
}

// GetBlob returns part of a complete blob.
func (c *server) GetBlob(ctx context.Context, call schemas.DeliveryService_getBlob) error {
	if err := c.s.begin(getBlob); err != nil {
		return err
	}
	args := call.Args()
	hash, err := blobID(args.Hash())
	if err != nil {
		return err
	}
	offset, most := args.Offset(), limit(args.Max(), store.ChunkSize)
	call.Go()
	done, err := c.s.bulk.enter(ctx, c.session)
	if err != nil {
		return err
	}
	defer done()
	status, err := c.s.store.Blob(ctx, hash)
	if err != nil {
		return c.s.blobFailure(err)
	}
	if !status.Complete {
		return errNoBlob
	}
	if offset >= status.Size {
		return invalid("offset %d of a blob of %d bytes", offset, status.Size)
	}
	data, err := c.s.store.ReadChunk(ctx, hash, uint32(offset/store.ChunkSize))
	if err != nil {
		return c.s.blobFailure(err)
	}
	data = data[min(offset%store.ChunkSize, uint64(len(data))):]
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetSize(status.Size)
	return results.SetData(data[:min(most, len(data))])
}

func blobID(hash []byte, err error) (store.BlobID, error) {
	if err != nil {
		return store.BlobID{}, malformed(err)
	}
	if len(hash) != len(store.BlobID{}) {
		return store.BlobID{}, invalid("blob's hash of %d bytes, want %d", len(hash), len(store.BlobID{}))
	}
	return store.BlobID(hash), nil
}

// errNoBlob does not tell a blob that is not complete from one that nobody knows.
var errNoBlob = quicrpc.Errorf(quicrpc.CodeNotFound, "no such blob, or it is not complete")

// blobFailure says to the caller what the store said of a blob.
func (s *Service) blobFailure(err error) error {
	var said *quicrpc.RPCError
	switch {
	case errors.As(err, &said):
		return err
	case errors.Is(err, store.ErrNotFound):
		return errNoBlob
	case errors.Is(err, store.ErrHash):
		return invalid("the blob has another hash: the upload is dropped")
	case errors.Is(err, store.ErrQuota):
		return quicrpc.Errorf(quicrpc.CodeQuotaExceeded, "your blobs are at their limit")
	case errors.Is(err, store.ErrInvalid):
		return invalid("%v", err)
	}
	return s.failure(err)
}
