package idset

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

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
