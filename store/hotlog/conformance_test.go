package hotlog_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"quicnprotochat/store/hotlog"
	"quicnprotochat/store/storetest"
)

func open(t *testing.T, o hotlog.Options) *hotlog.Store {
	t.Helper()
	s, err := hotlog.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConformance runs the suite with a log that is retired all the time, in clear and encrypted; when all is asked for, also with the options that
// a server has, in a directory.
func TestConformance(t *testing.T) {
	small := hotlog.Options{
		Dir: "/store", SegmentBytes: 8 << 20, LogBytes: 16 << 20, HotRecords: 2000, Owners: 64, PayloadCache: 1 << 20, TreeCache: 1 << 20,
	}
	for _, c := range []struct {
		name    string
		o       hotlog.Options
		key     []byte
		onDisk  bool
		leftOut bool
		whyNot  string
	}{
		{name: "clear", o: small},
		{
			name: "encrypted", o: small, key: bytes.Repeat([]byte{5}, hotlog.KeySize),
			leftOut: testing.Short(), whyNot: "the encrypted store is left out of short runs, which are for the race detector",
		},
		{name: "directory", onDisk: true, leftOut: !storetest.Full(), whyNot: "a directory is for QUICNPROTOCHAT_CONFORMANCE=full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.leftOut {
				t.Skip(c.whyNot)
			}
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			storetest.Run(t, func(t *testing.T, config storetest.Config) storetest.Opened[*hotlog.Store] {
				o := c.o
				o.Key, o.Quota, o.Clock = c.key, config.Quota, config.Clock
				if c.onDisk {
					o.Dir = filepath.Join(t.TempDir(), "store")
				} else {
					o.FS = vfs.NewMem()
				}
				return opened(t, o)
			})
		})
	}
}

// opened is a new store with all that the suite asks for.
func opened(t *testing.T, o hotlog.Options) storetest.Opened[*hotlog.Store] {
	s, copies := open(t, o), 0
	return storetest.Opened[*hotlog.Store]{
		Store: s,
		Restart: func() *hotlog.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, o)
			return s
		},
		Dir: func() string {
			copies++
			return fmt.Sprint(o.Dir, "-copy", copies)
		},
		Copy: func(dir string) *hotlog.Store {
			of := o
			of.Dir = dir
			return open(t, of)
		},
	}
}
