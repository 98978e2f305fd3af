package hotlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// crashQueue is what a writer knows of its queue. The fields grow only, and sure never goes above tried.
type crashQueue struct {
	id                   store.QueueID
	tried, sure          atomic.Uint64 // messages
	triedAcked           atomic.Uint64
	sureAtCrash, ackedAt uint64
}

func (q *crashQueue) run(s *Store, r *rand.Rand, stop *atomic.Bool) error {
	ctx := context.Background()
	for !stop.Load() {
		n := q.tried.Load()
		messages := make([]store.Message, 1+r.IntN(4))
		for i := range messages {
			messages[i] = testMessage(q.id, n+1+uint64(i))
		}
		q.tried.Add(uint64(len(messages)))
		results, err := s.Enqueue(ctx, messages)
		if err != nil {
			return err
		}
		for i := range results {
			if results[i] != (store.Result{Status: store.Stored, Seq: n + 1 + uint64(i)}) {
				return fmt.Errorf("message %d: %+v", n+1+uint64(i), results[i])
			}
		}
		q.sure.Add(uint64(len(messages)))
		if r.IntN(2) == 0 {
			to := q.triedAcked.Load() + r.Uint64N(q.sure.Load()-q.triedAcked.Load()+1)
			q.triedAcked.Store(to)
			if err := s.Acknowledge(ctx, []store.Cursor{{Queue: q.id, Seq: to}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// check looks at the queue after the crash. It is at rest then.
func (q *crashQueue) check(s *Store) error {
	ctx := context.Background()
	next := uint64(0)
	for {
		p, err := s.Read(ctx, q.id, next, 9, 1<<20)
		if err != nil {
			return err
		}
		if p.Last < q.sureAtCrash || p.Last > q.tried.Load() || p.Acknowledged > q.triedAcked.Load() {
			return fmt.Errorf("up to %d, acknowledged %d; %d were sure, %d tried, %d acknowledged", p.Last, p.Acknowledged, q.sureAtCrash, q.tried.Load(), q.triedAcked.Load())
		}
		next = max(next, p.Acknowledged)
		for _, d := range p.Messages {
			if next++; d.Seq != next || string(d.Payload) != string(testMessage(q.id, next).Payload) {
				return fmt.Errorf("found %d in place of %d", d.Seq, next)
			}
		}
		if p.More {
			continue
		}
		if next != p.Last {
			return fmt.Errorf("ends at %d, want %d", next, p.Last)
		}
		break
	}
	for n := uint64(1); n <= q.sureAtCrash; n += 1 + n/7 {
		r, err := s.Enqueue(ctx, []store.Message{testMessage(q.id, n)})
		if err != nil || r[0] != (store.Result{Status: store.Duplicate, Seq: n}) {
			return fmt.Errorf("message %d of %d again: %+v, %v", n, next, r, err)
		}
	}
	r, err := s.Enqueue(ctx, []store.Message{testMessage(q.id, 1<<40)})
	if err != nil || r[0] != (store.Result{Status: store.Stored, Seq: next + 1}) {
		return fmt.Errorf("after the crash: %+v, %v, want %d", r, err, next+1)
	}
	return nil
}

// crashes is how many crash points are tried: 12, or what the environment says.
func crashes(t *testing.T) int {
	text := os.Getenv("QUICNPROTOCHAT_CRASHES")
	if text == "" {
		return 12
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCrash takes the disk as a crash of the machine would leave it, in the middle of writing, acknowledging and retiring, with none, half and all of
// what was not synced, and opens it: nothing that was answered is missing, nothing is there twice or out of order.
func TestCrash(t *testing.T) {
	for seed := range uint64(crashes(t)) {
		percent := []int{0, 50, 100}[seed%3]
		t.Run(fmt.Sprintf("%d percent/%d", percent, seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			mem := vfs.NewCrashableMem()
			o := small("/store")
			o.FS = mem
			if seed%2 == 1 {
				o.Key = make([]byte, KeySize)
			}
			crashAndCheck(t, o, mem, crashQueues(24), (*crashQueue).run, r, percent)
		})
	}
}

// crashQueues makes n queues, two of each owner.
func crashQueues(n int) []*crashQueue {
	queues := make([]*crashQueue, n)
	for i := range queues {
		queues[i] = &crashQueue{id: store.QueueID{Owner: benchOwner(i / 2), Group: []string{"", "g"}[i%2]}}
	}
	return queues
}

// load stores and acknowledges in a queue until stop.
type load func(q *crashQueue, s *Store, r *rand.Rand, stop *atomic.Bool) error

// crashAndCheck crashes the machine while all queues are under load, and opens what is left.
func crashAndCheck(t *testing.T, o Options, mem *vfs.MemFS, queues []*crashQueue, run load, r *rand.Rand, percent int) {
	t.Helper()
	o.FS = crashUnderLoad(t, o, mem, queues, run, r, percent)
	if m := inspect(t, o); m.Damaged != 0 {
		t.Errorf("a crash is no damage: %q", m.Damage)
	}
	s := mustOpen(t, o)
	defer mustClose(t, s)
	sure := uint64(0)
	for _, q := range queues {
		sure += q.sureAtCrash
		if err := q.check(s); err != nil {
			t.Errorf("queue %x %q: %v", q.id.Owner[:4], q.id.Group, err)
		}
	}
	if sure == 0 {
		t.Error("nothing was sure")
	}
}

func crashUnderLoad(t *testing.T, o Options, mem *vfs.MemFS, queues []*crashQueue, run load, r *rand.Rand, percent int) *vfs.MemFS {
	s := mustOpen(t, o)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i, q := range queues {
		wg.Go(func() {
			if err := run(q, s, rand.New(rand.NewPCG(uint64(i), 9)), &stop); err != nil {
				t.Error(err)
				stop.Store(true)
			}
		})
	}
	for want := 1 + r.Uint64N(4); s.Internals().Retired < want && !stop.Load(); {
		if _, err := s.Sweep(t.Context(), 10); err != nil {
			t.Error(err)
		}
	}
	for _, q := range queues {
		q.sureAtCrash, q.ackedAt = q.sure.Load(), q.triedAcked.Load()
	}
	clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
	stop.Store(true)
	wg.Wait()
	mustClose(t, s)
	return clone
}

// failingFS fails syncs, or writes, of files whose names end in a suffix, while it is armed.
type failingFS struct {
	vfs.FS
	armed atomic.Bool
	what  string
	err   error
}

func (f *failingFS) fails(what string) bool { return f.armed.Load() && f.what == what }

func (f *failingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.fails("create") {
		return nil, f.err
	}
	file, err := f.FS.Create(name, c)
	return &failingFile{file, f}, err
}

func (f *failingFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, o...)
	return &failingFile{file, f}, err
}

type failingFile struct {
	vfs.File
	fs *failingFS
}

func (f *failingFile) SyncData() error {
	if f.fs.fails("sync") {
		return f.fs.err
	}
	return f.File.SyncData()
}

func (f *failingFile) WriteAt(b []byte, at int64) (int, error) {
	if f.fs.fails("write") {
		return 0, f.fs.err
	}
	return f.File.WriteAt(b, at)
}

// TestFailure: after an error of the disk nothing is taken for stored, ever; what was stored can still be read.
func TestFailure(t *testing.T) {
	for _, what := range []string{"sync", "write"} {
		t.Run(what, func(t *testing.T) {
			fs := &failingFS{FS: vfs.NewMem(), what: what, err: errors.New("disk on fire")}
			o := small("/store")
			o.FS = fs
			s, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			q := store.QueueID{Owner: benchOwner(1)}
			put(t, s, testMessage(q, 1))
			fs.armed.Store(true)
			if _, err := s.Enqueue(t.Context(), []store.Message{testMessage(q, 2)}); !errors.Is(err, store.ErrFailed) {
				t.Fatalf("while the disk fails: %v", err)
			}
			<-s.Failed()
			fs.armed.Store(false)
			for name, err := range map[string]error{
				"enqueue":     second(s.Enqueue(t.Context(), []store.Message{testMessage(q, 2)})),
				"acknowledge": s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: 1}}),
				"sweep":       second(s.Sweep(t.Context(), 1)),
			} {
				if !errors.Is(err, store.ErrFailed) {
					t.Errorf("%s after a failure: %v", name, err)
				}
			}
			if p, err := s.Read(t.Context(), q, 0, 10, 1000); err != nil || len(p.Messages) != 1 || p.Last != 1 {
				t.Errorf("read after a failure: %+v, %v", p, err)
			}
			abandon(t, s)
		})
	}
}

func second[T any](_ T, err error) error { return err }
