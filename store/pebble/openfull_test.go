package pebble_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"quicnprotochat/store"
	"quicnprotochat/store/pebble"
)

// TestOpenOnFullDisk: a store that cannot be opened because nothing can be written says so, in place of waiting for ever, whichever file it is; when
// there is room again everything is there. (pebble ends the goroutine that opens it when the manifest cannot be written, and blocks in its own clean-up.)
func TestOpenOnFullDisk(t *testing.T) {
	for _, file := range []string{"MANIFEST", ".log", ".sst", ".dbtmp", "marker."} {
		t.Run(file, func(t *testing.T) {
			disk := vfs.NewCrashableMem()
			s := open(t, "store", pebble.Options{FS: disk})
			stored := enqueueSome(t, s, 0, 50)
			killed := disk.CrashClone(vfs.CrashCloneCfg{}) // there is a log to replay
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			disk = killed

			var full atomic.Bool
			full.Store(true)
			broken := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if full.Load() && op.Kind == errorfs.OpFileWrite && strings.Contains(op.Path, file) {
					return syscall.ENOSPC
				}
				return nil
			}))
			if s, err := pebble.Open("store", pebble.Options{FS: broken}); err == nil {
				_ = s.Close() // this file is not written at a start
			} else if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, store.ErrFailed) {
				t.Fatalf("opened on a full disk: %v", err)
			}
			full.Store(false)
			again := open(t, "store", pebble.Options{FS: disk.CrashClone(vfs.CrashCloneCfg{})})
			p, err := again.Read(t.Context(), failMessage(0).Queue, 0, 1<<20, 1<<30)
			if err != nil || p.Last < stored || uint64(len(p.Messages)) != p.Last {
				t.Fatalf("%d of %d messages, last %d, %v", len(p.Messages), stored, p.Last, err)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
