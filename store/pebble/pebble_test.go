package pebble_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"quicnprotochat/store/pebble"
	"quicnprotochat/store/storetest"
)

// small keeps the memory of a test's engine low, and its caches too small for comfort.
func small(o pebble.Options) pebble.Options {
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 4 << 20
	}
	o.CacheBytes, o.CachedQueues = 1<<20, 64
	return o
}

func open(t *testing.T, dir string, o pebble.Options) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(dir, small(o))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	storetest.RunBasic(t, func(t *testing.T, c storetest.Config) storetest.Opened[*pebble.Store] {
		o := pebble.Options{Quota: c.Quota, Clock: c.Clock, FS: vfs.NewMem()}
		s := open(t, "store", o)
		return storetest.Opened[*pebble.Store]{Store: s, Restart: func() *pebble.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, "store", o)
			return s
		}}
	})
}
