package idset

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

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
