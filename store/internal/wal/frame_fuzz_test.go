package wal

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fuzzHeader is a header with a salt that is always the same, so that a corpus stays good.
func fuzzHeader(t tester, number uint64, encrypted bool) header {
	h := header{number: number}
	var k []byte
	if encrypted {
		k = key
	}
	if err := h.prepare(k); err != nil {
		t.Fatal(err)
	}
	return h
}

// fuzzFrame is a whole frame.
func fuzzFrame(h *header, offset uint32, payload []byte, isMark bool) []byte {
	b := make([]byte, len(payload)+h.overhead())
	n := uint32(len(payload))
	if isMark {
		n |= markBit
	}
	b[0], b[1], b[2], b[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
	copy(b[h.begins():], payload)
	h.seal(b, offset)
	return b
}

// FuzzFrame reads any bytes as a frame at any place: what is accepted is no longer than the bytes, and, sealed again, the same.
func FuzzFrame(f *testing.F) {
	for _, encrypted := range []bool{false, true} {
		h := fuzzHeader(f, 1, encrypted)
		f.Add(fuzzFrame(&h, 4096, []byte("payload"), false), uint32(4096), encrypted)
		f.Add(fuzzFrame(&h, 4096, make([]byte, markSize), true), uint32(4096), encrypted)
		f.Add(fuzzFrame(&h, 1, nil, false), uint32(2), encrypted)
		f.Add([]byte{}, uint32(0), encrypted)
	}
	f.Fuzz(func(t *testing.T, b []byte, offset uint32, encrypted bool) {
		h := fuzzHeader(t, 1, encrypted)
		size, isMark, ok := h.head(b, offset)
		if !ok {
			return
		}
		if size > len(b) || size < h.overhead() {
			t.Fatalf("a frame of %d bytes in %d", size, len(b))
		}
		payload, ok := h.open(bytes.Clone(b[:size]), offset)
		if !ok {
			return
		}
		if again := fuzzFrame(&h, offset, payload, isMark); !bytes.Equal(again, b[:size]) {
			t.Errorf("%x became %x", b[:size], again)
		}
		if isMark {
			again := make([]byte, markSize)
			parseMark(payload).put(again)
			if !bytes.Equal(again, payload) {
				t.Errorf("mark %x became %x", payload, again)
			}
		}
		if _, ok := h.open(bytes.Clone(b[:size]), offset+1); ok {
			t.Error("it opens at another place")
		}
	})
}

// FuzzName reads any text as the name of a segment.
func FuzzName(f *testing.F) {
	for _, s := range []string{segmentName(1), segmentName(1<<64 - 1), "000000000000000G.seg", temporary, suffix, "00000000000000FF.seg"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := parseName(s); ok && segmentName(n) != s {
			t.Errorf("%q became %d", s, n)
		}
	})
}

// FuzzReplaySealed puts any bytes behind a good batch of an encrypted segment: the batch is there, and nothing else can have been added without the key.
func FuzzReplaySealed(f *testing.F) {
	h := fuzzHeader(f, 1, true)
	page := make([]byte, firstBatch)
	copy(page, h.append(nil))
	start := make([]byte, markSize)
	good := append(page, fuzzFrame(&h, firstBatch, start, true)...)
	good = append(good, fuzzFrame(&h, uint32(len(good)), []byte("good"), false)...)
	f.Add([]byte{})
	f.Add(good[firstBatch:])
	f.Add(make([]byte, 200))
	f.Add(bytes.Repeat([]byte{markSize, 0, 0, 0x80}, 50))
	f.Fuzz(func(t *testing.T, rest []byte) {
		if len(rest) > 8<<10 {
			return
		}
		fs := vfs.NewMem()
		if err := fs.MkdirAll("/log", 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := fs.Create("/log/"+segmentName(1), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(append(bytes.Clone(good), rest...)); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		l, _, all := open(t, small(fs, key), 0)
		defer closeLog(t, l)
		if len(all) != 1 || string(all[0].bytes) != "good" {
			t.Fatalf("%d records, want the good one", len(all))
		}
	})
}
