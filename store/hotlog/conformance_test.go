package hotlog_test

import (
	"bytes"
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

// TestConformance runs the suite with a log that is retired all the time, in clear and encrypted.
func TestConformance(t *testing.T) {
	for name, key := range map[string][]byte{"clear": nil, "encrypted": bytes.Repeat([]byte{5}, hotlog.KeySize)} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && key != nil {
				t.Skip("the encrypted store is left out of short runs, which are for the race detector")
			}
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			storetest.Run(t, func(t *testing.T, c storetest.Config) storetest.Opened[*hotlog.Store] {
				o := hotlog.Options{
					Dir: "/store", FS: vfs.NewMem(), Key: key, Quota: c.Quota, Clock: c.Clock,
					SegmentBytes: 8 << 20, LogBytes: 16 << 20, HotRecords: 2000, Owners: 64, PayloadCache: 1 << 20, TreeCache: 1 << 20,
				}
				s := open(t, o)
				return storetest.Opened[*hotlog.Store]{Store: s, Restart: func() *hotlog.Store {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = open(t, o)
					return s
				}}
			})
		})
	}
}
