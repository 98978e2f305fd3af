package idset

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

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
