package idset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"quicnprotochat/store"
)

func options(fs vfs.FS, room int) Options {
	return Options{FS: fs, Dir: "ids", Room: room, Logger: slog.New(slog.DiscardHandler)}
}

func mustOpen(t testing.TB, o Options) *Set {
	t.Helper()
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Load(nil) {
		t.Fatal("not loaded")
	}
	s.Complete()
	return s
}

// id is a spread one.
func id(n uint64) (i ID) {
	r := rand.New(rand.NewPCG(n, 1))
	binary.BigEndian.PutUint64(i[:], r.Uint64())
	binary.BigEndian.PutUint64(i[8:], r.Uint64())
	return i
}

// entries are n, from one number on, in order.
func entries(from uint64, n int) []Entry {
	list := make([]Entry, n)
	for i := range list {
		list[i] = Entry{id(from + uint64(i)), from + uint64(i) + 1}
	}
	slices.SortFunc(list, func(a, b Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return list
}

func add(t testing.TB, s *Set, bucket uint32, segment uint64, list []Entry) {
	t.Helper()
	if err := s.Add(bucket, segment, len(list), slices.Values(list)); err != nil {
		t.Fatal(err)
	}
}

func mergeAll(t testing.TB, s *Set, current uint32) {
	t.Helper()
	for {
		more, err := s.Merge(current, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

// expect looks up the ids of a range.
func expect(t testing.TB, s *Set, from, to uint64, there bool) {
	t.Helper()
	for n := from; n < to; n++ {
		name, want := id(n), n+1
		if !there {
			want = 0
		}
		if got, err := s.Find(&name, 0, 1<<32-1); err != nil || got != want {
			t.Fatalf("id %d: %d, %v; want %d", n, got, err, want)
		}
		if there && !s.MayHold(&name, 0, 1<<32-1) {
			t.Fatalf("id %d is there, and no filter knows it", n)
		}
	}
}

// TestRuns: sizes at the borders of pages and blocks, with and without filters in memory, before and after merging, and after opening anew.
func TestRuns(t *testing.T) {
	for _, room := range []int{0, 40_000, 1 << 20} {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			o := options(vfs.NewMem(), room)
			s := mustOpen(t, o)
			from := uint64(0)
			for segment, n := range []int{1, 2, 63, 64, 65, 203, 204, 205, 408, 5000, 0, 20_000, 1, 1, 1, 7, 300} {
				add(t, s, 5, uint64(segment+1), entries(from, n))
				from += uint64(n)
			}
			expect(t, s, 0, from, true)
			expect(t, s, from, 2*from, false)
			before := s.Stats()
			mergeAll(t, s, 5)
			after := s.Stats()
			if before.Runs != 16 || after.Runs != 5 || after.Entries != from || after.Merged == 0 {
				t.Fatalf("%+v, and after merging %+v", before, after)
			}
			expect(t, s, 0, from, true)
			expect(t, s, from, 2*from, false)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, o)
			defer s.Close()
			if again := s.Stats(); again.Runs != after.Runs || again.Entries != from || again.Damaged != 0 {
				t.Fatalf("opened again %+v", again)
			}
			expect(t, s, 0, from, true)
			expect(t, s, from, from+3000, false)
			seen := int64(0)
			err := Look(t.Context(), o.FS, o.Dir, func(_ string, n int64, err error) error { seen += n; return err })
			if err != nil || seen != int64(from) {
				t.Fatalf("looked at %d ids: %v", seen, err)
			}
		})
	}
}

// TestUneven: ids that are not spread at all are found all the same, if more slowly.
func TestUneven(t *testing.T) {
	s := mustOpen(t, options(vfs.NewMem(), 1<<20))
	defer s.Close()
	var list []Entry
	for n := range uint64(30_000) {
		var e Entry
		binary.BigEndian.PutUint64(e.ID[5:], n*n)
		e.Seq = n + 1
		list = append(list, e)
	}
	add(t, s, 1, 1, list)
	for _, e := range list {
		if got, err := s.Find(&e.ID, 1, 1); err != nil || got != e.Seq {
			t.Fatalf("%x: %d, %v", e.ID, got, err)
		}
	}
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
		model := map[uint32]map[uint64]bool{}
		bucket, segment, next := uint32(1), uint64(0), uint64(0)
		var last []Entry
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"add", "add", "add", "add", "again", "bucket", "merge", "drop", "crash"}).Draw(r, "step") {
			case "add":
				n := rapid.IntRange(0, 700).Draw(r, "n")
				segment++
				last = entries(next, n)
				add(t, s, bucket, segment, last)
				if model[bucket] == nil {
					model[bucket] = map[uint64]bool{}
				}
				for i := range uint64(n) {
					model[bucket][next+i] = true
				}
				next += uint64(n)
			case "again": // as after a crash, when the log says the segment once more
				if model[bucket] != nil {
					add(t, s, bucket, segment, last)
				}
			case "bucket":
				bucket++
				last = nil
			case "merge":
				mergeAll(t, s, bucket)
			case "drop":
				oldest := rapid.Uint32Range(0, bucket).Draw(r, "oldest")
				if _, err := s.Drop(oldest); err != nil {
					r.Fatal(err)
				}
				for b := range oldest {
					delete(model, b)
				}
			case "crash":
				crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(r, "unsynced"), RNG: rand.New(rand.NewPCG(next, segment))})
				if err := s.Close(); err != nil {
					r.Fatal(err)
				}
				fs, o.FS = crashed, crashed
				if s, err = Open(o); err != nil {
					r.Fatal(err)
				}
				known := rapid.SampledFrom([]string{"nothing", "runs", "all"}).Draw(r, "known")
				if known != "nothing" && !s.Load(nil) {
					r.Fatal("not loaded")
				}
				if known == "all" {
					s.Complete()
				}
			}
			there := map[uint64]bool{}
			for _, ids := range model {
				for n := range ids {
					there[n] = true
				}
			}
			for n := range next + 20 {
				name := id(n)
				got, err := s.Find(&name, 0, bucket)
				if err != nil || there[n] && (got != n+1 || !s.MayHold(&name, 0, bucket)) || got != 0 && got != n+1 {
					r.Fatalf("id %d: %d, %v; there: %v", n, got, err, there[n])
				}
			}
		}
		if s.Stats().Damaged != 0 {
			r.Fatalf("%+v", s.Stats())
		}
		_ = s.Close()
	})
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

