package wal

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// TestCrash crashes after each operation of a random history, keeping none, some or all of what was not synced.
func TestCrash(t *testing.T) {
	both(t, func(t *testing.T, key []byte) {
		rapid.Check(t, func(t *rapid.T) {
			mem := vfs.NewCrashableMem()
			o := small(mem, key)
			l, _, _ := open(t, o, 0)
			var all []placed // of this life of the log
			durable, n := 0, 0
			first := uint64(0)
			for range rapid.IntRange(1, 40).Draw(t, "steps") {
				switch rapid.IntRange(0, 9).Draw(t, "step") {
				default:
					var records [][]byte
					for range rapid.IntRange(1, 8).Draw(t, "records") {
						n++
						records = append(records, record(n))
					}
					sync := rapid.Bool().Draw(t, "sync")
					all = append(all, put(t, l, sync, records...)...)
					if sync {
						durable = len(all)
					}
				case 7:
					if current := l.Segment(); current > l.Oldest()+1 {
						first = current
						if err := l.Retire(current - 1); err != nil {
							t.Fatal(err)
						}
						skip := 0
						for skip < len(all) && all[skip].pos.Segment < first {
							skip++
						}
						all, durable = all[skip:], max(durable-skip, 0)
					}
				case 8, 9:
					percent := rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "kept")
					crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))})
					_ = l.Close()
					mem, o.FS = crashed, crashed
					var report Report
					var found []placed
					l, report, found = open(t, o, first)
					if len(report.Corrupt) != 0 {
						t.Fatalf("a crash is no damage: %+v", report)
					}
					if len(found) < durable || len(found) > len(all) {
						t.Fatalf("%d records, %d were synced, %d written", len(found), durable, len(all))
					}
					same(t, found, all[:len(found)])
					all, durable = found, len(found)
				}
			}
			_ = l.Close()
		})
	})
}
