package wal

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestSpareWithNameToCome crashes when the newest segment has a name and nothing that was synced, so that the next life of the log starts with a spare file
// that bears the name of a segment to come. Whatever is retired meanwhile, that name must not be given to another file while the spare is kept: taking
// the spare later would move a live segment away.
func TestSpareWithNameToCome(t *testing.T) {
	both(t, func(t *testing.T, key []byte) {
		mem := vfs.NewCrashableMem()
		o := small(mem, key)
		l, _, _ := open(t, o, 0)
		var all []placed
		n := 0
		fill := func(segments int, sync bool) {
			t.Helper()
			for end := l.Segment() + uint64(segments); l.Segment() < end; {
				n++
				all = append(all, put(t, l, sync, record(n))...)
			}
		}
		fill(4, true)
		fill(1, false) // its first record is not synced
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		written := l.Segment()
		_ = l.Close()
		o.FS = crashed
		l, _, all = open(t, o, 0)
		if l.Segment() != written-1 {
			t.Fatalf("opened at segment %d of %d: nothing was lost, so this tests nothing", l.Segment(), written)
		}
		if err := l.Retire(l.Oldest()); err != nil {
			t.Fatal(err)
		}
		first := l.Oldest()
		for len(all) > 0 && all[0].pos.Segment < first {
			all = all[1:]
		}
		fill(4, true)
		readAll(t, l, all)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, report, found := open(t, o, first)
		defer l.Close()
		if len(report.Corrupt) != 0 {
			t.Fatalf("%+v", report)
		}
		same(t, found, all)
	})
}
