package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

var key = bytes.Repeat([]byte{7}, 32)

// small is a log of small segments.
func small(fs FS, key []byte) Options {
	return Options{FS: fs, Dir: "/log", SegmentBytes: 16 << 10, Key: key}
}

// both runs a test in clear and encrypted mode.
func both(t *testing.T, f func(t *testing.T, key []byte)) {
	t.Run("clear", func(t *testing.T) { f(t, nil) })
	t.Run("encrypted", func(t *testing.T) { f(t, key) })
}

// tester is what a testing.T, a testing.B and a rapid.T have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

type placed struct {
	pos   Pos
	bytes []byte
}

// open opens a log and returns what it replays.
func open(t tester, o Options, first uint64) (*Log, Report, []placed) {
	t.Helper()
	var all []placed
	l, report, err := Open(o, first, func(p Pos, b []byte) error {
		all = append(all, placed{p, bytes.Clone(b)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return l, report, all
}

func record(n int) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(n))
	for range n % 300 {
		b = append(b, byte(n))
	}
	return b
}

// put writes one batch.
func put(t tester, l *Log, sync bool, records ...[]byte) []placed {
	t.Helper()
	size := 0
	for _, r := range records {
		size += len(r)
	}
	b, err := l.Begin(size, len(records))
	if err != nil {
		t.Fatal(err)
	}
	var all []placed
	for _, r := range records {
		room, pos := b.Record(len(r))
		copy(room, r)
		all = append(all, placed{pos, r})
	}
	if err := l.Write(b, sync); err != nil {
		t.Fatal(err)
	}
	return all
}

func same(t tester, got, want []placed) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, not %d", len(got), len(want))
	}
	for i := range got {
		if got[i].pos != want[i].pos || !bytes.Equal(got[i].bytes, want[i].bytes) {
			t.Fatalf("record %d: %v %x, not %v %x", i, got[i].pos, got[i].bytes, want[i].pos, want[i].bytes)
		}
	}
}

func readAll(t tester, l *Log, want []placed) {
	t.Helper()
	var room []byte
	for _, p := range want {
		b, err := l.ReadAt(p.pos, room)
		if err != nil || !bytes.Equal(b, p.bytes) {
			t.Fatalf("%v: %x, %v", p.pos, b, err)
		}
		room = b
	}
}

func closeLog(t tester, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReplay(t *testing.T) {
	both(t, func(t *testing.T, key []byte) {
		o := small(vfs.NewMem(), key)
		l, report, all := open(t, o, 0)
		if len(all) != 0 || len(report.Corrupt) != 0 || report.Torn {
			t.Fatalf("a new log has %d records, %+v", len(all), report)
		}
		var want []placed
		for n := range 400 {
			want = append(want, put(t, l, n%3 == 0, record(2*n), record(2*n+1))...)
		}
		readAll(t, l, want)
		closeLog(t, l)
		for range 3 { // it is opened again and again, and goes on each time
			var report Report
			l, report, all = open(t, o, 0)
			same(t, all, want)
			if len(report.Corrupt) != 0 || report.Torn || report.Records != len(want) {
				t.Fatalf("%+v", report)
			}
			readAll(t, l, want)
			want = append(want, put(t, l, true, record(len(want)))...)
			closeLog(t, l)
		}
	})
}

// TestLargeBatch closes a log after a batch whose buffer is not kept.
func TestLargeBatch(t *testing.T) {
	o := Options{FS: vfs.NewMem(), Dir: "/log", SegmentBytes: 8 << 20}
	l, _, _ := open(t, o, 0)
	want := put(t, l, true, make([]byte, keepBuffer+1))
	closeLog(t, l)
	l, report, all := open(t, o, 0)
	defer closeLog(t, l)
	same(t, all, want)
	if report.Torn || len(report.Corrupt) != 0 {
		t.Errorf("%+v", report)
	}
}

func TestRetire(t *testing.T) {
	both(t, func(t *testing.T, key []byte) {
		fs := vfs.NewMem()
		o := small(fs, key)
		l, _, _ := open(t, o, 0)
		var want []placed
		for n := range 2000 {
			want = append(want, put(t, l, true, record(n))...)
			if current := l.Segment(); current > l.Oldest()+2 {
				if err := l.Retire(current - 2); err != nil {
					t.Fatal(err)
				}
			}
		}
		if names, err := fs.List("/log"); err != nil || len(names) > 7 {
			t.Errorf("files %v, %v: retired ones are to be used again", names, err)
		}
		if s := l.Stats(); s.Reused < 3*s.SegmentsMade {
			t.Errorf("%+v", s)
		}
		if _, err := l.ReadAt(want[0].pos, nil); !errors.Is(err, ErrRetired) {
			t.Errorf("a retired record: %v", err)
		}
		if err := l.Retire(l.Segment()); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("retiring the current segment: %v", err)
		}
		first := l.Oldest()
		closeLog(t, l)
		for len(want) > 0 && want[0].pos.Segment < first {
			want = want[1:]
		}
		l, report, all := open(t, o, first)
		defer closeLog(t, l)
		same(t, all, want)
		if len(report.Corrupt) != 0 {
			t.Errorf("%+v", report)
		}
	})
}

