package hotlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// TestBlobHoldCrash crashes the machine while messages and commits that name blobs are stored: every message that is there afterwards has its
// blob, whole, for as long as it lives.
func TestBlobHoldCrash(t *testing.T) {
	for seed := range uint64(crashes(t)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 17))
			c, mem := newClock(), vfs.NewCrashableMem()
			o := blobOptions(mem)
			o.Clock = c.now
			if seed%2 == 1 {
				o.Key = make([]byte, KeySize)
			}
			s := mustOpen(t, o)
			newGroup(t, s, "g", 1)
			const blobs = 16
			ends := c.now().Add(100 * time.Hour) // of messages
			var done atomic.Int64
			failed := make(chan error, 1)
			go func() { failed <- nameBlobs(s, blobs, c.now(), ends, &done) }()
			for at := r.Int64N(blobs); done.Load() < at && len(failed) == 0; {
				_, _ = s.Blob(t.Context(), store.BlobID{})
			}
			sure := done.Load()
			o.FS = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%3) * 50, RNG: r})
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			s = mustOpen(t, o)
			defer mustClose(t, s)
			c.pass(99 * time.Hour)
			sweepAll(t, s, 1000)
			p, err := s.Read(t.Context(), store.QueueID{Owner: benchOwner(9)}, 0, 1000, 1<<20)
			if err != nil || len(p.Messages) < int(sure) {
				t.Fatalf("%d messages of %d, %v", len(p.Messages), sure, err)
			}
			for _, d := range p.Messages {
				content, _ := testBlob(int(d.Seq)-1, 1000)
				holds(t, s, content)
			}
		})
	}
}

// nameBlobs puts blobs that end in an hour, and stores for each a message that ends later: one by one, or as the Welcome of a commit.
func nameBlobs(s *Store, n int, now, ends time.Time, done *atomic.Int64) error {
	ctx := context.Background()
	for i := range n {
		_, parts := testBlob(i, 1000)
		parts[0].Expires = now.Add(time.Hour)
		if _, err := s.PutChunk(ctx, parts[0]); err != nil {
			return err
		}
		m := testMessage(store.QueueID{Owner: benchOwner(9)}, uint64(i+1))
		m.Blobs, m.Expires = []store.BlobID{parts[0].Blob}, ends
		var result store.Result
		if i%2 == 0 {
			r, err := s.Enqueue(ctx, []store.Message{m})
			if err != nil {
				return err
			}
			result = r[0]
		} else {
			commit := testCommit("g", 0, 7+uint64(i/2))
			commit.Welcomes = []store.Message{m}
			r, err := s.Commit(ctx, commit)
			if err != nil {
				return err
			}
			result = r
		}
		if result.Status != store.Stored {
			return fmt.Errorf("message %d: %+v", i, result)
		}
		done.Add(1)
	}
	return nil
}

// TestBlobHoldRace has time pass the end of a blob while messages name it and the sweep looks for it: it is there whenever one was stored.
func TestBlobHoldRace(t *testing.T) {
	c := newClock()
	o := blobOptions(vfs.NewMem())
	o.Clock = c.now
	s := mustOpen(t, o)
	defer mustClose(t, s)
	outcomes := make(map[store.Status]int)
	for n := range 50 {
		content, parts := testBlob(n, 1000)
		parts[0].Expires = c.now().Add(time.Hour)
		mustPut(t, s, parts[0])
		ends := c.now().Add(100 * time.Hour)
		c.pass(time.Hour - time.Millisecond)
		var wg sync.WaitGroup
		var results [6]store.Result
		for i := range len(results) + 1 { // time passes before or after the others start
			if i == len(results)*(n%2) {
				wg.Go(func() {
					c.pass(2 * time.Hour)
					if _, err := s.Sweep(t.Context(), 100); err != nil {
						t.Error(err)
					}
				})
			}
			if i == len(results) {
				break
			}
			wg.Go(func() {
				m := testMessage(store.QueueID{Owner: benchOwner(i)}, uint64(n+1))
				m.Blobs, m.Expires = []store.BlobID{parts[0].Blob}, ends
				r, err := s.Enqueue(t.Context(), []store.Message{m})
				if err != nil {
					t.Error(err)
					return
				}
				results[i] = r[0]
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		sweepAll(t, s, 100)
		for i, r := range results {
			outcomes[r.Status]++
			switch r.Status {
			case store.Stored:
				holds(t, s, content)
			case store.NoBlob:
			default:
				t.Fatalf("message %d of %d: %+v", i, n, r)
			}
		}
	}
	t.Logf("%d messages found their blob, %d did not", outcomes[store.Stored], outcomes[store.NoBlob])
}
