package pebble_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/pebble"
)

// history is what callers were told before the crash. Answers that come while the disk is cloned may or may not be on it, so only
// what was answered before counts as promised.
type history struct {
	mu     sync.Mutex
	stored [crashQueues]map[uint64]uint64 // seq -> number
	acked  [crashQueues]uint64            // asked for, at most
	taken  map[[32]byte]bool
}

const crashQueues = 4

func crashQueue(n int) store.QueueID {
	return store.QueueID{Owner: store.Identity{1}, Group: fmt.Sprint(n)}
}

// load enqueues, acknowledges and takes until ctx ends, and notes what it was told.
func (h *history) load(ctx context.Context, s *pebble.Store, worker int) {
	queue := worker % crashQueues
	for n := 0; ctx.Err() == nil; n++ {
		number := uint64(worker)<<32 | uint64(n)
		m := store.Message{Queue: crashQueue(queue), Payload: binary.BigEndian.AppendUint64(nil, number)}
		binary.BigEndian.PutUint64(m.ID[:], number)
		r, err := s.Enqueue(context.Background(), []store.Message{m})
		if err != nil {
			return
		}
		h.mu.Lock()
		h.stored[queue][r[0].Seq] = number
		h.mu.Unlock()
		if n%5 == 4 && worker < crashQueues {
			h.mu.Lock()
			h.acked[queue] = max(h.acked[queue], r[0].Seq-3)
			h.mu.Unlock()
			if s.Acknowledge(context.Background(), []store.Cursor{{Queue: crashQueue(queue), Seq: r[0].Seq - 3}}) != nil {
				return
			}
		}
		if n%7 == 6 {
			if k, err := s.TakeKeyPackage(context.Background(), store.Identity{2}); err == nil {
				h.mu.Lock()
				h.taken[k.Fingerprint] = true
				h.mu.Unlock()
			}
		}
	}
}

// promised is a copy of the history of this moment.
func (h *history) promised() (stored [crashQueues]map[uint64]uint64, taken map[[32]byte]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range stored {
		stored[i] = make(map[uint64]uint64)
		for k, v := range h.stored[i] {
			stored[i][k] = v
		}
	}
	taken = make(map[[32]byte]bool)
	for k := range h.taken {
		taken[k] = true
	}
	return stored, taken
}

// TestCrash crashes the file system under load, with none, half and all of what was not synced: nothing that was acknowledged is
// missing, doubled or out of order, no number is used again, and no KeyPackage comes out twice.
func TestCrash(t *testing.T) {
	const points = 12
	for _, percent := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("%d%%", percent), func(t *testing.T) {
			for point := range points {
				crashOnce(t, percent, int64(point))
			}
		})
	}
}

func crashOnce(t *testing.T, percent int, seed int64) {
	fs := vfs.NewCrashableMem()
	s := open(t, "store", pebble.Options{FS: fs, MemTableBytes: 64 << 10})
	h := &history{taken: map[[32]byte]bool{}}
	for i := range h.stored {
		h.stored[i] = map[uint64]uint64{}
	}
	var packages []store.KeyPackage
	for i := range 500 {
		k := store.KeyPackage{NotAfter: time.Now().Add(time.Hour), Data: []byte{1, byte(i), byte(i >> 8)}}
		binary.BigEndian.PutUint64(k.Fingerprint[:], uint64(i))
		k.InitKey = k.Fingerprint
		packages = append(packages, k)
	}
	if err := s.PutKeyPackages(t.Context(), store.Identity{2}, packages); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 2 * crashQueues {
		wg.Go(func() { h.load(ctx, s, w) })
	}
	for target := uint64(100 + 150*seed); s.Stats().Stored < target; {
		w, err := s.Watch(crashQueue(0).Owner)
		if err != nil {
			t.Fatal(err)
		}
		<-w.C() // the load goes on
		w.Close()
	}
	stored, taken := h.promised()
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(seed), 1))})
	cancel()
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, "store", pebble.Options{FS: crashed})
	defer s.Close()
	for i := range crashQueues {
		h.mu.Lock()
		verifyQueue(t, s, i, stored[i], h.acked[i])
		h.mu.Unlock()
	}
	for {
		k, err := s.TakeKeyPackage(t.Context(), store.Identity{2})
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil || taken[k.Fingerprint] {
			t.Fatalf("a KeyPackage came out twice, or %v", err)
		}
		taken[k.Fingerprint] = true
	}
}