// TestDrop: a bucket goes, with its files; a copy that is being made keeps them until it has ended.
func TestDrop(t *testing.T) {
	o := options(vfs.NewMem(), 1<<20)
	s := mustOpen(t, o)
	defer s.Close()
	add(t, s, 1, 1, entries(0, 1000))
	add(t, s, 2, 2, entries(1000, 1000))
	if err := o.FS.MkdirAll("copy", 0o700); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.held++
	s.mu.Unlock()
	if n, err := s.Drop(2); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if names, _ := o.FS.List(o.Dir); len(names) != 2 {
		t.Fatalf("%q", names)
	}
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
	if names, _ := o.FS.List(o.Dir); len(names) != 1 {
		t.Fatalf("%q", names)
	}
	expect(t, s, 0, 1000, false)
	expect(t, s, 1000, 2000, true)
	if err := s.CopyTo(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	o.Dir = "copy"
	c := mustOpen(t, o)
	defer c.Close()
	expect(t, c, 1000, 2000, true)
}

// TestDamage: a page that cannot be read is an error for the ids in it, and no others; a file whose head cannot be read is left out.
func TestDamage(t *testing.T) {
	for _, room := range []int{0, 1 << 20} {
		fs := vfs.NewMem()
		o := options(fs, room)
		s := mustOpen(t, o)
		add(t, s, 1, 1, entries(0, 10_000))
		add(t, s, 1, 2, entries(10_000, 100))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		names, err := fs.List(o.Dir)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		h := head{blocks: blocks(10_000), count: 10_000}
		flip(t, fs, fs.PathJoin(o.Dir, names[0]), pageSize+100) // in the filter: may then hold everything
		flip(t, fs, fs.PathJoin(o.Dir, names[0]), h.entries()*pageSize+20)
		flip(t, fs, fs.PathJoin(o.Dir, names[1]), 9)
		s = mustOpen(t, o)
		corrupt := 0
		for n := range uint64(20_000) {
			name := id(n)
			got, err := s.Find(&name, 0, 9)
			if errors.Is(err, store.ErrCorrupt) {
				corrupt++
			} else if want := n + 1; err != nil || n < 10_000 && got != want || n >= 10_000 && got != 0 {
				t.Fatalf("id %d: %d, %v", n, got, err)
			}
		}
		if corrupt < pageEntries || corrupt > 4*pageEntries {
			t.Fatalf("%d ids could not be looked up", corrupt)
		}
		if d := s.Stats().Damaged; d != 2 { // the second one was found by Load
			t.Fatalf("%d damaged", d)
		}
		wrong := 0
		err = Look(t.Context(), fs, o.Dir, func(_ string, _ int64, err error) error {
			if err != nil {
				wrong++
			}
			return nil
		})
		if err != nil || wrong != 2 {
			t.Fatal(err, wrong)
		}
		for i := range uint64(fanIn) { // merging loses the page, and nothing else
			add(t, s, 1, 10+i, entries(20_000+i, 1))
		}
		mergeAll(t, s, 1)
		lost := 0
		for n := range uint64(10_000) {
			name := id(n)
			if got, err := s.Find(&name, 0, 9); err != nil || got == 0 {
				lost++
			}
		}
		if lost != pageEntries {
			t.Fatalf("%d ids lost", lost)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func flip(t *testing.T, fs vfs.FS, path string, at int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStop: a merge that is to end leaves all as it was.
func TestStop(t *testing.T) {
	o := options(vfs.NewMem(), 0)
	s := mustOpen(t, o)
	defer s.Close()
	for i := range uint64(fanIn) {
		add(t, s, 1, 1+i, entries(100*i, 100))
	}
	stop := make(chan struct{})
	close(stop)
	if more, err := s.Merge(1, stop); more || err != nil {
		t.Fatal(more, err)
	}
	if names, _ := o.FS.List(o.Dir); len(names) != fanIn {
		t.Fatalf("%q", names)
	}
	expect(t, s, 0, 100*fanIn, true)
}

// FuzzRun: whatever stands in a file, nothing worse comes of it than an error.
func FuzzRun(f *testing.F) {
	fs := vfs.NewMem()
	for _, n := range []int{1, 300} {
		o := options(fs, 0)
		o.Dir = fmt.Sprint(n)
		s := mustOpen(f, o)
		add(f, s, 1, 1, entries(0, n))
		if err := s.Close(); err != nil {
			f.Fatal(err)
		}
		h := head{bucket: 1, first: 1, last: 1}
		file, err := fs.Open(fs.PathJoin(o.Dir, h.name()))
		if err != nil {
			f.Fatal(err)
		}
		info, err := file.Stat()
		if err != nil {
			f.Fatal(err)
		}
		all := make([]byte, info.Size())
		if _, err := file.ReadAt(all, 0); err != nil {
			f.Fatal(err)
		}
		_ = file.Close()
		f.Add(all, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sums bool) {
		for n := 0; sums && n+pageSize <= len(b); n += pageSize {
			seal((*[pageSize]byte)(b[n:]), int64(n/pageSize))
		}
		fs := vfs.NewMem()
		o := options(fs, 1<<16)
		if err := fs.MkdirAll(o.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := fs.Create(fs.PathJoin(o.Dir, "any"+suffix), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(b); err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
		_ = Look(t.Context(), fs, o.Dir, func(string, int64, error) error { return nil })
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for n := range uint64(50) {
			name := id(n)
			if _, err := s.Find(&name, 0, 1<<32-1); err != nil && !errors.Is(err, store.ErrCorrupt) {
				t.Fatal(err)
			}
		}
	})
}

// full is a disk with as much room as it says.
type full struct {
	vfs.FS
	free uint64
}

func (f *full) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free, TotalBytes: 1 << 40, UsedBytes: 1<<40 - f.free}, nil
}

// TestRoom: nothing is merged while that would fill the disk.
func TestRoom(t *testing.T) {
	fs := &full{FS: vfs.NewMem(), free: 100_000}
	o := options(fs, 0)
	o.Spare = 60_000
	s := mustOpen(t, o)
	defer s.Close()
	for i := range uint64(fanIn) {
		add(t, s, 1, 1+i, entries(200*i, 200))
	}
	if more, err := s.Merge(1, nil); more || err != nil {
		t.Fatal(more, err)
	}
	fs.free = 200_000
	if more, err := s.Merge(1, nil); !more || err != nil {
		t.Fatal(more, err)
	}
	expect(t, s, 0, 200*fanIn, true)
}

// TestClockBack: while the clock says an earlier time than it did, the runs of that time are not all merged again whenever one comes.
func TestClockBack(t *testing.T) {
	s := mustOpen(t, options(vfs.NewMem(), 0))
	defer s.Close()
	add(t, s, 9, 1, entries(0, 1))
	for i := range uint64(100) {
		add(t, s, 5, 2+i, entries(1+100*i, 100))
		mergeAll(t, s, 5)
	}
	if st := s.Stats(); st.Merged > 2*st.Entries {
		t.Fatalf("%+v", st)
	}
	mergeAll(t, s, 6)
	if st := s.Stats(); st.Runs != 2 {
		t.Fatalf("%+v", st)
	}
	expect(t, s, 0, 10_001, true)
}

// TestFilters: what was added or noted is never missed, little else is found, and memory keeps to its bounds, even when more is added than fits.
func TestFilters(t *testing.T) {
	for _, room := range []int{0, 4 << 20, 64 << 20} {
		s := mustOpen(t, options(vfs.NewMem(), room))
		const total = 1_500_000
		for _, e := range entries(0, total) {
			s.Note(3, &e.ID) // in order, as they come
		}
		wrong := 0
		for n := range uint64(total) {
			name, other := id(n), id(total+n)
			if !s.MayHold(&name, 3, 3) {
				t.Fatalf("%d is missing", n)
			}
			if s.MayHold(&name, 4, 9) {
				t.Fatalf("%d is in another bucket", n)
			}
			if s.MayHold(&other, 3, 3) {
				wrong++
			}
		}
		if room > 4<<20 && wrong > total/50 {
			t.Errorf("with room for %d: %d of %d wrongly said to be there", room, wrong, total)
		}
		if n := s.Stats().Filters; n > max(room, firstLayer) {
			t.Errorf("%d bytes of filters, room for %d", n, room)
		}
		if _, err := s.Drop(4); err != nil || s.Stats().Filters != 0 {
			t.Errorf("%d bytes of filters after Drop, %v", s.Stats().Filters, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplacedWhileRead: a run that takes the place of another, as after a crash, while that one is read: neither is lost.
func TestReplacedWhileRead(t *testing.T) {
	s := mustOpen(t, options(vfs.NewMem(), 1<<20))
	defer s.Close()
	add(t, s, 1, 1, entries(0, 1000))
	s.mu.Lock()
	s.held++
	old := s.runs[0]
	s.mu.Unlock()
	add(t, s, 1, 1, entries(0, 1000))
	if seq, err := old.find(&entries(0, 1)[0].ID); seq != 1 || err != nil {
		t.Fatalf("the old file was closed: %d, %v", seq, err)
	}
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
	expect(t, s, 0, 1000, true)
	if names, _ := s.o.FS.List(s.o.Dir); len(names) != 1 {
		t.Fatalf("%q", names)
	}
}
