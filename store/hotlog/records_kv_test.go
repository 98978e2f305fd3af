package hotlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/hotlog"
)

// TestRecords changes a record over and over, in clear and encrypted: no version comes twice, also after removal and reopening.
func TestRecords(t *testing.T) {
	for name, key := range map[string][]byte{"clear": nil, "encrypted": bytes.Repeat([]byte{5}, hotlog.KeySize)} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			o := hotlog.Options{Dir: "/store", FS: vfs.NewMem(), Key: key, SegmentBytes: 8 << 20, TreeCache: 1 << 20}
			s := open(t, o)
			defer func() { _ = s.Close() }()
			seen := map[uint64]bool{0: true}
			for i := range 20 {
				value := bytes.Repeat([]byte{byte(i)}, 1+i*store.MaxValue/20)
				v, err := s.PutRecord(ctx, "a", value, 0)
				if err != nil || seen[v] {
					t.Fatalf("put: version %d, seen %t, %v", v, seen[v], err)
				}
				seen[v] = true
				if _, err := s.PutRecord(ctx, "a", []byte("x"), v+1); !errors.Is(err, store.ErrChanged) {
					t.Fatalf("put over another version: %v", err)
				}
				if i%5 == 0 {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = open(t, o)
				}
				if r, err := s.GetRecord(ctx, "a"); err != nil || r.Version != v || !bytes.Equal(r.Value, value) {
					t.Fatalf("got version %d, %d bytes, %v; put %d, %d bytes", r.Version, len(r.Value), err, v, len(value))
				}
				if n, err := s.PutRecord(ctx, "a", nil, v); n != 0 || err != nil {
					t.Fatalf("remove: %d, %v", n, err)
				}
				if _, err := s.GetRecord(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
					t.Fatalf("get after removal: %v", err)
				}
			}
		})
	}
}

// TestRecordRace has 64 callers set the same version: one wins each round.
func TestRecordRace(t *testing.T) {
	s := open(t, hotlog.Options{Dir: "/store", FS: vfs.NewMem(), SegmentBytes: 8 << 20, TreeCache: 1 << 20})
	defer func() { _ = s.Close() }()
	version := uint64(0)
	for range 10 {
		var won atomic.Uint64
		var wins atomic.Int32
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				v, err := s.PutRecord(context.Background(), "k", fmt.Append(nil, i), version)
				if err == nil {
					wins.Add(1)
					won.Store(v)
				} else if !errors.Is(err, store.ErrChanged) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d callers won", wins.Load())
		}
		version = won.Load()
	}
}

// TestListRecords pages through a prefix.
func TestListRecords(t *testing.T) {
	ctx := context.Background()
	s := open(t, hotlog.Options{Dir: "/store", FS: vfs.NewMem(), SegmentBytes: 8 << 20, TreeCache: 1 << 20})
	defer func() { _ = s.Close() }()
	for _, k := range []string{"p/c", "o", "p/a", "p0", "p/b", "p/\xff"} {
		if _, err := s.PutRecord(ctx, k, []byte(k), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		prefix, from string
		max          int
		want         string
		more         bool
	}{
		{"p/", "", 2, "[p/a p/b]", true},
		{"p/", "p/b\x00", 2, "[p/c p/\xff]", false},
		{"p/", "p0", 2, "[]", false},
		{"", "p/c", 9, "[p/c p/\xff p0]", false},
	} {
		list, more, err := s.ListRecords(ctx, c.prefix, c.from, c.max)
		keys := []string{}
		for _, r := range list {
			keys = append(keys, r.Key)
		}
		if got := fmt.Sprint(keys); err != nil || got != c.want || more != c.more {
			t.Errorf("%q from %q: %q, more %t, %v", c.prefix, c.from, got, more, err)
		}
	}
	if _, _, err := s.ListRecords(ctx, "", "", 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("at most 0: %v", err)
	}
}
