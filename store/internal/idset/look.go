package idset

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// look checks every page of a file: its sum, the order of its entries, and that the filter holds them.
func look(f vfs.FS, path string) (count int64, err error) {
	r, err := openRun(f, path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.f.Close()) }()
	var p [pageSize]byte
	filter := blockReader{r: r, at: -1}
	last := make([]byte, 0, idSize)
	for n := int64(0); n < pagesOf(r.count, pageEntries); n++ {
		if err := r.read(&p, r.entries()+n); err != nil {
			return r.count, err
		}
		for i := range min(pageEntries, r.count-n*pageEntries) {
			e := p[i*entrySize:][:entrySize]
			may, err := filter.mayHold(e)
			if err != nil {
				return r.count, err
			}
			if bytes.Compare(e[:idSize], last) < 0 || !may {
				return r.count, fmt.Errorf("%w: %s: page %d: entry %d is out of place", store.ErrCorrupt, path, r.entries()+n, i)
			}
			last = append(last[:0], e[:idSize]...)
		}
	}
	return r.count, nil
}

// blockReader reads a filter from its beginning to its end.
type blockReader struct {
	r  *run
	at int64 // the block that was read last
	b  block
}

func (f *blockReader) mayHold(id []byte) (bool, error) {
	at := part(id, f.r.blocks)
	for f.at < at {
		f.at++
		var text [blockSize]byte
		if _, err := f.r.f.ReadAt(text[:], pageSize+f.at*blockSize); err != nil {
			return false, err
		}
		if err := f.b.decode(&text, f.at); err != nil {
			return false, fmt.Errorf("%s: %w", f.r.path, err)
		}
	}
	return f.b.mayHold(id), nil
}
