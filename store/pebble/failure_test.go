package pebble_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"quicnprotochat/store"
	"quicnprotochat/store/pebble"
)

// TestWriteError: after a failed write or fsync of the log, of the manifest or of a table nothing is acknowledged that is not on disk, the
// process lives, what was stored before is read, and a store opened on the disk holds all that was acknowledged.
func TestWriteError(t *testing.T) {
	pebble.SetMaxFailedFlushes(t, 3)
	for _, c := range []struct {
		name  string
		kind  func(errorfs.OpKind) bool
		file  string
		fails bool // at once
	}{
		{"log sync", isSync, ".log", true},
		{"log write", func(k errorfs.OpKind) bool { return k == errorfs.OpFileWrite }, ".log", true},
		{"log create", func(k errorfs.OpKind) bool { return k == errorfs.OpCreate || k == errorfs.OpReuseForWrite }, ".log", true},
		{"manifest sync", isSync, "MANIFEST", false},
		{"manifest write", func(k errorfs.OpKind) bool { return k == errorfs.OpFileWrite }, "MANIFEST", false},
		{"table write", func(k errorfs.OpKind) bool { return k == errorfs.OpFileWrite }, ".sst", true},
		{"table create", func(k errorfs.OpKind) bool { return k == errorfs.OpCreate }, ".sst", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var on atomic.Bool
			disk := vfs.NewCrashableMem()
			broken := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if on.Load() && c.kind(op.Kind) && strings.Contains(op.Path, c.file) {
					return syscall.EIO
				}
				return nil
			}))
			s := open(t, "store", pebble.Options{FS: broken, MemTableBytes: 256 << 10})
			stored := enqueueSome(t, s, 0, 50)
			on.Store(true)
			var mu sync.Mutex
			var wg sync.WaitGroup
			failed := false
			for w := range 4 {
				wg.Go(func() {
					for n := range 200 {
						r, err := s.Enqueue(t.Context(), []store.Message{failMessage(1000*(w+1) + n)})
						mu.Lock()
						if err == nil && r[0].Status == store.Stored {
							stored = max(stored, r[0].Seq)
						} else if errors.Is(err, store.ErrFailed) {
							failed = true
						} else {
							t.Errorf("%v, %v", r, err)
						}
						mu.Unlock()
						if err != nil {
							return
						}
					}
				})
			}
			wg.Wait()
			if c.fails && !failed {
				t.Fatal("no call failed")
			}
			if failed {
				<-s.Failed()
				if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: failMessage(0).Queue, Seq: 1}}); !errors.Is(err, store.ErrFailed) {
					t.Fatalf("acknowledge: %v", err)
				}
			}
			p, err := s.Read(t.Context(), failMessage(0).Queue, 0, 1<<20, 1<<30)
			if err != nil || uint64(len(p.Messages)) != p.Last || p.Last < stored {
				t.Fatalf("%d of %d messages, last %d, %v", len(p.Messages), stored, p.Last, err)
			}
			_ = s.Stats()
			crashed := disk.CrashClone(vfs.CrashCloneCfg{})
			if err := s.Close(); failed && !errors.Is(err, store.ErrFailed) {
				t.Fatalf("close: %v", err)
			}
			s = open(t, "store", pebble.Options{FS: crashed})
			defer s.Close()
			if p, err := s.Read(t.Context(), failMessage(0).Queue, 0, 1<<20, 1<<30); err != nil || p.Last < stored || uint64(len(p.Messages)) != p.Last {
				t.Fatalf("after the crash %d messages, last %d, %v; %d were acknowledged", len(p.Messages), p.Last, err, stored)
			}
		})
	}
}

func isSync(k errorfs.OpKind) bool {
	return k == errorfs.OpFileSync || k == errorfs.OpFileSyncData || k == errorfs.OpFileSyncTo
}

func failMessage(n int) store.Message {
	return store.Message{
		Queue:   store.QueueID{Owner: store.Identity{1}},
		ID:      store.MessageID{byte(n), byte(n >> 8), byte(n >> 16), 1},
		Payload: make([]byte, 2000),
	}
}

func enqueueSome(t *testing.T, s *pebble.Store, from, n int) (last uint64) {
	t.Helper()
	for i := range n {
		r, err := s.Enqueue(t.Context(), []store.Message{failMessage(from + i)})
		if err != nil || r[0].Status != store.Stored {
			t.Fatalf("%v, %v", r, err)
		}
		last = r[0].Seq
	}
	return last
}

// spaceFS says how much room there is.
type spaceFS struct {
	vfs.FS
	free atomic.Uint64
}

func (f *spaceFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free.Load()}, nil
}

func TestDiskFull(t *testing.T) {
	f := &spaceFS{FS: vfs.NewMem()}
	f.free.Store(1 << 30)
	clock := &testClock{}
	s := open(t, "store", pebble.Options{FS: f, Clock: clock.now})
	defer s.Close()
	last := enqueueSome(t, s, 0, 3)
	f.free.Store(1 << 20)
	clock.pass()
	if _, err := s.Enqueue(t.Context(), []store.Message{failMessage(3)}); !errors.Is(err, store.ErrFull) {
		t.Fatalf("full: %v", err)
	}
	k := store.KeyPackage{NotAfter: clock.now().AddDate(1, 0, 0), Data: []byte{1}}
	if err := s.PutKeyPackages(t.Context(), store.Identity{1}, []store.KeyPackage{k}); !errors.Is(err, store.ErrFull) {
		t.Fatalf("put when full: %v", err)
	}
	if r, err := s.Enqueue(t.Context(), []store.Message{failMessage(2)}); err != nil || r[0].Status != store.Duplicate {
		t.Fatalf("a duplicate when full: %v, %v", r, err)
	}
	q := failMessage(0).Queue
	if p, err := s.Read(t.Context(), q, 0, 10, 1<<20); err != nil || p.Last != last || len(p.Messages) != 3 {
		t.Fatalf("read when full: %+v, %v", p, err)
	}
	if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: 2}}); err != nil {
		t.Fatalf("acknowledge when full: %v", err)
	}
	f.free.Store(1 << 30)
	clock.pass()
	enqueueSome(t, s, 3, 1)
}

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	s := open(t, dir, pebble.Options{})
	enqueueSome(t, s, 0, 3)
	if _, err := pebble.Open(dir, small(pebble.Options{})); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("opened twice: %v", err)
	}
	checkModes(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkModes(t, dir)
	s = open(t, dir, pebble.Options{})
	if p, err := s.Read(t.Context(), failMessage(0).Queue, 0, 10, 1<<20); err != nil || len(p.Messages) != 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	checkModes(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"quicnprotochat store 2\n", "something else\n", ""} {
		if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pebble.Open(dir, small(pebble.Options{})); !errors.Is(err, store.ErrVersion) {
			t.Fatalf("format %q: %v", text, err)
		}
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.Open(foreign, small(pebble.Options{})); !errors.Is(err, store.ErrVersion) {
		t.Fatalf("a directory of somebody else: %v", err)
	}
	if _, err := pebble.Open(filepath.Join(foreign, "letter.txt"), small(pebble.Options{})); err == nil {
		t.Fatal("opened a file")
	}
}

func checkModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", d.Name(), info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
