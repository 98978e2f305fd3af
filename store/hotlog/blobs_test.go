package hotlog

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// testBlob is content of a size, which differs by n, as chunks of one owner.
func testBlob(n, size int) (content []byte, parts []store.Chunk) {
	content = make([]byte, size)
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	id := store.BlobID(sha256.Sum256(content))
	for i, data := range slices.Collect(slices.Chunk(content, store.ChunkSize)) {
		parts = append(parts, store.Chunk{Blob: id, Owner: benchOwner(1), Size: uint64(size), Index: uint32(i), Data: data})
	}
	return content, parts
}

func mustPut(t *testing.T, s *Store, c store.Chunk) store.BlobStatus {
	t.Helper()
	status, err := s.PutChunk(t.Context(), c)
	if err != nil {
		t.Fatalf("chunk %d: %v", c.Index, err)
	}
	return status
}

// blobOptions have segments that hold a chunk.
func blobOptions(fs vfs.FS) Options {
	o := small("/store")
	o.SegmentBytes, o.LogBytes, o.FS = 2<<20, 4<<20, fs
	return o
}

// holds checks that a blob is there whole.
func holds(t *testing.T, s *Store, content []byte) {
	t.Helper()
	id := store.BlobID(sha256.Sum256(content))
	var got []byte
	for i := range store.Chunks(uint64(len(content))) {
		data, err := s.ReadChunk(t.Context(), id, uint32(i))
		if err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
		got = append(got, data...)
	}
	if !bytes.Equal(got, content) {
		t.Fatal("other content")
	}
}

// TestBlob puts chunks in any order, with a restart between, and twice.
func TestBlob(t *testing.T) {
	for _, key := range [][]byte{nil, make([]byte, KeySize)} {
		o := blobOptions(vfs.NewMem())
		o.Key = key
		s := mustOpen(t, o)
		content, parts := testBlob(1, 10*store.ChunkSize+77)
		id := parts[0].Blob
		if _, err := s.Blob(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("before: %v", err)
		}
		order := rand.Perm(len(parts))
		for n, i := range order {
			if n == 5 {
				mustClose(t, s)
				s = mustOpen(t, o)
			}
			if _, err := s.ReadChunk(t.Context(), id, uint32(order[0])); !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("read before it is complete: %v", err)
			}
			mustPut(t, s, parts[i])
			status := mustPut(t, s, parts[i])
			if status.Received != n+1 || len(status.Missing) != len(parts)-n-1 || status.Complete != (n+1 == len(parts)) || slices.Contains(status.Missing, uint32(i)) {
				t.Fatalf("after %d chunks: %+v", n+1, status)
			}
		}
		holds(t, s, content)
		if _, err := s.ReadChunk(t.Context(), id, 11); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("chunk 11 of 11: %v", err)
		}
		mustClose(t, s)
		s = mustOpen(t, o)
		holds(t, s, content)
		mustClose(t, s)
	}
}

// TestBlobRefused: what does not fit changes nothing, and a blob of another hash is given up with all it used.
func TestBlobRefused(t *testing.T) {
	o := blobOptions(vfs.NewMem())
	o.Quota.BlobBytes = 3 * store.ChunkSize
	s := mustOpen(t, o)
	defer mustClose(t, s)
	_, parts := testBlob(1, 2*store.ChunkSize+1)
	refuse := func(want error, c store.Chunk) {
		t.Helper()
		if _, err := s.PutChunk(t.Context(), c); !errors.Is(err, want) {
			t.Errorf("chunk %d of %d bytes in %d: %v, want %v", c.Index, len(c.Data), c.Size, err, want)
		}
	}
	for _, f := range []func(c *store.Chunk){
		func(c *store.Chunk) { c.Size = 0 },
		func(c *store.Chunk) { c.Size = store.MaxBlob + 1 },
		func(c *store.Chunk) { c.Index = 3 },
		func(c *store.Chunk) { c.Index = 1<<32 - 1 },
		func(c *store.Chunk) { c.Data = c.Data[1:] },
		func(c *store.Chunk) { c.Index = 2 },
	} {
		c := parts[0]
		f(&c)
		refuse(store.ErrInvalid, c)
	}
	mustPut(t, s, parts[0])
	other := parts[1]
	other.Size++
	refuse(store.ErrInvalid, other)
	_, big := testBlob(2, 2*store.ChunkSize)
	refuse(store.ErrQuota, big[0])
	bad := parts[1]
	bad.Data = slices.Clone(bad.Data)
	bad.Data[7]++
	mustPut(t, s, bad)
	refuse(store.ErrHash, parts[2])
	if _, err := s.Blob(t.Context(), parts[0].Blob); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after the refusal: %v", err)
	}
	one := store.Chunk{Blob: store.BlobID{1}, Owner: benchOwner(1), Size: 5, Data: []byte("wrong")}
	refuse(store.ErrHash, one)
	for _, c := range big { // the quota is free again
		mustPut(t, s, c)
	}
	mustPut(t, s, store.Chunk{Blob: sha256.Sum256([]byte("right")), Owner: benchOwner(2), Size: 5, Data: []byte("right")})
}

