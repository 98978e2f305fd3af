package idset

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// walk is a set beside what it should hold: by bucket, the numbers of its ids.
type walk struct {
	r       *rapid.T
	fs      *vfs.MemFS
	o       Options
	s       *Set
	model   map[uint32]map[uint64]bool
	bucket  uint32
	segment uint64
	next    uint64
	last    []Entry // what was added last to bucket
}

// TestWalk compares a set with a map over random steps.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		fs := vfs.NewCrashableMem()
		o := options(fs, rapid.SampledFrom([]int{0, 10_000, 1 << 20}).Draw(r, "room"))
		if err := fs.MkdirAll(o.Dir, 0o700); err != nil {
			r.Fatal(err)
		}
		syncRoot(r, fs)
		s, err := Open(o)
		if err != nil {
			r.Fatal(err)
		}
		w := &walk{r: r, fs: fs, o: o, s: s, model: map[uint32]map[uint64]bool{}, bucket: 1}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			w.step()
			w.compare()
		}
		if w.s.Stats().Damaged != 0 {
			r.Fatalf("%+v", w.s.Stats())
		}
		_ = w.s.Close()
	})
}

func (w *walk) step() {
	switch rapid.SampledFrom([]string{"add", "add", "add", "add", "again", "bucket", "merge", "drop", "crash"}).Draw(w.r, "step") {
	case "add":
		w.add(rapid.IntRange(0, 700).Draw(w.r, "n"))
	case "again": // as after a crash, when the log says the segment once more
		if w.model[w.bucket] != nil {
			add(w.r, w.s, w.bucket, w.segment, w.last)
		}
	case "bucket":
		w.bucket++
		w.last = nil
	case "merge":
		mergeAll(w.r, w.s, w.bucket)
	case "drop":
		oldest := rapid.Uint32Range(0, w.bucket).Draw(w.r, "oldest")
		if _, err := w.s.Drop(oldest); err != nil {
			w.r.Fatal(err)
		}
		for b := range oldest {
			delete(w.model, b)
		}
	case "crash":
		w.crash()
	}
}

func (w *walk) add(n int) {
	w.segment++
	w.last = entries(w.next, n)
	add(w.r, w.s, w.bucket, w.segment, w.last)
	if w.model[w.bucket] == nil {
		w.model[w.bucket] = map[uint64]bool{}
	}
	for range n {
		w.model[w.bucket][w.next] = true
		w.next++
	}
}

// crash opens what a power cut left, which the set may be told of in part.
func (w *walk) crash() {
	crashed := w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(w.r, "unsynced"), RNG: rand.New(rand.NewPCG(w.next, w.segment))})
	if err := w.s.Close(); err != nil {
		w.r.Fatal(err)
	}
	w.fs, w.o.FS = crashed, crashed
	var err error
	if w.s, err = Open(w.o); err != nil {
		w.r.Fatal(err)
	}
	known := rapid.SampledFrom([]string{"nothing", "runs", "all"}).Draw(w.r, "known")
	if known != "nothing" && !w.s.Load(nil) {
		w.r.Fatal("not loaded")
	}
	if known == "all" {
		w.s.Complete()
	}
}

func (w *walk) compare() {
	there := map[uint64]bool{}
	for _, ids := range w.model {
		for n := range ids {
			there[n] = true
		}
	}
	for n := range w.next + 20 {
		name := id(n)
		got, err := w.s.Find(&name, 0, w.bucket)
		if err != nil || there[n] && (got != n+1 || !w.s.MayHold(&name, 0, w.bucket)) || got != 0 && got != n+1 {
			w.r.Fatalf("id %d: %d, %v; there: %v", n, got, err, there[n])
		}
	}
}

func syncRoot(t rapid.TB, fs vfs.FS) {
	d, err := fs.OpenDir("")
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}
