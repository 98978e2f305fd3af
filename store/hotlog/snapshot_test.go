package hotlog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// TestSnapshot takes copies while queues and a group are written to, acknowledged and retired. What was answered before is in the copy, what is in it is whole,
// and the copy goes on by itself.
func TestSnapshot(t *testing.T) {
	for _, key := range [][]byte{nil, make([]byte, KeySize)} {
		t.Run(fmt.Sprintf("key of %d", len(key)), func(t *testing.T) {
			o := small("/store")
			o.FS, o.Key = vfs.NewMem(), key
			s := mustOpen(t, o)
			newGroup(t, s, "g", 1)
			var stop atomic.Bool
			var wg sync.WaitGroup
			var done atomic.Uint64
			queues := make([]*crashQueue, 12)
			for i := range queues {
				queues[i] = &crashQueue{id: store.QueueID{Owner: benchOwner(5000 + i/2), Group: []string{"", "g"}[i%2]}}
				wg.Go(func() {
					if err := queues[i].run(s, rand.New(rand.NewPCG(uint64(i), 9)), &stop); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				if err := epochs(s, 400, &done); err != nil {
					t.Error(err)
				}
			})
			sure := make([]uint64, 3)
			copies := make([][]*crashQueue, 3)
			for n := range copies {
				for retired := s.Internals().Retired; s.Internals().Retired == retired && !t.Failed(); {
					if _, err := s.Sweep(t.Context(), 10); err != nil {
						t.Error(err)
					}
				}
				for _, q := range queues {
					k := &crashQueue{id: q.id, sureAtCrash: q.sure.Load()}
					copies[n] = append(copies[n], k)
				}
				sure[n] = max(done.Load(), 7)
				if err := s.Snapshot(t.Context(), fmt.Sprint("/copy", n)); err != nil {
					t.Error(err)
				}
				for i, q := range queues { // no copy can know more than what was tried until now
					copies[n][i].tried.Store(q.tried.Load())
					copies[n][i].triedAcked.Store(q.triedAcked.Load())
				}
			}
			stop.Store(true)
			wg.Wait()
			mustClose(t, s)
			for n := range copies {
				o.Dir = fmt.Sprint("/copy", n)
				s := mustOpen(t, o)
				if c := s.Internals().Corrupt; c != 0 {
					t.Errorf("copy %d: %d corrupt records", n, c)
				}
				for _, q := range copies[n] {
					if err := q.check(s); err != nil {
						t.Errorf("copy %d: %v", n, err)
					}
				}
				checkEpochs(t, s, sure[n])
				mustClose(t, s)
			}
		})
	}
}

// TestSnapshotKeeps: the rest of what a store holds is in the copy, too, and what is done to the one is not done to the other.
func TestSnapshotKeeps(t *testing.T) {
	o := small("/store")
	o.FS = vfs.NewMem()
	s := mustOpen(t, o)
	data := []byte("a KeyPackage")
	p := store.KeyPackage{Fingerprint: sha256.Sum256(data), InitKey: sha256.Sum256([]byte("init")), NotAfter: time.Now().Add(time.Hour), Data: data}
	if err := s.PutKeyPackages(t.Context(), benchOwner(1), []store.KeyPackage{p}); err != nil {
		t.Fatal(err)
	}
	version, err := s.PutRecord(t.Context(), "name", []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Snapshot(t.Context(), "/copy"); err != nil {
		t.Fatal(err)
	}
	if err := s.Snapshot(t.Context(), "/copy"); !errors.Is(err, store.ErrExists) {
		t.Errorf("over another: %v", err)
	}
	if _, err := s.TakeKeyPackage(t.Context(), benchOwner(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutRecord(t.Context(), "name", []byte("two"), version); err != nil {
		t.Fatal(err)
	}
	o.Dir = "/copy"
	k := mustOpen(t, o) // beside the other, which is open
	if got, err := k.TakeKeyPackage(t.Context(), benchOwner(1)); err != nil || got.Fingerprint != p.Fingerprint {
		t.Errorf("KeyPackage of the copy: %v", err)
	}
	if r, err := k.GetRecord(t.Context(), "name"); err != nil || string(r.Value) != "one" || r.Version != version {
		t.Errorf("record of the copy: %+v, %v", r, err)
	}
	mustClose(t, k)
	mustClose(t, s)
	if err := s.Snapshot(t.Context(), "/other"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}

// TestSnapshotCrash crashes the machine while a copy is made: the store is unharmed, and the copy is there whole or not at all.
func TestSnapshotCrash(t *testing.T) {
	for seed := range uint64(crashes(t)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { // so that each store is let go
			r := rand.New(rand.NewPCG(seed, 8))
			mem := vfs.NewCrashableMem()
			o := small("/store")
			o.FS = mem
			counted := &stopFS{FS: mem}
			o.FS = counted
			s := mustOpen(t, o)
			q := store.QueueID{Owner: benchOwner(1)}
			for n := uint64(1); n <= 3000; n++ {
				put(t, s, testMessage(q, n))
			}
			counted.at.Store(int64(1 + r.IntN(40)))
			var clone *vfs.MemFS
			counted.crash = func() { clone = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%3) * 50, RNG: r}) }
			if err := s.Snapshot(t.Context(), "/copy"); err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			if clone == nil {
				clone = mem.CrashClone(vfs.CrashCloneCfg{})
			}
			o.FS = clone
			for _, dir := range []string{"/store", "/copy"} {
				if _, err := clone.Stat(dir); errors.Is(err, fs.ErrNotExist) && dir == "/copy" {
					continue
				}
				o.Dir = dir
				s := mustOpen(t, o)
				page, err := s.Read(t.Context(), q, 0, 1, 1000)
				if err != nil || page.Last != 3000 || s.Internals().Corrupt != 0 {
					t.Errorf("seed %d, %s: %d messages, %v", seed, dir, page.Last, err)
				}
				mustClose(t, s)
			}
		})
	}
}

// stopFS crashes the machine at one of the operations on files of a copy.
type stopFS struct {
	vfs.FS
	at    atomic.Int64
	crash func()
	err   error // in place of a crash: of every write from there on
}

func (f *stopFS) step(name string) error {
	if !strings.HasPrefix(name, "/copy") {
		return nil
	}
	n := f.at.Add(-1)
	if n == 0 && f.crash != nil {
		f.crash()
	}
	if n < 0 {
		return f.err
	}
	return nil
}

func (f *stopFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.step(name); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name, c)
	return &stopFile{file, f, name}, err
}

