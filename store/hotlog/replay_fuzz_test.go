package hotlog

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// FuzzReplayRecords: a log of any records either does not open, with an error that has a name, or opens to a store that works, closes and opens again.
func FuzzReplayRecords(f *testing.F) {
	q := store.QueueID{Owner: benchOwner(1), Group: "g"}
	message := func(seq uint64) []byte {
		h := header{queue: q, seq: seq, cum: 7 * seq, accepted: 1_750_000_000_000, expires: 1_750_000_360_000}
		return append(h.append(nil), "payload"...)
	}
	c := cursor{queue: q, acked: 1, last: 2, ackedCum: 7, lastCum: 14}
	ack := c.append(appendTime([]byte{recordAck}, 1_750_000_000_001))
	var tree changes
	tree.set([]byte("Zkey"), []byte("value"))
	f.Add(message(1), message(2), ack, false)
	f.Add(message(1), message(9), (&forget{owner: q.Owner, floor: 20, groups: []string{"g"}}).append(nil), true)
	f.Add(append([]byte{recordTree}, tree...), append([]byte{recordMany, byte(1 + len(tree)), recordTree}, tree...), []byte{recordPad}, false)
	f.Add(ack, message(1<<40), ack, false)
	f.Add([]byte{200}, []byte{}, []byte{recordMany}, true)
	f.Fuzz(func(t *testing.T, first, second, third []byte, encrypted bool) {
		o := Options{Dir: "/store", FS: vfs.NewMem(), SegmentBytes: 64 << 10, LogBytes: 128 << 10, TreeCache: 1 << 16, Logger: slog.New(slog.DiscardHandler)}
		if encrypted {
			o.Key = make([]byte, KeySize)
		}
		if len(first)+len(second)+len(third) > 20_000 {
			return
		}
		writeRecords(t, o, first, second, third)
		s, err := Open(o)
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		other := store.QueueID{Owner: benchOwner(77), Group: "g"}
		if _, err := s.Enqueue(t.Context(), []store.Message{testMessage(other, 1), testMessage(other, 2)}); err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("enqueue: %v", err)
		}
		for _, id := range []store.QueueID{q, other} {
			if _, err := s.Read(t.Context(), id, 0, 10, 1<<20); err != nil && !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("read: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(o); err == nil {
			err = s.Close()
		}
		if err != nil && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrVersion) {
			t.Errorf("opened again: %v", err)
		}
	})
}

// writeRecords makes a store whose log holds these records.
func writeRecords(t *testing.T, o Options, records ...[]byte) {
	t.Helper()
	if err := makeDir(o.FS, "/", "store"); err != nil {
		t.Fatal(err)
	}
	k, err := openFormat(o.FS, o.Dir, o.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := makeDir(o.FS, o.Dir, logDir, treeDir); err != nil {
		t.Fatal(err)
	}
	l, _, err := wal.Open(wal.Options{FS: o.FS, Dir: o.FS.PathJoin(o.Dir, logDir), SegmentBytes: o.SegmentBytes, Key: k.log}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, r := range records {
		size += len(r)
	}
	b, err := l.Begin(size, len(records))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		room, _ := b.Record(len(r))
		copy(room, r)
	}
	if err := errors.Join(l.Write(b, true), l.Close()); err != nil {
		t.Fatal(err)
	}
}
