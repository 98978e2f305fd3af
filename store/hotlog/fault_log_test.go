package hotlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

const faultMessages = 300

// faultStore is a closed store in memory whose log, of several segments, holds messages 1 to faultMessages of a queue, each of a batch of its own.
func faultStore(t *testing.T, key []byte) (Options, store.QueueID) {
	t.Helper()
	o := small("/store")
	o.FS, o.Key, o.LogBytes = vfs.NewMem(), key, 1<<30
	o.PayloadCache = 1 // reads are from the disk
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	for n := uint64(1); n <= faultMessages; n++ {
		put(t, s, faultMessage(q, n))
	}
	if s.log.Segment() < 4 {
		t.Fatalf("%d segments are too few for this test", s.log.Segment())
	}
	mustClose(t, s)
	return o, q
}

func faultMessage(q store.QueueID, n uint64) store.Message {
	m := testMessage(q, n)
	m.Payload = binary.BigEndian.AppendUint64(make([]byte, 800), n)
	return m
}

// readPast reads a queue to its end as a client does that acknowledges away what cannot be read, and returns the numbers of those messages. Whatever it
// is given must be what was stored.
func readPast(t *testing.T, s *Store, q store.QueueID) (lost []uint64) {
	t.Helper()
	for next := uint64(1); ; {
		p, err := s.Read(t.Context(), q, next-1, 50, 1<<20)
		if errors.Is(err, store.ErrCorrupt) {
			lost = append(lost, next)
			next++
			continue
		}
		if err != nil {
			t.Fatalf("message %d: %v", next, err)
		}
		for _, d := range p.Messages {
			want := faultMessage(q, next)
			if d.Seq != next || d.ID != want.ID || string(d.Payload) != string(want.Payload) {
				t.Fatalf("number %d is not what was stored as %d", d.Seq, next)
			}
			next++
		}
		if next > p.Last {
			if p.Last > faultMessages {
				t.Fatalf("ends at %d", p.Last)
			}
			for ; next <= faultMessages; next++ { // nobody knows of them any more
				lost = append(lost, next)
			}
			return lost
		}
	}
}

// logFiles are the segments in use, in order.
func logFiles(t *testing.T, o Options) (paths []string) {
	t.Helper()
	dir := o.FS.PathJoin(o.Dir, logDir)
	names, err := o.FS.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, n := range names {
		if strings.HasSuffix(n, ".seg") {
			paths = append(paths, o.FS.PathJoin(dir, n))
		}
	}
	return paths
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// overwrite puts b into a file.
func overwrite(t *testing.T, fs vfs.FS, path string, at int64, b []byte) {
	t.Helper()
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(b, at)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestFaultFlip: a flipped bit anywhere in the log costs at most the message that it is in, and is reported.
func TestFaultFlip(t *testing.T) {
	for name, key := range map[string][]byte{"clear": nil, "encrypted": make([]byte, KeySize)} {
		t.Run(name, func(t *testing.T) {
			o, q := faultStore(t, key)
			files := logFiles(t, o)
			r := rand.New(rand.NewPCG(1, 2))
			for range 25 {
				path := files[r.IntN(3)] // written to the end
				content := readFile(t, o.FS, path)
				at := r.IntN(len(content))
				overwrite(t, o.FS, path, int64(at), []byte{content[at] ^ 1<<r.IntN(8)})
				s := mustOpen(t, o)
				lost := readPast(t, s, q)
				if len(lost) > 1 {
					t.Errorf("a bit at %d of %s cost the messages %d", at, path, lost)
				}
				if len(lost) > 0 && s.Internals().Corrupt == 0 {
					t.Errorf("a bit at %d of %s cost %d, and nothing is reported", at, path, lost)
				}
				mustClose(t, s)
				overwrite(t, o.FS, path, int64(at), content[at:at+1])
			}
			s := mustOpen(t, o)
			if lost := readPast(t, s, q); len(lost) > 0 || s.Internals().Corrupt != 0 {
				t.Errorf("mended, %d are lost, %d reported", lost, s.Internals().Corrupt)
			}
		})
	}
}

// TestFaultMissingSegment: with a segment the messages in it are lost, and no others; that is reported, and new numbers begin above the old ones.
func TestFaultMissingSegment(t *testing.T) {
	for missing := range 3 {
		t.Run(fmt.Sprint(missing), func(t *testing.T) {
			o, q := faultStore(t, nil)
			if err := o.FS.Remove(logFiles(t, o)[missing]); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, o)
			if s.Internals().Corrupt == 0 {
				t.Error("nothing is reported")
			}
			lost := readPast(t, s, q)
			if len(lost) < 20 || len(lost) > 80 || lost[len(lost)-1]-lost[0] != uint64(len(lost)-1) {
				t.Errorf("lost %d", lost)
			}
			if seq := put(t, s, faultMessage(q, 1000)); seq != faultMessages+1 {
				t.Errorf("the next is %d", seq)
			}
		})
	}
}

// TestFaultMissingLog: a log that is gone as a whole, of which the tree knows that it was there, is reported; what had left it is there.
func TestFaultMissingLog(t *testing.T) {
	o, q := faultStore(t, nil)
	o.LogBytes = 128 << 10
	s := mustOpen(t, o)
	retireAll(t, s)
	mustClose(t, s)
	for _, path := range logFiles(t, o) {
		if err := o.FS.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	s = mustOpen(t, o)
	if s.Internals().Corrupt == 0 {
		t.Error("nothing is reported")
	}
	if lost := readPast(t, s, q); len(lost) > 0 {
		t.Errorf("lost %d", lost)
	}
}

// TestFaultTorn: what was cut off in the middle of a write, at the end, is dropped; what stands before it is there.
func TestFaultTorn(t *testing.T) {
	for _, cut := range []int{1, 10, 100, 700, 850, 5000} {
		o, q := faultStore(t, nil)
		path, at := logFiles(t, o)[0], -1
		for _, p := range logFiles(t, o) {
			last := faultMessage(q, faultMessages).Payload
			if i := bytes.LastIndex(readFile(t, o.FS, p), last); i >= 0 {
				path, at = p, i+len(last)
			}
		}
		if at < 0 {
			t.Fatal("the last message is not in the log")
		}
		overwrite(t, o.FS, path, int64(at-cut), make([]byte, cut))
		s := mustOpen(t, o)
		lost := readPast(t, s, q)
		if n := 1 + cut/800; len(lost) > n || len(lost) > 0 && lost[0] < faultMessages-uint64(n) {
			t.Errorf("%d bytes cut: lost %d", cut, lost)
		}
		want := uint64(faultMessages - len(lost) + 1)
		if seq := put(t, s, faultMessage(q, 1000)); seq < want || seq > faultMessages+1 {
			t.Errorf("%d bytes cut: the next is %d, want %d", cut, seq, want)
		}
		mustClose(t, s)
	}
}
