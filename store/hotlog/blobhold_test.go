package hotlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// noted counts what the tree holds of blobs, by kind, and the bytes that are charged.
func noted(t *testing.T, s *Store) (n map[byte]int, used uint64) {
	t.Helper()
	n = make(map[byte]int)
	for _, kind := range []byte{kindBlob, kindChunk, kindUsed, kindBlobEnd} {
		err := s.tree.scan([]byte{kind}, []byte{kind + 1}, func(key, value []byte) (bool, error) {
			n[kind]++
			if kind != kindUsed {
				return true, nil
			}
			plain, err := s.tree.seal.open(key, value)
			if err != nil {
				return false, err
			}
			bytes, err := decodeUsed(plain)
			used += bytes
			return true, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return n, used
}

// TestBlobHeld has many messages hold on to one blob: it is written when it must live longer, not for each of them.
func TestBlobHeld(t *testing.T) {
	c := newClock()
	o := blobOptions(vfs.NewMem())
	o.Clock = c.now
	s := mustOpen(t, o)
	defer mustClose(t, s)
	content, parts := testBlob(1, 1000)
	parts[0].Expires = c.now().Add(time.Hour)
	mustPut(t, s, parts[0])
	q := store.QueueID{Owner: benchOwner(9)}
	ends := make(map[time.Time]bool)
	for n := range uint64(100) {
		m := testMessage(q, n+1)
		m.Blobs = []store.BlobID{parts[0].Blob}
		put(t, s, m)
		status, err := s.Blob(t.Context(), parts[0].Blob)
		if err != nil || status.Expires.Before(c.now().Add(s.opts.DefaultTTL)) {
			t.Fatalf("after message %d: %+v, %v", n+1, status, err)
		}
		ends[status.Expires] = true
		c.pass(time.Minute)
	}
	if len(ends) > 3 {
		t.Errorf("100 messages in as many minutes changed the end %d times", len(ends))
	}
	c.pass(s.opts.DefaultTTL - 10*time.Minute)
	p, err := s.Read(t.Context(), q, 0, 100, 1<<20)
	if err != nil || len(p.Messages) == 0 {
		t.Fatalf("%d messages are left, %v", len(p.Messages), err)
	}
	sweepAll(t, s, 1000)
	holds(t, s, content)
}

// TestBlobCorrupt: a blob that cannot be read is said to be so, and does not keep others from being swept.
func TestBlobCorrupt(t *testing.T) {
	for _, key := range [][]byte{nil, make([]byte, KeySize)} {
		c := newClock()
		o := blobOptions(vfs.NewMem())
		o.Clock, o.Key = c.now, key
		s := mustOpen(t, o)
		for n := range 2 {
			_, parts := testBlob(n, 100)
			parts[0].Expires = c.now().Add(time.Hour)
			mustPut(t, s, parts[0])
		}
		_, parts := testBlob(0, 100)
		bad := s.names.hash('b', parts[0].Blob[:])
		var change changes
		change.set(blobKey(&bad), []byte("nonsense"))
		if err := s.do(t.Context(), &changeOp{change}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Blob(t.Context(), parts[0].Blob); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("corrupt: %v", err)
		}
		if _, err := s.PutChunk(t.Context(), parts[0]); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("put in a corrupt blob: %v", err)
		}
		c.pass(3 * time.Hour)
		if n := sweepAll(t, s, 1); n != 1 {
			t.Errorf("swept %d, want one", n)
		}
		if n, used := noted(t, s); n[kindBlobEnd] != 0 || n[kindBlob] != 1 || used != 100 {
			t.Errorf("left: %v, %d bytes are charged", n, used)
		}
		mustClose(t, s)
	}
}

// TestBlobSweepCrash crashes the machine while blobs are swept: each is there whole with what it is charged, or gone with all that.
func TestBlobSweepCrash(t *testing.T) {
	const blobs, size = 12, 2*store.ChunkSize + 5
	for seed := range uint64(crashes(t)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 13))
			c, mem := newClock(), vfs.NewCrashableMem()
			o := blobOptions(mem)
			o.Clock = c.now
			if seed%2 == 1 {
				o.Key = make([]byte, KeySize)
			}
			s := mustOpen(t, o)
			for n := range blobs {
				_, parts := testBlob(n, size)
				for i := range parts[:1+n%3] { // a third is complete
					parts[i].Expires = c.now().Add(time.Hour)
					mustPut(t, s, parts[i])
				}
			}
			c.pass(3 * time.Hour)
			var gone atomic.Int64
			done := make(chan error, 1)
			go func() {
				for range blobs {
					result, err := s.Sweep(t.Context(), 1)
					if err != nil {
						done <- err
						return
					}
					gone.Add(int64(result.Removed))
				}
				done <- nil
			}()
			for at := r.Int64N(blobs); gone.Load() < at && len(done) == 0; {
				_, _ = s.Blob(t.Context(), store.BlobID{})
			}
			sure := int(gone.Load())
			o.FS = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%3) * 50, RNG: r})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			s = mustOpen(t, o)
			defer mustClose(t, s)
			n, used := noted(t, s)
			if n[kindBlob] > blobs-sure || used != uint64(n[kindBlob]*size) || n[kindBlobEnd] != n[kindBlob] {
				t.Errorf("after the crash: %v, %d bytes are charged, %d were gone for sure", n, used, sure)
			}
			if swept := sweepAll(t, s, 5); swept != n[kindBlob] {
				t.Errorf("swept %d of %d", swept, n[kindBlob])
			}
			if n, _ := noted(t, s); len(n) != 0 {
				t.Errorf("left: %v", n)
			}
		})
	}
}
