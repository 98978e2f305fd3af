package wal

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestSyncBeside syncs from other goroutines while the writer goes on over many segments and retires them: what a Sync covers is there after a crash.
func TestSyncBeside(t *testing.T) {
	mem := vfs.NewCrashableMem()
	l, _, _ := open(t, small(mem, nil), 0)
	var all []placed
	var wg sync.WaitGroup
	for n := range 300 {
		all = append(all, put(t, l, false, record(n))...)
		wg.Go(func() {
			if err := l.Sync(); err != nil {
				t.Error(err)
			}
		})
		if current := l.Segment(); n < 200 && current > l.Oldest()+1 {
			if err := l.Retire(current - 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	wg.Wait()
	first := l.Oldest()
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	closeLog(t, l)
	for all[0].pos.Segment < first {
		all = all[1:]
	}
	l, report, found := open(t, small(crashed, nil), first)
	defer closeLog(t, l)
	same(t, found, all)
	if len(report.Corrupt) != 0 {
		t.Errorf("%+v", report)
	}
}
