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
	defer func() { err = errors.Join(err, r.close()) }()
	if r.filter, err = r.load(); err != nil {
		return r.count, err
	}
	var p, filter [pageSize]byte
	for n := int64(1); n < r.entries(); n++ {
		if err := r.read(&filter, n); err != nil {
			return r.count, err
		}
	}
	last := make([]byte, 0, idSize)
	for n := int64(0); n < pagesOf(r.count, pageEntries); n++ {
		if err := r.read(&p, r.entries()+n); err != nil {
			return r.count, err
		}
		for i := range min(pageEntries, r.count-n*pageEntries) {
			e := p[i*entrySize:][:entrySize]
			bits := probeOf(e)
			if bytes.Compare(e[:idSize], last) < 0 || !bits.in(&r.filter[part(e, r.blocks)]) {
				return r.count, fmt.Errorf("%w: %s: page %d: entry %d is out of place", store.ErrCorrupt, path, r.entries()+n, i)
			}
			last = append(last[:0], e[:idSize]...)
		}
	}
	return r.count, nil
}
