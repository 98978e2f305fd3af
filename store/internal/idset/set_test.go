package idset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
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

func add(t rapid.TB, s *Set, bucket uint32, segment uint64, list []Entry) {
	t.Helper()
	if err := s.Add(bucket, segment, len(list), slices.Values(list)); err != nil {
		t.Fatal(err)
	}
}

func mergeAll(t rapid.TB, s *Set, current uint32) {
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
