package idset

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store/internal/disk"
)

const (
	suffix    = ".ids"
	temporary = ".tmp"
	// chunk is how much is written at once, bytes.
	chunk = 16 * pageSize
)

// stream writes pages one after another, each when it is full.
type stream struct {
	f      vfs.File
	page   int64 // number of the first one in buf
	buf    []byte
	filled int // bytes of the page that was begun last
}

func newStream(f vfs.File, page int64) *stream {
	return &stream{f: f, page: page, buf: make([]byte, 0, chunk)}
}

// next returns room for n bytes in the page that is being filled, or in the next one, if there is none left.
func (s *stream) next(n int) ([]byte, error) {
	if len(s.buf) == 0 || s.filled+n > pageData {
		if err := s.turn(); err != nil {
			return nil, err
		}
	}
	at := len(s.buf) - pageSize + s.filled
	s.filled += n
	return s.buf[at : at+n : at+n], nil
}

// turn begins a page.
func (s *stream) turn() error {
	if len(s.buf) == cap(s.buf) {
		if err := s.write(); err != nil {
			return err
		}
	}
	s.buf = s.buf[:len(s.buf)+pageSize]
	clear(s.buf[len(s.buf)-pageSize:])
	s.filled = 0
	return nil
}

// write writes what was filled.
func (s *stream) write() error {
	for i := 0; i < len(s.buf); i += pageSize {
		seal((*[pageSize]byte)(s.buf[i:]), s.page+int64(i/pageSize))
	}
	_, err := s.f.WriteAt(s.buf, s.page*pageSize)
	s.page += int64(len(s.buf) / pageSize)
	s.buf = s.buf[:0]
	return err
}

// writer writes one run. Entries must come in ascending order.
type writer struct {
	head
	f       vfs.File
	filter  []byte // blocks that are to be written, at blockAt
	blockAt int64
	entries *stream
	block   int64 // that is being filled
	bits    block
	settled int64 // of written
	hurry   <-chan struct{}
}

// newWriter makes a file for at most h.count entries, which need not be set otherwise. Once hurry is closed, it is written without pauses.
func newWriter(fs vfs.FS, path string, h head, hurry <-chan struct{}) (*writer, error) {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	h.blocks = blocks(h.count)
	w := &writer{head: h, f: f, blockAt: pageSize, entries: newStream(f, h.entries()), hurry: hurry}
	w.count, w.settled = 0, w.written()
	return w, nil
}

// written is by how much it grows how much was written, bytes.
func (w *writer) written() int64 { return w.entries.page*pageSize + w.blockAt }

func (w *writer) add(id []byte, seq uint64) error {
	at := part(id, w.blocks)
	for w.block < at {
		if err := w.endBlock(); err != nil {
			return err
		}
	}
	w.bits.add(id)
	room, err := w.entries.next(entrySize)
	if err != nil {
		return err
	}
	appendEntry(room[:0], id, seq)
	w.count++
	if done := w.written(); done-w.settled >= disk.Piece {
		w.settled = done
		return disk.Settle(w.f, w.hurry)
	}
	return nil
}

func (w *writer) endBlock() error {
	var text [blockSize]byte
	w.bits.encode(&text, w.block)
	w.filter = append(w.filter, text[:]...)
	w.bits = block{}
	w.block++
	if len(w.filter) < chunk {
		return nil
	}
	return w.writeBlocks()
}

func (w *writer) writeBlocks() error {
	_, err := w.f.WriteAt(w.filter, w.blockAt)
	w.blockAt += int64(len(w.filter))
	w.filter = w.filter[:0]
	return err
}

// finish writes the rest, and waits until all is on disk.
func (w *writer) finish() error {
	for w.block < w.blocks {
		if err := w.endBlock(); err != nil {
			return err
		}
	}
	var first [pageSize]byte
	w.encode(&first)
	_, err := w.f.WriteAt(first[:], 0)
	if err == nil {
		err = w.writeBlocks()
	}
	if err == nil {
		err = w.entries.write()
	}
	if err == nil {
		err = w.f.Sync()
	}
	return err
}

// makeRun writes a run in dir, with fill adding the entries, at most h.count, and opens it. Nothing is left of a run that failed. A run without entries is nil.
func makeRun(fs vfs.FS, dir string, h head, hurry <-chan struct{}, fill func(add func(id []byte, seq uint64) error) error) (*run, error) {
	path := fs.PathJoin(dir, h.name())
	w, err := newWriter(fs, path+temporary, h, hurry)
	if err != nil {
		return nil, err
	}
	if err = fill(w.add); err == nil {
		err = w.finish()
	}
	err = errors.Join(err, w.f.Close())
	if err != nil || w.count == 0 {
		return nil, errors.Join(err, fs.Remove(path+temporary))
	}
	if err := fs.Rename(path+temporary, path); err != nil {
		return nil, errors.Join(err, fs.Remove(path+temporary))
	}
	if err := disk.SyncDir(fs, dir); err != nil {
		return nil, err
	}
	return openRun(fs, path)
}
