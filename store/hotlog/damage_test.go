package hotlog

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// TestDamagedRecord: a flipped bit costs the message that it is in. Its reader is told, those before and behind it are there, and it can be
// acknowledged away.
func TestDamagedRecord(t *testing.T) {
	for _, when := range []string{"replayed", "read", "retired"} {
		t.Run(when, func(t *testing.T) {
			o := small(t.TempDir())
			o.PayloadCache = 1 // so that reading is from the disk
			s := mustOpen(t, o)
			q := store.QueueID{Owner: benchOwner(1)}
			for n := range uint64(5) {
				m := testMessage(q, n+1)
				m.Payload = bytes.Repeat([]byte{'A' + byte(n)}, 200)
				put(t, s, m)
			}
			if when == "replayed" {
				mustClose(t, s)
			}
			damage(t, filepath.Join(o.Dir, logDir), []byte("CCCCCCCCCCCCCCCC"))
			switch when {
			case "replayed":
				s = mustOpen(t, o)
				if s.Internals().Corrupt != 1 {
					t.Errorf("%+v", s.Internals())
				}
			case "retired":
				retireAll(t, s)
			}
			checkDamaged(t, s, q)
		})
	}
}

func checkDamaged(t *testing.T, s *Store, q store.QueueID) {
	t.Helper()
	read := func(after uint64) (store.Page, error) { return s.Read(t.Context(), q, after, 10, 1<<20) }
	if p, err := read(0); err != nil || len(p.Messages) != 2 || !p.More || p.Last != 5 {
		t.Fatalf("up to the damage: %d messages, %v", len(p.Messages), err)
	}
	if _, err := read(2); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("at the damage: %v", err)
	}
	if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: 3}}); err != nil {
		t.Fatal(err)
	}
	p, err := read(0)
	if err != nil || len(p.Messages) != 2 || p.Messages[0].Seq != 4 || p.Messages[1].Payload[0] != 'E' {
		t.Fatalf("behind the damage: %+v, %v", p, err)
	}
	if seq := put(t, s, testMessage(q, 77)); seq != 6 {
		t.Fatalf("seq %d", seq)
	}
}

// damage flips a bit where text stands in a file of dir.
func damage(t *testing.T, dir string, text []byte) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		file, err := os.OpenFile(filepath.Join(dir, f.Name()), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		if at := bytes.Index(content, text); at >= 0 && err == nil {
			_, err = file.WriteAt([]byte{content[at] ^ 1}, int64(at))
			if err = errors.Join(err, file.Close()); err != nil {
				t.Fatal(err)
			}
			return
		}
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the message is not in the log")
}

// fullFS has no room while it is full: for what FS.Create and GetDiskUsage say.
type fullFS struct{ failingFS }

func (f *fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if f.armed.Load() {
		return vfs.DiskUsage{AvailBytes: 1000, TotalBytes: 1 << 30, UsedBytes: 1<<30 - 1000}, nil
	}
	return vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 1 << 31, UsedBytes: 1 << 30}, nil
}

// TestFull: on a full disk new messages are refused, all else goes on; with room again it heals by itself.
func TestFull(t *testing.T) {
	fs := &fullFS{failingFS{FS: vfs.NewMem(), what: "create", err: syscall.ENOSPC}}
	o := small("/store")
	o.FS = fs
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	for n := range uint64(10) {
		put(t, s, testMessage(q, n+1))
	}
	fs.armed.Store(true)
	n := uint64(10)
	for {
		r, err := s.Enqueue(t.Context(), []store.Message{testMessage(q, n+1)})
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil {
			t.Fatalf("on a full disk: %v, %v", r, err)
		}
		n++
	}
	if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: 5}}); err != nil {
		t.Fatalf("acknowledging on a full disk: %v", err)
	}
	if p, err := s.Read(t.Context(), q, 0, 1000, 1<<30); err != nil || p.Acknowledged != 5 || p.Last != n {
		t.Fatalf("reading on a full disk: acknowledged %d of %d, %v", p.Acknowledged, p.Last, err)
	}
	fs.armed.Store(false)
	for {
		_, err := s.Enqueue(t.Context(), []store.Message{testMessage(q, n+1)})
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrFull) {
			t.Fatal(err)
		}
	}
	if p, err := s.Read(t.Context(), q, n, 10, 1<<20); err != nil || len(p.Messages) != 1 {
		t.Fatalf("healed: %+v, %v", p, err)
	}
}
