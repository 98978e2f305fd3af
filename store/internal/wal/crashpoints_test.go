package wal

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// counted crashes, by taking a copy of what would be left, right before one of the operations that change the file system.
type counted struct {
	*vfs.MemFS
	cfg vfs.CrashCloneCfg
	at  int // the operation; 0 is none

	mu      sync.Mutex
	n       int
	durable int // records that were acknowledged
	crashed *vfs.MemFS
	known   int // of durable, at the crash
}

func (c *counted) op() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n == c.at {
		c.crashed, c.known = c.CrashClone(c.cfg), c.durable
	}
}

func (c *counted) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crashed != nil
}

func (c *counted) acknowledged(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.durable = n
}

func (c *counted) Create(name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	c.op()
	f, err := c.MemFS.Create(name, k)
	return countedFile{f, c}, err
}

func (c *counted) OpenReadWrite(name string, k vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.MemFS.OpenReadWrite(name, k, opts...)
	return countedFile{f, c}, err
}

func (c *counted) OpenDir(name string) (vfs.File, error) {
	f, err := c.MemFS.OpenDir(name)
	return countedFile{f, c}, err
}

func (c *counted) Rename(from, to string) error { c.op(); return c.MemFS.Rename(from, to) }

func (c *counted) Remove(name string) error { c.op(); return c.MemFS.Remove(name) }

type countedFile struct {
	vfs.File
	c *counted
}

func (f countedFile) WriteAt(p []byte, at int64) (int, error) { f.c.op(); return f.File.WriteAt(p, at) }

func (f countedFile) Sync() error { f.c.op(); return f.File.Sync() }

func (f countedFile) SyncData() error { f.c.op(); return f.File.SyncData() }

// TestCrashPoints crashes at every operation of one history that fills, retires and uses segments again.
func TestCrashPoints(t *testing.T) {
	points := 0
	for _, percent := range []int{0, 50, 100} {
		for at := 1; ; at++ {
			c := &counted{MemFS: vfs.NewCrashableMem(), at: at,
				cfg: vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(at), uint64(percent)))}}
			all, first := history(t, c)
			if c.crashed == nil {
				break
			}
			points++
			checkCrashed(t, fmt.Sprintf("operation %d, %d %% kept", at, percent), c, all, first)
		}
	}
	t.Logf("%d crash points", points)
	if points < 300 {
		t.Errorf("only %d crash points", points)
	}
}

// history writes 60 batches, every other one synced, and retires as it goes. It returns all records, and the oldest segment that was asked for.
func history(t *testing.T, c *counted) (all []placed, first func() uint64) {
	l, _, _ := open(t, small(c, nil), 0)
	oldest := uint64(0)
	known := oldest
	for n := range 60 {
		all = append(all, put(t, l, n%2 == 0, record(1000+n), record(2000+n), record(n))...)
		if n%2 == 0 {
			c.acknowledged(len(all))
		}
		if current := l.Segment(); current > l.Oldest()+1 {
			oldest = current - 1
			if !c.over() {
				known = oldest // the engine notes this durably before it retires
			}
			if err := l.Retire(oldest - 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	closeLog(t, l)
	return all, func() uint64 { return known }
}

func checkCrashed(t *testing.T, what string, c *counted, all []placed, first func() uint64) {
	l, report, found := open(t, small(c.crashed, nil), first())
	defer closeLog(t, l)
	if len(report.Corrupt) != 0 {
		t.Fatalf("%s: a crash is no damage: %+v", what, report.Corrupt)
	}
	skip := 0
	for skip < len(all) && all[skip].pos.Segment < first() {
		skip++
	}
	if len(found) < c.known-skip || len(found) > len(all)-skip {
		t.Fatalf("%s: %d records, %d were acknowledged, %d written", what, len(found), c.known-skip, len(all)-skip)
	}
	same(t, found, all[skip:skip+len(found)])
	put(t, l, true, record(5)) // and it goes on
}