func verifyQueue(t *testing.T, s *pebble.Store, queue int, stored map[uint64]uint64, asked uint64) {
	t.Helper()
	p, err := s.Read(t.Context(), crashQueue(queue), 0, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if p.Acknowledged > asked {
		t.Fatalf("cursor %d, and %d was the highest asked for", p.Acknowledged, asked)
	}
	numbers := map[uint64]bool{}
	for i, m := range p.Messages {
		n := binary.BigEndian.Uint64(m.Payload)
		if m.Seq != p.Acknowledged+uint64(i)+1 || numbers[n] {
			t.Fatalf("seq %d in place %d above %d, doubled %v", m.Seq, i, p.Acknowledged, numbers[n])
		}
		if want, ok := stored[m.Seq]; ok && want != n {
			t.Fatalf("seq %d is %x, was promised to be %x", m.Seq, n, want)
		}
		numbers[n] = true
	}
	for seq, n := range stored {
		if seq > p.Last {
			t.Fatalf("seq %d was acknowledged to its sender, the last is %d", seq, p.Last)
		}
		m := store.Message{Queue: crashQueue(queue), Payload: []byte{1}}
		binary.BigEndian.PutUint64(m.ID[:], n)
		if r, err := s.Enqueue(t.Context(), []store.Message{m}); err != nil || r[0] != (store.Result{Status: store.Duplicate, Seq: seq}) {
			t.Fatalf("the id of seq %d after the crash: %v, %v", seq, r, err)
		}
		break // one of them: each is an fsync
	}
	m := store.Message{Queue: crashQueue(queue), ID: store.MessageID{0xff}, Payload: []byte{1}}
	if r, err := s.Enqueue(t.Context(), []store.Message{m}); err != nil || r[0] != (store.Result{Status: store.Stored, Seq: p.Last + 1}) {
		t.Fatalf("the next after %d: %v, %v", p.Last, r, err)
	}
}

// syncGate holds every sync of a log file until it is let go.
type syncGate struct {
	vfs.FS
	waiting chan chan struct{}
	on      atomic.Bool
}

type gatedFile struct {
	vfs.File
	g *syncGate
}

func (g *syncGate) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &gatedFile{f, g}, nil
}

func (g *syncGate) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.wrap(g.FS.Create(name, c))
}

func (g *syncGate) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.wrap(g.FS.ReuseForWrite(old, name, c))
}

func (f *gatedFile) wait() {
	if f.g.on.Load() {
		done := make(chan struct{})
		f.g.waiting <- done
		<-done
	}
}

func (f *gatedFile) Sync() error     { f.wait(); return f.File.Sync() }
func (f *gatedFile) SyncData() error { f.wait(); return f.File.SyncData() }

// TestDurableBeforeVisible holds the disk back: meanwhile nothing is answered, neither the message nor its duplicate, and nothing can be read.
func TestDurableBeforeVisible(t *testing.T) {
	gate := &syncGate{FS: vfs.NewMem(), waiting: make(chan chan struct{})}
	s := open(t, "store", pebble.Options{FS: gate})
	defer s.Close()
	q := store.QueueID{Owner: store.Identity{1}}
	m := []store.Message{{Queue: q, ID: store.MessageID{1}, Payload: []byte("x")}}
	gate.on.Store(true)
	answers := make(chan store.Status, 2)
	enqueue := func() {
		r, err := s.Enqueue(t.Context(), m)
		if err != nil {
			t.Error(err)
			answers <- 0
			return
		}
		answers <- r[0].Status
	}
	go enqueue()
	first := <-gate.waiting // the batch is in the tree, and not on disk
	go enqueue()
	if p, err := s.Read(t.Context(), q, 0, 10, 100); err != nil || len(p.Messages) != 0 || p.Last != 0 {
		t.Fatalf("readable before it is on disk: %+v, %v", p, err)
	}
	if queues, _, err := s.Queues(t.Context(), store.QueueID{Owner: q.Owner}, 10); err != nil || len(queues) != 0 {
		t.Fatalf("listed before it is on disk: %+v, %v", queues, err)
	}
	select {
	case a := <-answers:
		t.Fatalf("answered %d before it is on disk", a)
	default:
	}
	gate.on.Store(false)
	close(first)
	if a, b := <-answers, <-answers; a+b != store.Stored+store.Duplicate {
		t.Fatalf("answers %d and %d", a, b)
	}
	if p, err := s.Read(t.Context(), q, 0, 10, 100); err != nil || len(p.Messages) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
}
