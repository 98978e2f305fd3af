package wal

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store/internal/disk"
	"quicnprotochat/store/internal/disk/disktest"
)

// TestMakerPauses: a segment that nobody waits for is made slowly; who waits for it, or for the end of the log, waits for none of the pauses.
func TestMakerPauses(t *testing.T) {
	const takes, pieces = 10 * time.Millisecond, 8
	whole := (pieces - 1) * 3 * takes // with two thirds of it pauses
	for _, c := range []struct {
		name  string
		asked time.Duration // before the segment is waited for
		wait  time.Duration // for it
	}{
		{name: "at once", asked: 0, wait: takes},
		{name: "while it syncs", asked: takes / 2, wait: takes / 2},
		{name: "in a pause", asked: 2 * takes, wait: 0},
		{name: "later", asked: 3*takes + takes/2, wait: takes / 2},
		{name: "made", asked: whole, wait: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &maker{o: Options{FS: disktest.Slow(vfs.NewMem(), takes), Dir: "log", SegmentBytes: pieces * disk.Piece, Spare: 1}}
				if err := m.o.FS.MkdirAll(m.o.Dir, 0o700); err != nil {
					t.Fatal(err)
				}
				m.ask(1)
				synctest.Wait()
				time.Sleep(c.asked)
				synctest.Wait()
				if early := len(m.making) == 1; early != (c.asked == whole) {
					t.Errorf("made after %v: %v", c.asked, early)
				}
				begun := time.Now()
				s, err := m.take()
				if err != nil {
					t.Fatal(err)
				}
				if d := time.Since(begun); d != c.wait {
					t.Errorf("waited %v, want %v", d, c.wait)
				}
				if st, err := s.file.Stat(); err != nil || st.Size() != m.o.SegmentBytes {
					t.Errorf("%v, %v", st, err)
				}
				if err := s.file.Close(); err != nil {
					t.Fatal(err)
				}
				m.ask(2)
				synctest.Wait()
				time.Sleep(2 * takes) // into a pause
				begun = time.Now()
				if err := m.close(); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(begun); d != 0 {
					t.Errorf("closing waited %v", d)
				}
			})
		})
	}
}

// TestMakerUrged: when half of a segment is written, the next one is made without pauses, and is there before it is needed.
func TestMakerUrged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{FS: disktest.Slow(vfs.NewMem(), 10*time.Millisecond), Dir: "/log", SegmentBytes: 64 * disk.Piece}
		l, _, _ := open(t, o, 0)
		defer closeLog(t, l)
		for part, want := range []int{0, 0, 1, 1} { // the segments that are ready, after each quarter
			put(t, l, false, make([]byte, o.SegmentBytes/4-8<<10))
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			if n := len(l.maker.making); n != want {
				t.Errorf("after part %d: %d segments ready, want %d", part, n, want)
			}
		}
		begun := time.Now()
		put(t, l, false, make([]byte, o.SegmentBytes/4))
		if d := time.Since(begun); l.Segment() != 2 || d > 10*time.Millisecond { // of the sync of the first one
			t.Errorf("in segment %d after %v", l.Segment(), d)
		}
	})
}