func (f *stopFS) Link(from, to string) error {
	if err := f.step(to); err != nil {
		return err
	}
	return f.FS.Link(from, to)
}

func (f *stopFS) Rename(from, to string) error {
	if err := f.step(to); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

type stopFile struct {
	vfs.File
	fs   *stopFS
	name string
}

func (f *stopFile) Write(b []byte) (int, error) {
	if err := f.fs.step(f.name); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f *stopFile) Sync() error {
	if err := f.fs.step(f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

// TestSnapshotFull: the disk is full at any step, or nobody waits any more. Nothing is left of the copy, and the store goes on.
func TestSnapshotFull(t *testing.T) {
	o := small("/store")
	full := &stopFS{FS: vfs.NewMem(), err: syscall.ENOSPC}
	o.FS = full
	full.at.Store(1 << 40)
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	for n := uint64(1); n <= 3000; n++ {
		put(t, s, testMessage(q, n))
	}
	refused := 0
	for step := int64(0); ; step++ {
		full.at.Store(step)
		err := s.Snapshot(t.Context(), "/copy")
		if err == nil {
			break
		}
		refused++
		if !errors.Is(err, store.ErrFull) {
			t.Fatalf("step %d: %v", step, err)
		}
		for _, name := range []string{"/copy", "/copy" + partial} {
			if _, err := full.Stat(name); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("step %d: %s is left: %v", step, name, err)
			}
		}
		put(t, s, testMessage(q, uint64(3001+step)))
	}
	if refused < 5 {
		t.Errorf("refused at %d steps only", refused)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Snapshot(ctx, "/copy2"); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: %v", err)
	}
	if _, err := full.Stat("/copy2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
	mustClose(t, s)
}

// TestDrop: what is dropped is gone for good, and its numbers and ids are not given again.
func TestDrop(t *testing.T) {
	o := small("/store")
	mem := vfs.NewCrashableMem()
	o.FS = mem
	s := mustOpen(t, o)
	q, other := store.QueueID{Owner: benchOwner(1), Group: "g"}, store.QueueID{Owner: benchOwner(1), Group: "h"}
	newGroup(t, s, "g", 2)
	for n := uint64(1); n <= 3000; n++ {
		put(t, s, testMessage(q, n))
	}
	put(t, s, testMessage(other, 1))
	mustPost(t, s, testPost("g", 1, 1), store.Result{Status: store.Stored, Seq: 2})
	if err := s.Drop(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(t.Context(), store.QueueID{Owner: benchOwner(77)}); err != nil {
		t.Errorf("a queue that does not exist: %v", err)
	}
	o.FS = mem.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, s)
	s = mustOpen(t, o)
	defer mustClose(t, s)
	for queue, left := range map[store.QueueID]int{q: 0, other: 1} {
		if p, err := s.Read(t.Context(), queue, 0, 9, 9000); err != nil || len(p.Messages) != left {
			t.Errorf("%q: %d messages, %v, want %d", queue.Group, len(p.Messages), err, left)
		}
	}
	reads(t, s, shared(1, "g"), 2, 2)
	r, err := s.Enqueue(t.Context(), []store.Message{testMessage(q, 5), testMessage(q, 4000)})
	if err != nil || r[0] != (store.Result{Status: store.Duplicate, Seq: 5}) || r[1] != (store.Result{Status: store.Stored, Seq: 3001}) {
		t.Errorf("after the drop: %+v, %v", r, err)
	}
	if err := s.Drop(t.Context(), store.QueueID{Group: "g", Shared: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(t.Context(), store.QueueID{Group: "g", Shared: true}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no such group: %v", err)
	}
	if err := s.Drop(t.Context(), store.QueueID{Shared: true}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a group without a name: %v", err)
	}
}
