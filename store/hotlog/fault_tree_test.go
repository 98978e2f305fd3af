package hotlog

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// fullTreeFS has no room for tables while it is full.
type fullTreeFS struct {
	vfs.FS
	full    atomic.Bool
	refused atomic.Int64
}

func (f *fullTreeFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return file, err
	}
	return &fullTable{file, f}, nil
}

type fullTable struct {
	vfs.File
	fs *fullTreeFS
}

func (f *fullTable) Write(b []byte) (int, error) {
	if f.fs.full.Load() {
		f.fs.refused.Add(1)
		return 0, syscall.ENOSPC
	}
	return f.File.Write(b)
}

// TestFaultTreeFull: the disk has no room for what leaves the log. What is stored is answered as before, for the log holds it, and when there is room
// again the retiring goes on, without a restart and without a loss.
func TestFaultTreeFull(t *testing.T) {
	fs := &fullTreeFS{FS: vfs.NewMem()}
	o := small("/store")
	o.FS = fs
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	fs.full.Store(true)
	n := uint64(0)
	for fs.refused.Load() == 0 {
		n++
		put(t, s, testMessage(q, n))
	}
	if p, err := s.Read(t.Context(), q, 0, 100_000, 1<<30); err != nil || uint64(len(p.Messages)) != n {
		t.Fatalf("while it is full: %d messages of %d, %v", len(p.Messages), n, err)
	}
	if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: 10}}); err != nil {
		t.Fatal(err)
	}
	fs.full.Store(false)
	for retired := s.Internals().Retired; s.Internals().Retired < retired+2; {
		n++
		put(t, s, testMessage(q, n))
	}
	mustClose(t, s)
	s = mustOpen(t, o)
	defer mustClose(t, s)
	p, err := s.Read(t.Context(), q, 0, 100_000, 1<<30)
	if err != nil || p.Acknowledged != 10 || p.Last != n || uint64(len(p.Messages)) != n-10 {
		t.Errorf("afterwards: %d messages, %d to %d of %d, %v", len(p.Messages), p.Acknowledged, p.Last, n, err)
	}
}
