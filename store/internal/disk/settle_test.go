package disk

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slowFile takes its time for a sync.
type slowFile struct {
	vfs.File
	takes time.Duration
	err   error
	syncs int
}

func (f *slowFile) SyncData() error {
	f.syncs++
	time.Sleep(f.takes)
	return f.err
}

// TestSettle: the rest is as long as the disk deserves, and ends when somebody cannot wait any longer.
func TestSettle(t *testing.T) {
	wrong := errors.New("wrong")
	for _, c := range []struct {
		name                string
		takes, hurry, total time.Duration
		err                 error
	}{
		{name: "in memory"},
		{name: "usual", takes: time.Millisecond, total: 3 * time.Millisecond},
		{name: "slow", takes: time.Minute, total: time.Minute + maxRest},
		{name: "hurried in the rest", takes: 10 * time.Millisecond, hurry: 15 * time.Millisecond, total: 15 * time.Millisecond},
		{name: "hurried in the sync", takes: 10 * time.Millisecond, hurry: 5 * time.Millisecond, total: 10 * time.Millisecond},
		{name: "failed", takes: 10 * time.Millisecond, total: 10 * time.Millisecond, err: wrong},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hurry := make(chan struct{})
				if c.hurry > 0 {
					time.AfterFunc(c.hurry, func() { close(hurry) })
				}
				f, begun := &slowFile{takes: c.takes, err: c.err}, time.Now()
				if err := Settle(f, hurry); !errors.Is(err, c.err) || f.syncs != 1 {
					t.Errorf("%v after %d syncs", err, f.syncs)
				}
				if d := time.Since(begun); d != c.total {
					t.Errorf("took %v, want %v", d, c.total)
				}
				if c.hurry == 0 {
					return
				}
				if err := Settle(f, hurry); err != nil || f.syncs != 1 {
					t.Errorf("in a hurry: %v after %d syncs", err, f.syncs)
				}
			})
		})
	}
}