func TestKey(t *testing.T) {
	o := small(vfs.NewMem(), key)
	l, _, _ := open(t, o, 0)
	put(t, l, true, []byte("a secret that must not stand in the file"))
	name := l.current.name
	closeLog(t, l)
	f, err := o.FS.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || bytes.Contains(b, []byte("a secret")) {
		t.Errorf("the file shows the record; %v", err)
	}
	for _, k := range [][]byte{nil, bytes.Repeat([]byte{8}, 32)} {
		o.Key = k
		if _, _, err := Open(o, 0, nil); !errors.Is(err, ErrKey) {
			t.Errorf("with key %x: %v", k, err)
		}
	}
	clear := small(vfs.NewMem(), nil)
	l, _, _ = open(t, clear, 0)
	put(t, l, true, []byte("x"))
	closeLog(t, l)
	clear.Key = key
	if _, _, err := Open(clear, 0, nil); !errors.Is(err, ErrKey) {
		t.Errorf("a log in clear with a key: %v", err)
	}
}

// fileOf returns a written log's only used segment, and its records.
func fileOf(t *testing.T, key []byte, batches int) (o Options, name string, want [][]placed) {
	o = small(vfs.NewMem(), key)
	l, _, _ := open(t, o, 0)
	for n := range batches {
		want = append(want, put(t, l, true, record(3*n), record(3*n+1)))
	}
	name = l.current.name
	closeLog(t, l)
	return o, name, want
}

func load(t *testing.T, fs FS, name string) []byte {
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// with makes a log of one segment with the given content.
func with(t *testing.T, key, content []byte) Options {
	o := small(vfs.NewMem(), key)
	if err := o.FS.MkdirAll("/log", 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := o.FS.Create("/log/"+segmentName(1), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return o
}

func flat(batches [][]placed) (all []placed) {
	for _, b := range batches {
		all = append(all, b...)
	}
	return all
}

func TestReadCorrupt(t *testing.T) {
	both(t, func(t *testing.T, key []byte) {
		o, name, want := fileOf(t, key, 2)
		l, _, _ := open(t, o, 0)
		defer closeLog(t, l)
		f, err := o.FS.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p := want[0][1].pos
		if _, err := f.WriteAt([]byte{0xee}, int64(p.Offset)+20); err != nil {
			t.Fatal(err)
		}
		if _, err := l.ReadAt(p, nil); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("a damaged record: %v", err)
		}
		readAll(t, l, want[0][:1])
		for _, p := range []Pos{{1, 0, 10}, {1, 1 << 14, 10}, {1, p.Offset, p.Length - 1}, {1, p.Offset + 1, 8}, {1, p.Offset, 1 << 31}} {
			if _, err := l.ReadAt(p, nil); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("no record at %v: %v", p, err)
			}
		}
	})
}

func TestMissingSegment(t *testing.T) {
	o := small(vfs.NewMem(), nil)
	l, _, _ := open(t, o, 0)
	var want []placed
	for n := range 300 {
		want = append(want, put(t, l, true, record(n))...)
	}
	closeLog(t, l)
	if err := o.FS.Remove("/log/" + segmentName(2)); err != nil {
		t.Fatal(err)
	}
	l, report, all := open(t, o, 1)
	defer closeLog(t, l)
	if len(report.Corrupt) == 0 || report.Corrupt[0].Segment > 2 {
		t.Errorf("%+v", report)
	}
	var rest []placed
	for _, p := range want {
		if p.pos.Segment != 2 {
			rest = append(rest, p)
		}
	}
	same(t, all, rest)
}

func TestPrivate(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "log"), SegmentBytes: 16 << 10}
	l, _, _ := open(t, o, 0)
	put(t, l, true, record(1))
	closeLog(t, l)
	files, err := os.ReadDir(o.Dir)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(o.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{1, 16, 256, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l, _, _ := open(b, Options{Dir: filepath.Join(b.TempDir(), "log")}, 0)
			defer closeLog(b, l)
			payload := make([]byte, 330)
			b.SetBytes(int64(n * len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				batch, err := l.Begin(n*len(payload), n)
				if err != nil {
					b.Fatal(err)
				}
				for range n {
					room, _ := batch.Record(len(payload))
					copy(room, payload)
				}
				if err := l.Write(batch, true); err != nil {
					b.Fatal(err)
				}
				if current := l.Segment(); current > l.Oldest()+1 {
					if err := l.Retire(current - 1); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
