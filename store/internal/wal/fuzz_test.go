package wal

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FuzzHeader reads any bytes as a header; what is read is written the same.
func FuzzHeader(f *testing.F) {
	for _, k := range [][]byte{nil, key} {
		h, err := newHeader(3, k)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(h.append(nil), k != nil)
	}
	f.Add([]byte(magic), false)
	f.Fuzz(func(t *testing.T, b []byte, encrypted bool) {
		var k []byte
		if encrypted {
			k = key
		}
		h, ok, err := parseHeader(b, k)
		if ok && err != nil || ok && !bytes.Contains(b, h.append(nil)) {
			t.Errorf("%x: %+v, %v", b, h, err)
		}
	})
}

// FuzzReplay puts any bytes behind the good header of a segment, once as they are and once with a good batch in front: opening neither panics nor
// loses the batch, and can go on writing.
func FuzzReplay(f *testing.F) {
	const batchSize = clearOverhead + markSize + clearOverhead + 4
	h := header{number: 1}
	if err := h.prepare(nil); err != nil {
		f.Fatal(err)
	}
	page := make([]byte, firstBatch)
	copy(page, h.append(nil))
	good := func(synced, at uint32) []byte {
		b := make([]byte, batchSize)
		b[0], b[3] = markSize, 0x80
		mark{uint64(synced), 0}.put(b[clearOverhead:])
		h.seal(b[:clearOverhead+markSize], at)
		record := b[clearOverhead+markSize:]
		record[0] = 4
		copy(record[clearOverhead:], "good")
		h.seal(record, at+clearOverhead+markSize)
		return b
	}
	f.Add([]byte{}, true)
	f.Add(make([]byte, 100), true)
	f.Add(good(firstBatch+batchSize, firstBatch+batchSize), true)
	f.Add(append([]byte{9}, good(firstBatch+batchSize+1, firstBatch+batchSize+1)...), true)
	f.Add(append([]byte{9}, good(firstBatch, firstBatch+1)...), false)
	f.Fuzz(func(t *testing.T, rest []byte, front bool) {
		content := bytes.Clone(page)
		if front {
			content = append(content, good(firstBatch, firstBatch)...)
		}
		content = append(content, rest...)
		if len(content) > 16<<10 {
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
		if _, err := file.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		l, _, all := open(t, small(fs, nil), 0)
		if front && (len(all) == 0 || string(all[0].bytes) != "good") {
			t.Fatalf("the good record is gone: %d records", len(all))
		}
		readAll(t, l, all)
		all = append(all, put(t, l, true, []byte("more"))...)
		closeLog(t, l)
		l, _, again := open(t, small(fs, nil), 0)
		defer closeLog(t, l)
		same(t, again, all)
	})
}
