package idset

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store/internal/disk"
	"quicnprotochat/store/internal/disk/disktest"
)

// TestPauses: a run is written with pauses, so that others have the disk, but without them once that is to end; a merge that is to end leaves its pause at once.
func TestPauses(t *testing.T) {
	const takes, total, hurried = 10 * time.Millisecond, 100_000, 2 * 10 * time.Millisecond
	list := entries(0, total)
	for _, hurries := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o, hurry := options(disktest.Slow(vfs.NewMem(), takes), 1<<20), make(chan struct{})
			o.Hurry = hurry
			s := mustOpen(t, o)
			defer s.Close()
			if hurries {
				time.AfterFunc(hurried, func() { close(hurry) }) // in the first pause
			}
			begun := time.Now()
			add(t, s, 1, 1, list)
			size := s.Stats().Bytes
			most := time.Duration(size/disk.Piece) * 3 * takes
			least := most * 3 / 4 // pieces are a little larger
			if hurries {
				least, most = hurried, hurried
			}
			if d := time.Since(begun); d < least || d > most {
				t.Errorf("hurried %v: %v for %d bytes, want %v to %v", hurries, d, size, least, most)
			}
			expect(t, s, 0, 1000, true)
			if hurries {
				return
			}
			for i := range uint64(fanIn) {
				add(t, s, 1, 2+i, entries(total+100*i, 100))
			}
			stop := make(chan struct{})
			time.AfterFunc(hurried, func() { close(stop) })
			begun = time.Now()
			if more, err := s.Merge(1, stop); more || err != nil || time.Since(begun) != hurried {
				t.Errorf("merge that is stopped: %v, %v after %v", more, err, time.Since(begun))
			}
			expect(t, s, total, total+1000, true)
		})
	}
}

// TestMergeNewest: of an id that is in several runs of a bucket, the number in the newest one counts, before and after merging, and one is left.
func TestMergeNewest(t *testing.T) {
	const n, common = 500, 200
	for _, current := range []uint32{1, 2} {
		s := mustOpen(t, options(vfs.NewMem(), 1<<20))
		for segment := range uint64(fanIn) {
			list := entries(n*segment, n)
			for _, e := range entries(1<<40, common) {
				e.Seq = segment + 1
				list = append(list, e)
			}
			slices.SortFunc(list, func(a, b Entry) int { return slices.Compare(a.ID[:], b.ID[:]) })
			add(t, s, 1, segment+1, list)
		}
		for _, when := range []string{"before", "after"} {
			for _, e := range entries(1<<40, common) {
				if seq, err := s.Find(&e.ID, 0, 9); seq != fanIn || err != nil {
					t.Fatalf("%s: %d, %v", when, seq, err)
				}
			}
			expect(t, s, 0, n*fanIn, true)
			if when == "before" {
				mergeAll(t, s, current)
			}
		}
		if st := s.Stats(); st.Runs != 1 || st.Entries != n*fanIn+common {
			t.Errorf("%+v", st)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
