package wal

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

func TestFull(t *testing.T) {
	broken := &faults{FS: vfs.NewMem()}
	o := small(broken, nil)
	l, _, _ := open(t, o, 0)
	want := put(t, l, true, record(1))
	broken.full.Store(true)
	n := 1
	for {
		b, err := l.Begin(1000, 1)
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil || n > 100 {
			t.Fatalf("after %d: %v", n, err)
		}
		n++
		_, pos := b.Record(1000)
		if err := l.Write(b, true); err != nil {
			t.Fatal(err)
		}
		want = append(want, placed{pos, make([]byte, 1000)})
	}
	if _, err := l.Begin(1000, 1); !errors.Is(err, store.ErrFull) {
		t.Fatalf("once more: %v", err)
	}
	broken.full.Store(false)
	want = append(want, put(t, l, true, record(2))...)
	closeLog(t, l)
	l, _, all := open(t, o, 0)
	defer closeLog(t, l)
	for i := range want {
		if all[i].pos != want[i].pos {
			t.Fatalf("record %d is at %v, not %v", i, all[i].pos, want[i].pos)
		}
	}
}

func TestFailed(t *testing.T) {
	for _, what := range []string{"write", "sync"} {
		t.Run(what, func(t *testing.T) {
			broken := &faults{FS: vfs.NewMem()}
			l, _, _ := open(t, small(broken, nil), 0)
			want := put(t, l, true, record(1))
			broken.fail(what)
			b, err := l.Begin(10, 1)
			if err != nil {
				t.Fatal(err)
			}
			b.Record(10)
			if err := l.Write(b, true); !errors.Is(err, store.ErrFailed) {
				t.Fatalf("%v", err)
			}
			syncs := broken.syncs.Load()
			broken.fail("")
			if _, err := l.Begin(10, 1); !errors.Is(err, store.ErrFailed) {
				t.Errorf("begin afterwards: %v", err)
			}
			readAll(t, l, want)
			closeLog(t, l)
			if n := broken.syncs.Load(); n != syncs {
				t.Errorf("%d syncs after the failed one", n-syncs)
			}
		})
	}
}
