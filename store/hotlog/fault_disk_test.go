package hotlog

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// readOnlyFS refuses, while it is armed, all that would change something, as a disk does that was mounted again read-only. It counts the attempts.
type readOnlyFS struct {
	vfs.FS
	armed atomic.Bool
	tries atomic.Int64
	syncs atomic.Int64
}

func (f *readOnlyFS) check() error {
	if !f.armed.Load() {
		return nil
	}
	f.tries.Add(1)
	return syscall.EROFS
}

func (f *readOnlyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name, c)
	return &readOnlyFile{file, f}, err
}

func (f *readOnlyFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	file, err := f.FS.OpenReadWrite(name, c, o...)
	return &readOnlyFile{file, f}, err
}

func (f *readOnlyFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	file, err := f.FS.ReuseForWrite(from, to, c)
	return &readOnlyFile{file, f}, err
}

func (f *readOnlyFS) Remove(name string) error {
	if err := f.check(); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *readOnlyFS) Rename(from, to string) error {
	if err := f.check(); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

type readOnlyFile struct {
	vfs.File
	fs *readOnlyFS
}

func (f *readOnlyFile) Write(b []byte) (int, error) {
	if err := f.fs.check(); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f *readOnlyFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.fs.check(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, at)
}

func (f *readOnlyFile) SyncData() error {
	f.fs.syncs.Add(1)
	if err := f.fs.check(); err != nil {
		return err
	}
	return f.File.SyncData()
}

// TestFaultReadOnly: a disk that turns read-only stops the engine for all that writes, once; what is there can be read, and after it was mended and the
// engine started anew, everything that was acknowledged is there.
func TestFaultReadOnly(t *testing.T) {
	mem := vfs.NewMem()
	fs := &readOnlyFS{FS: mem}
	o := small("/store")
	o.FS = fs
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	for n := uint64(1); n <= 20; n++ {
		put(t, s, faultMessage(q, n))
	}
	fs.armed.Store(true)
	if _, err := s.Enqueue(t.Context(), []store.Message{faultMessage(q, 21)}); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("on a read-only disk: %v", err)
	}
	<-s.Failed()
	tries := fs.tries.Load()
	if _, err := s.Enqueue(t.Context(), []store.Message{faultMessage(q, 22)}); !errors.Is(err, store.ErrFailed) {
		t.Errorf("again: %v", err)
	}
	if p, err := s.Read(t.Context(), q, 0, 100, 1<<20); err != nil || len(p.Messages) != 20 || p.Last != 20 {
		t.Errorf("reading: %d messages of %d, %v", len(p.Messages), p.Last, err)
	}
	if n := fs.tries.Load(); n != tries {
		t.Errorf("%d attempts to write after the failure", n-tries)
	}
	fs.armed.Store(false)
	abandon(t, s)

	checkAfterFault(t, o, q, 20, 21)
}

// TestFaultSync: a sync that failed is never tried again, and what it was to make durable is answered with ErrFailed.
func TestFaultSync(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs := &failingFS{FS: mem, what: "sync", err: errors.New("disk on fire")}
	syncs := &readOnlyFS{FS: fs}
	o := small("/store")
	o.FS = syncs
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	for n := uint64(1); n <= 20; n++ {
		put(t, s, faultMessage(q, n))
	}
	fs.armed.Store(true)
	if _, err := s.Enqueue(t.Context(), []store.Message{faultMessage(q, 21)}); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("with a sync that fails: %v", err)
	}
	<-s.Failed()
	fs.armed.Store(false) // a disk that forgot what it could not write, and says now that all is well
	done := syncs.syncs.Load()
	if _, err := s.Enqueue(t.Context(), []store.Message{faultMessage(q, 22)}); !errors.Is(err, store.ErrFailed) {
		t.Errorf("again: %v", err)
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); !errors.Is(err, store.ErrFailed) {
		t.Errorf("closing: %v", err)
	}
	if n := syncs.syncs.Load(); n != done {
		t.Errorf("synced %d times after the failure", n-done)
	}
	abandonTree(t, s)
	o.FS = crashed
	checkAfterFault(t, o, q, 20, 20)
}

// checkAfterFault opens a store, and finds at least the messages that were acknowledged in it, and at most those that were tried.
func checkAfterFault(t *testing.T, o Options, q store.QueueID, sure, tried uint64) {
	t.Helper()
	s := mustOpen(t, o)
	p, err := s.Read(t.Context(), q, 0, 100, 1<<20)
	if err != nil || p.Last < sure || p.Last > tried || uint64(len(p.Messages)) != p.Last {
		t.Fatalf("opened again: %d messages of %d, %v; %d were sure, %d tried", len(p.Messages), p.Last, err, sure, tried)
	}
	for i, d := range p.Messages {
		if string(d.Payload) != string(faultMessage(q, uint64(i+1)).Payload) {
			t.Errorf("message %d is another", i+1)
		}
	}
	if seq := put(t, s, faultMessage(q, 1000)); seq != p.Last+1 {
		t.Errorf("the next is %d, want %d", seq, p.Last+1)
	}
	mustClose(t, s)
}
