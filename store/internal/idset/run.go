package idset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// run is a file of ids. Safe for concurrent use but for closing it.
type run struct {
	head
	path string
	f    vfs.File

	replaced bool // another file has its name by now
	known    bool // to the filters in memory; guarded by the set's lock
}

var pagePool = sync.Pool{New: func() any { return new([pageSize]byte) }}

func openRun(fs vfs.FS, path string) (*run, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	r := &run{path: path, f: f}
	info, err := f.Stat()
	if err == nil {
		p := pagePool.Get().(*[pageSize]byte)
		defer pagePool.Put(p)
		if err = r.readRaw(p, 0); err == nil {
			r.head, err = decodeHead(p, info.Size())
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return r, nil
}

// readRaw reads page n, and does not check it.
func (r *run) readRaw(p *[pageSize]byte, n int64) error {
	if _, err := r.f.ReadAt(p[:], n*pageSize); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: no page %d", store.ErrCorrupt, n)
	}
	return nil
}

func (r *run) read(p *[pageSize]byte, n int64) error {
	if err := r.readRaw(p, n); err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	if err := check(p, n); err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	return nil
}

var blockPool = sync.Pool{New: func() any { return new([blockSize]byte) }}

// mayHold asks the filter. One that cannot be read may hold everything.
func (r *run) mayHold(id []byte) (bool, error) {
	text := blockPool.Get().(*[blockSize]byte)
	defer blockPool.Put(text)
	at := part(id, r.blocks)
	if _, err := r.f.ReadAt(text[:], pageSize+at*blockSize); err != nil {
		return false, fmt.Errorf("%s: %w", r.path, err)
	}
	var b block
	return b.decode(text, at) != nil || b.mayHold(id), nil
}

// find returns the number of an id, or 0.
func (r *run) find(id *ID) (uint64, error) {
	if may, err := r.mayHold(id[:]); !may || err != nil {
		return 0, err
	}
	p := pagePool.Get().(*[pageSize]byte)
	defer pagePool.Put(p)
	return r.search(p, id[:])
}

// search looks for an id in the pages of entries: first where it should be, if they were spread quite evenly, then as far from there as the page says; and
// by halves if that does not end.
func (r *run) search(p *[pageSize]byte, id []byte) (uint64, error) {
	low, high := int64(0), pagesOf(r.count, pageEntries)-1
	at := min(part(id, r.count)/pageEntries, high)
	for step := 0; low <= high; step++ {
		if err := r.read(p, r.entries()+at); err != nil {
			return 0, err
		}
		n := int(min(pageEntries, r.count-at*pageEntries))
		first, last := p[:idSize], p[(n-1)*entrySize:][:idSize]
		switch {
		case bytes.Compare(id[:idSize], first) < 0:
			high = at - 1
			at -= 1 + (part(first, r.count)-part(id, r.count))/pageEntries
		case bytes.Compare(id[:idSize], last) > 0:
			low = at + 1
			at += 1 + (part(id, r.count)-part(last, r.count))/pageEntries
		default:
			return searchPage(p, n, id), nil
		}
		if at = min(max(at, low), high); step > 3 {
			at = low + (high-low)/2
		}
	}
	return 0, nil
}

// searchPage looks for an id among n entries.
func searchPage(p *[pageSize]byte, n int, id []byte) uint64 {
	low, high := 0, n
	for low < high {
		middle := int(uint(low+high) / 2)
		e := p[middle*entrySize:][:entrySize]
		switch c := bytes.Compare(id[:idSize], e[:idSize]); {
		case c == 0:
			return seqOf(e)
		case c < 0:
			high = middle
		default:
			low = middle + 1
		}
	}
	return 0
}