// TestBlobRace has many write the same blob.
func TestBlobRace(t *testing.T) {
	s := mustOpen(t, blobOptions(vfs.NewMem()))
	defer mustClose(t, s)
	content, parts := testBlob(3, 6*store.ChunkSize)
	var wg sync.WaitGroup
	var complete atomic.Int32
	for range 8 {
		wg.Go(func() {
			for _, i := range rand.Perm(len(parts)) {
				status, err := s.PutChunk(t.Context(), parts[i])
				if err != nil {
					t.Error(err)
				}
				if status.Complete {
					complete.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if complete.Load() == 0 {
		t.Error("nobody completed it")
	}
	holds(t, s, content)
}

// TestBlobExpires: a blob lives as long as what holds on to it, one that nobody completes a day, and then its owner's quota is free.
func TestBlobExpires(t *testing.T) {
	c := newClock()
	o := blobOptions(vfs.NewMem())
	o.Clock, o.Quota.BlobBytes = c.now, 2*store.ChunkSize+1
	s := mustOpen(t, o)
	content, parts := testBlob(4, store.ChunkSize)
	parts[0].Expires = c.now().Add(2 * time.Hour)
	mustPut(t, s, parts[0])
	half, halves := testBlob(5, store.ChunkSize/2)
	halves[0].Expires = c.now().Add(2 * time.Hour)
	mustPut(t, s, halves[0])
	q := store.QueueID{Owner: benchOwner(9)}
	m := testMessage(q, 1)
	m.Blobs, m.Expires = []store.BlobID{parts[0].Blob}, c.now().Add(50*time.Hour)
	put(t, s, m)
	_, open := testBlob(6, store.ChunkSize/2+store.ChunkSize/4) // more than is left
	if _, err := s.PutChunk(t.Context(), open[0]); !errors.Is(err, store.ErrQuota) {
		t.Errorf("above the quota: %v", err)
	}
	c.pass(4 * time.Hour)
	if _, err := s.Blob(t.Context(), halves[0].Blob); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("expired: %v", err)
	}
	if n := sweepAll(t, s, 10); n != 1 {
		t.Errorf("swept %d, want one blob", n)
	}
	halves[0].Expires = c.now().Add(2 * time.Hour)
	mustPut(t, s, halves[0]) // it can come again
	holds(t, s, half)
	c.pass(40 * time.Hour)
	mustClose(t, s)
	s = mustOpen(t, o)
	sweepAll(t, s, 10)
	holds(t, s, content)
	_, two := testBlob(7, store.ChunkSize+1)
	mustPut(t, s, two[0]) // and is never completed
	c.pass(23 * time.Hour)
	sweepAll(t, s, 10)
	if _, err := s.Blob(t.Context(), two[0].Blob); err != nil {
		t.Errorf("after 23 hours: %v", err)
	}
	if _, err := s.Blob(t.Context(), parts[0].Blob); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after the message: %v", err)
	}
	c.pass(3 * time.Hour)
	sweepAll(t, s, 10)
	left := 0
	for _, kind := range []byte{kindBlob, kindChunk, kindUsed, kindBlobEnd} {
		if err := s.tree.scan([]byte{kind}, []byte{kind + 1}, func(_, _ []byte) (bool, error) { left++; return true, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if left != 0 {
		t.Errorf("%d values of blobs are left", left)
	}
	mustClose(t, s)
}

// TestNoBlob: what names a blob that is not there, or not whole, is not stored.
func TestNoBlob(t *testing.T) {
	s := mustOpen(t, blobOptions(vfs.NewMem()))
	defer mustClose(t, s)
	newGroup(t, s, "g", 2)
	_, parts := testBlob(1, store.ChunkSize+1)
	q := store.QueueID{Owner: benchOwner(9)}
	m, p := testMessage(q, 1), testPost("g", 1, 1)
	c := testCommit("g", 0, 8)
	c.Added = []store.Identity{benchOwner(9)}
	c.Welcomes = []store.Message{testMessage(q, 2)}
	m.Blobs, p.Blobs, c.Welcomes[0].Blobs = []store.BlobID{parts[0].Blob}, []store.BlobID{parts[0].Blob}, []store.BlobID{parts[0].Blob}
	for n := range 2 {
		if r, err := s.Enqueue(t.Context(), []store.Message{m, testMessage(q, uint64(100+n))}); err != nil || r[0].Status != store.NoBlob || r[1] != (store.Result{Status: store.Stored, Seq: uint64(n + 1)}) {
			t.Errorf("enqueue: %+v, %v", r, err)
		}
		mustPost(t, s, p, store.Result{Status: store.NoBlob})
		if r, err := s.Commit(t.Context(), c); err != nil || r != (store.Result{Status: store.NoBlob}) {
			t.Errorf("commit: %+v, %v", r, err)
		}
		mustPut(t, s, parts[0])
	}
	if g := describe(t, s, "g"); g.Epoch != 8 || g.Members != 2 {
		t.Errorf("a refused commit: %+v", g)
	}
	mustPut(t, s, parts[1])
	if seq := put(t, s, m); seq != 3 {
		t.Errorf("stored at %d", seq)
	}
	mustPost(t, s, p, store.Result{Status: store.Stored, Seq: 2})
	mustCommit(t, s, c, 3)
}

// TestBlobCrash crashes the machine while blobs are written and given up: what was answered is there, and the quota is what the blobs hold.
func TestBlobCrash(t *testing.T) {
	for seed := range uint64(crashes(t)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { // so that each store is let go
			r := rand.New(rand.NewPCG(seed, 11))
			mem := vfs.NewCrashableMem()
			o := blobOptions(mem)
			s := mustOpen(t, o)
			at, clone := r.IntN(24), (*vfs.MemFS)(nil)
			sure := 0
			for n := range 8 {
				_, parts := testBlob(n, 3*store.ChunkSize)
				if n%3 == 2 {
					parts[1].Data = make([]byte, store.ChunkSize)
				}
				for i := range parts {
					_, err := s.PutChunk(t.Context(), parts[i])
					if bad := n%3 == 2 && i == 2; bad != errors.Is(err, store.ErrHash) || !bad && err != nil {
						t.Fatalf("blob %d, chunk %d: %v", n, i, err)
					}
					if clone == nil {
						sure = 3*n + i + 1
					}
					if 3*n+i == at {
						clone = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%3) * 50, RNG: r})
					}
				}
			}
			mustClose(t, s)
			o.FS = clone
			s = mustOpen(t, o)
			checkBlobs(t, s, sure)
			mustClose(t, s)
		})
	}
}

func checkBlobs(t *testing.T, s *Store, sure int) {
	held := uint64(0)
	for n := range 8 {
		content, parts := testBlob(n, 3*store.ChunkSize)
		status, err := s.Blob(t.Context(), parts[0].Blob)
		want := min(max(sure-3*n, 0), 3)
		if n%3 == 2 && want == 3 {
			want = 0
		}
		switch {
		case want == 0 && errors.Is(err, store.ErrNotFound):
		case err != nil || status.Received != want:
			t.Errorf("blob %d: %+v, %v, want %d chunks", n, status, err, want)
		default:
			held += 3 * store.ChunkSize
			if status.Complete {
				holds(t, s, content)
			}
		}
	}
	used := uint64(0)
	err := s.tree.scan([]byte{kindUsed}, []byte{kindUsed + 1}, func(_, value []byte) (bool, error) {
		n, err := decodeUsed(value)
		used += n
		return true, err
	})
	if err != nil || used != held {
		t.Errorf("%d bytes are charged, %d held, %v", used, held, err)
	}
}

// FuzzBlob: what is decoded is what was encoded.
func FuzzBlob(f *testing.F) {
	m := blobMeta{id: store.BlobID{1}, owner: name{2}, size: 3*store.ChunkSize + 1, expires: 1 << 40, touched: 1 << 39, note: 7, received: []byte{5}}
	f.Add(m.append(nil))
	m.complete, m.received = true, nil
	f.Add(m.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeUsed(b)
		m, err := decodeBlobMeta(b)
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := decodeBlobMeta(m.append(nil))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(m) {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
		_ = m.status()
	})
}
