package ds

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"testing/synctest"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

// content returns size bytes that no other size begins with, and their hash.
func content(size int) ([]byte, []byte) {
	data := bytes.Repeat([]byte{byte(size), byte(size >> 8), 3, 4, 5, 6, 7}, size/7+1)[:size]
	sum := sha256.Sum256(data)
	return data, sum[:]
}

func (k *caller) putBlob(hash []byte, size, offset int, data []byte) (have int, complete bool, err error) {
	f, release := k.sendBlob(hash, size, offset, data)
	defer release()
	r, err := f.Struct()
	if err != nil {
		return 0, false, quicrpc.FromRPC(err)
	}
	return int(r.Have()), r.Complete(), nil
}

func (k *caller) sendBlob(hash []byte, size, offset int, data []byte) (schemas.DeliveryService_putBlob_Results_Future, func()) {
	return k.ds.PutBlob(context.Background(), func(p schemas.DeliveryService_putBlob_Params) error {
		p.SetSize(uint64(size))
		p.SetOffset(uint64(offset))
		return errors.Join(p.SetHash(hash), p.SetData(data))
	})
}

func (k *caller) getBlob(hash []byte, offset, max int) (data []byte, size int, err error) {
	f, release := k.ds.GetBlob(context.Background(), func(p schemas.DeliveryService_getBlob_Params) error {
		p.SetOffset(uint64(offset))
		p.SetMax(uint32(max))
		return p.SetHash(hash)
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, 0, quicrpc.FromRPC(err)
	}
	data, err = r.Data()
	return bytes.Clone(data), int(r.Size()), err
}

// upload sends a blob from where the service says that it ends.
func (k *caller) upload(data, hash []byte) error {
	have, complete, err := k.putBlob(hash, len(data), 0, nil)
	for err == nil && !complete {
		have, complete, err = k.putBlob(hash, len(data), have, data[have:min(have+store.ChunkSize, len(data))])
	}
	return err
}

func TestBlob(t *testing.T) {
	f := start(Limits{})
	k, other := f.caller(t, 1), f.caller(t, 2)
	data, hash := content(2*store.ChunkSize + 5)
	put := func(k *caller, offset, to, have int, done bool) {
		t.Helper()
		if got, complete, err := k.putBlob(hash, len(data), offset, data[offset:to]); got != have || complete != done || err != nil {
			t.Fatalf("put %d-%d: have %d, complete %v, %v", offset, to, got, complete, err)
		}
	}
	const c = store.ChunkSize
	put(k, 0, 0, 0, false)
	put(k, c, 2*c, 0, false) // not its turn
	put(k, 0, c, c, false)
	put(k, 0, c, c, false) // once more
	if _, _, err := other.getBlob(hash, 0, 0); !errors.Is(err, quicrpc.ErrNotFound) {
		t.Errorf("a blob that is not complete: %v", err)
	}
	put(k, c, 2*c, 2*c, false)
	put(k, 0, 0, 2*c, false)
	put(k, 2*c, len(data), len(data), true)
	put(other, 0, 0, len(data), true)
	put(other, 0, c, len(data), true)

	for _, at := range []struct{ offset, max, end int }{{0, 0, c}, {0, c, c}, {0, 1 << 31, c}, {1, 0, c}, {c - 1, 9, c}, {c, 7, c + 7}, {2 * c, 0, len(data)}, {len(data) - 1, 1, len(data)}} {
		got, size, err := other.getBlob(hash, at.offset, at.max)
		if err != nil || size != len(data) || !bytes.Equal(got, data[at.offset:at.end]) {
			t.Errorf("get %+v: %d bytes of %d, %v", at, len(got), size, err)
		}
	}
}

// TestBlobRefused: what cannot be is refused with its code, and nothing comes of it.
func TestBlobRefused(t *testing.T) {
	f := startOn(memory.New(memory.Options{Quota: store.Quota{BlobBytes: 3 * store.ChunkSize}}), Limits{})
	k := f.caller(t, 1)
	data, hash := content(2 * store.ChunkSize)
	const c = store.ChunkSize
	for name, at := range map[string]struct {
		hash         []byte
		size, offset int
		data         []byte
		want         error
	}{
		"10 GiB":            {hash, 10 << 30, 0, data[:c], quicrpc.ErrTooLarge},
		"more than allowed": {hash, store.MaxBlob + 1, 0, data[:c], quicrpc.ErrTooLarge},
		"2^64-1":            {hash, -1, 0, nil, quicrpc.ErrTooLarge},
		"empty":             {hash, 0, 0, nil, quicrpc.ErrInvalidArgument},
		"empty with data":   {hash, 0, 0, data[:1], quicrpc.ErrInvalidArgument},
		"no hash":           {nil, 2 * c, 0, data[:c], quicrpc.ErrInvalidArgument},
		"short hash":        {hash[:31], 2 * c, 0, data[:c], quicrpc.ErrInvalidArgument},
		"half a chunk":      {hash, 2 * c, 0, data[:c/2], quicrpc.ErrInvalidArgument},
		"two chunks":        {hash, 2 * c, 0, data, quicrpc.ErrInvalidArgument},
		"not aligned":       {hash, 2 * c, 1, data[:c], quicrpc.ErrInvalidArgument},
		"after the end":     {hash, 2 * c, 2 * c, data[:c], quicrpc.ErrInvalidArgument},
		"far after the end": {hash, 2 * c, -c, data[:c], quicrpc.ErrInvalidArgument},
		"above the quota":   {hash, 4 * c, 0, data[:c], quicrpc.ErrQuotaExceeded},
	} {
		if have, complete, err := k.putBlob(at.hash, at.size, at.offset, at.data); !errors.Is(err, at.want) {
			t.Errorf("%s: %d %v %v, want %v", name, have, complete, err, at.want)
		}
	}
	if _, err := f.store.Blob(t.Context(), store.BlobID(hash)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something came of it: %v", err)
	}
	for name, at := range map[string]struct {
		hash   []byte
		offset int
		want   error
	}{"unknown": {hash, 0, quicrpc.ErrNotFound}, "short hash": {hash[1:], 0, quicrpc.ErrInvalidArgument}} {
		if _, _, err := k.getBlob(at.hash, at.offset, 0); !errors.Is(err, at.want) {
			t.Errorf("get, %s: %v, want %v", name, err, at.want)
		}
	}

	if err := k.upload(data, hash); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.putBlob(hash, len(data)-1, 0, nil); !errors.Is(err, quicrpc.ErrInvalidArgument) {
		t.Errorf("another size: %v", err)
	}
	for _, offset := range []int{len(data), len(data) + 1, 1 << 62, -1} {
		if _, _, err := k.getBlob(hash, offset, 0); !errors.Is(err, quicrpc.ErrInvalidArgument) {
			t.Errorf("get from %d: %v", offset, err)
		}
	}
}

// TestBlobWrongHash: an upload that comes to another hash than it was named by is dropped, and what it held of the quota is free again.
func TestBlobWrongHash(t *testing.T) {
	f := startOn(memory.New(memory.Options{Quota: store.Quota{BlobBytes: 2 * store.ChunkSize}}), Limits{})
	k := f.caller(t, 1)
	data, hash := content(2 * store.ChunkSize)
	for range 2 {
		bad := bytes.Clone(data)
		bad[len(bad)-1]++
		if err := k.upload(bad, hash); !errors.Is(err, quicrpc.ErrInvalidArgument) {
			t.Fatalf("wrong content: %v", err)
		}
		if have, complete, err := k.putBlob(hash, len(data), 0, nil); have != 0 || complete || err != nil {
			t.Fatalf("after it: %d %v %v", have, complete, err)
		}
	}
	if err := k.upload(data, hash); err != nil {
		t.Fatal(err)
	}
}

// TestBlobMessage: a message that needs a blob is refused until it is complete.
func TestBlobMessage(t *testing.T) {
	f := start(Limits{})
	k := f.caller(t, 1)
	data, hash := content(store.ChunkSize + 1)
	status := func() store.Status {
		t.Helper()
		f, release := k.ds.EnqueueMany(t.Context(), func(p schemas.DeliveryService_enqueueMany_Params) error {
			list, err := p.NewSubmissions(1)
			if err != nil {
				return err
			}
			to, e1 := list.At(0).NewRecipients(1)
			blobs, e2 := list.At(0).NewBlobs(1)
			return errors.Join(e1, e2, to.Set(0, key(2)), blobs.Set(0, hash), list.At(0).SetId(id16(1)), list.At(0).SetPayload([]byte("see blob")))
		})
		defer release()
		results, err := answers(f)
		if err != nil {
			t.Fatal(err)
		}
		return results[0][0].Status
	}
	noBlob := store.Status(schemas.EnqueueStatus_noBlob)
	if s := status(); s != noBlob {
		t.Errorf("without the blob: %v", s)
	}
	if _, _, err := k.putBlob(hash, len(data), 0, data[:store.ChunkSize]); err != nil {
		t.Fatal(err)
	}
	if s := status(); s != noBlob {
		t.Errorf("with half of the blob: %v", s)
	}
	if err := k.upload(data, hash); err != nil {
		t.Fatal(err)
	}
	if s := status(); s != store.Stored {
		t.Errorf("with the blob: %v", s)
	}
}

// slowBlobs is a store whose disk takes chunks only when it is told to.
type slowBlobs struct {
	store.Store
	at, open chan struct{}
}

func (s *slowBlobs) PutChunk(ctx context.Context, c store.Chunk) (store.BlobStatus, error) {
	s.at <- struct{}{}
	<-s.open
	return s.Store.PutChunk(ctx, c)
}

// TestBlobsApart: while the disk is slow with chunks, a message on the same stream goes through; few chunks are at the disk at once, some wait, and more are refused.
func TestBlobsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowBlobs{memory.New(memory.Options{}), make(chan struct{}, 100), make(chan struct{})}
		f := startOn(slow, Limits{})
		defer f.Close()
		k := f.caller(t, 1)
		const most = maxBulkEach + maxBulkWaiting
		var futures []schemas.DeliveryService_putBlob_Results_Future
		for i := range most + 3 {
			data, hash := content(i + 1)
			f, release := k.sendBlob(hash, len(data), 0, data)
			defer release()
			futures = append(futures, f)
		}
		if err := k.enqueue(key(2), []byte("small")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(slow.at); n != maxBulkEach {
			t.Errorf("%d chunks at the disk at once, want %d", n, maxBulkEach)
		}
		close(slow.open)
		refused := 0
		for _, f := range futures {
			r, err := f.Struct()
			switch err = quicrpc.FromRPC(err); {
			case errors.Is(err, quicrpc.ErrRateLimited):
				refused++
			case err != nil || !r.Complete():
				t.Errorf("%v, complete %v", err, r.Complete())
			}
		}
		if refused != 3 {
			t.Errorf("%d refused, want 3", refused)
		}
		if len(f.bulk.gates) != 0 {
			t.Errorf("%d gates are left", len(f.bulk.gates))
		}
	})
}

// TestBlobWaitEnds: who waits for the disk's turn is let go when the connection ends.
func TestBlobWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBulk(), newConn(1)
		for range maxBulkEach {
			done, err := b.enter(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer done()
		}
		ended := make(chan error)
		go func() {
			_, err := b.enter(t.Context(), c)
			ended <- err
		}()
		synctest.Wait()
		c.cancel()
		if err := <-ended; !errors.Is(err, quicrpc.ErrUnavailable) {
			t.Error(err)
		}
	})
}
