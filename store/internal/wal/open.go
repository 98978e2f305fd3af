package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store/internal/disk"
)

// Corruption is a part of the log that could not be read though it was durable once.
type Corruption struct {
	Segment uint64
	Offset  int64
	Reason  string
}

// Report says what Open found.
type Report struct {
	Segments, Records int
	Bytes             int64 // of payload
	Torn              bool  // something that was not synced was cut off the end
	Corrupt           []Corruption
}

// Open opens the log in a directory, or makes it, and calls replay for every record of the segments from first on, in order; older segments are given
// up. A record's bytes are good until replay returns; its error ends Open. Damage is reported and stepped over. Errors: ErrKey, store.ErrInvalid, those of the
// file system and of replay. A full or read-only disk is no error: Begin will tell.
func Open(o Options, first uint64, replay func(Pos, []byte) error) (*Log, Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, Report{}, err
	}
	m := &maker{o: o}
	l := &Log{o: o, maker: m, segments: make(map[uint64]*segment), segmentsMade: &m.made, segmentsOld: &m.reused}
	r := &reader{log: l, replay: replay, first: first}
	if err := r.run(); err != nil {
		return nil, r.report, errors.Join(err, l.Close())
	}
	m.ask(l.number.Load() + 1)
	return l, r.report, nil
}

// Look reads the log in a directory as Open does, and leaves everything there as it is. Nobody may write to it meanwhile.
func Look(o Options, first uint64, see func(Pos, []byte) error) (Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Report{}, err
	}
	l := &Log{o: o, maker: &maker{o: o}, segments: make(map[uint64]*segment)}
	r := &reader{log: l, replay: see, first: first, looks: true}
	err = r.run()
	for _, s := range l.segments {
		err = errors.Join(err, s.file.Close())
	}
	return r.report, err
}

// reader reads a log at its opening.
type reader struct {
	log    *Log
	looks  bool // and changes nothing
	replay func(Pos, []byte) error
	first  uint64
	report Report
	buf    []byte
}

func (r *reader) run() error {
	if err := r.makeDir(); err != nil {
		return err
	}
	numbers, err := r.list()
	if err != nil {
		return err
	}
	live, err := r.openAll(numbers)
	if err != nil {
		return err
	}
	l := r.log
	l.number.Store(max(r.first, 1) - 1)
	l.oldest.Store(max(r.first, 1))
	for i, s := range live {
		l.segments[s.number] = s
		if i == 0 {
			l.oldest.Store(s.number)
		} else if want := live[i-1].number + 1; s.number != want {
			r.corrupt(want, 0, fmt.Sprintf("segments up to %d are missing", s.number-1))
		}
		end := int64(0) // not known
		if i+1 < len(live) && live[i+1].number == s.number+1 {
			m, ok, err := r.someMark(live[i+1])
			if err != nil {
				return err
			}
			if ok {
				end = int64(m.previous)
			}
		}
		if l.previous, err = r.segment(s, end, i == len(live)-1); err != nil {
			return err
		}
		l.number.Store(s.number)
	}
	if len(live) > 0 && !r.looks {
		// The next segment will say that all of this one is good, so what a crash of the process alone left unsynced must not go away now.
		if err := live[len(live)-1].file.SyncData(); err != nil && !noRoom(err) {
			return err
		}
	}
	if len(live) > 0 && r.first > 0 && live[0].number > r.first {
		r.corrupt(r.first, 0, fmt.Sprintf("segments up to %d are missing", live[0].number-1))
	}
	r.report.Segments = len(live)
	return nil
}

func (r *reader) makeDir() error {
	if r.looks {
		return nil
	}
	o := &r.log.o
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	if err := disk.SyncDir(o.FS, o.FS.PathDir(o.Dir)); err != nil && !noRoom(err) {
		return err
	}
	return nil
}

// list returns the numbers of the segments there are, in order, and removes what was not finished.
func (r *reader) list() ([]uint64, error) {
	o := &r.log.o
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := parseName(name); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	if r.looks {
		return numbers, nil
	}
	if err := o.FS.Remove(o.FS.PathJoin(o.Dir, temporary)); err != nil && !errors.Is(err, fs.ErrNotExist) && !noRoom(err) {
		return nil, err
	}
	return numbers, nil
}

// openAll opens the segments from first on whose header is good. Older ones, and unused ones at the end, are kept for later use.
func (r *reader) openAll(numbers []uint64) (live []*segment, err error) {
	o := &r.log.o
	var good, bad []*segment
	defer func() {
		if err != nil {
			for _, s := range append(good, bad...) {
				err = errors.Join(err, s.file.Close())
			}
		}
	}()
	for _, n := range numbers {
		s := &segment{name: o.FS.PathJoin(o.Dir, segmentName(n))}
		if s.file, err = r.openFile(s.name); err != nil {
			return nil, err
		}
		if n < r.first {
			bad = append(bad, s)
			continue
		}
		h, ok, err := r.readHeader(s)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("segment %d: %w", n, err), s.file.Close())
		}
		if !ok || h.number != n {
			s.number = n
			bad = append(bad, s)
			continue
		}
		s.header = h
		good = append(good, s)
	}
	// What was made ahead and never written to is no part of the log.
	for len(good) > 0 {
		s := good[len(good)-1]
		if _, ok, err := r.someMark(s); err != nil {
			return nil, err
		} else if ok {
			break
		}
		good, bad = good[:len(good)-1], append(bad, s)
	}
	aside := bad
	bad = nil
	return good, r.setAside(aside, good)
}

// setAside keeps files that are no part of the log for later use, or removes them; those that stand between good ones it leaves alone.
func (r *reader) setAside(bad, good []*segment) (err error) {
	o := &r.log.o
	for _, s := range bad {
		if s.number >= r.first && len(good) > 0 && s.number < good[len(good)-1].number {
			r.corrupt(s.number, 0, "its header cannot be read") // left as it is, for whoever can make something of it
			err = errors.Join(err, s.file.Close())
			continue
		}
		if r.looks {
			err = errors.Join(err, s.file.Close())
			continue
		}
		if st, serr := s.file.Stat(); serr != nil || st.Size() != o.SegmentBytes {
			err = errors.Join(err, serr, s.file.Close(), o.FS.Remove(s.name))
			continue
		}
		err = errors.Join(err, r.log.maker.reuse(s))
	}
	if noRoom(err) {
		return nil // a file that could not be removed stays
	}
	return err
}

// readHeader takes the first copy that is whole.
func (r *reader) readHeader(s *segment) (h header, ok bool, err error) {
	st, err := s.file.Stat()
	if err != nil {
		return h, false, err
	}
	b := make([]byte, headerSize)
	for _, at := range []int64{0, st.Size() - lastPage} {
		if at < 0 || at+headerSize > st.Size() {
			continue
		}
		if _, err := s.file.ReadAt(b, at); err != nil {
			return h, false, err
		}
		if h, ok, err = parseHeader(b, r.log.o.Key); ok || err != nil {
			return h, ok, err
		}
	}
	return h, false, nil
}

// openFile opens a segment to read and write, or to read only if the disk allows no more.
func (r *reader) openFile(name string) (vfs.File, error) {
	f := r.log.o.FS
	if r.looks {
		return f.Open(name)
	}
	file, err := f.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if noRoom(err) {
		return f.Open(name)
	}
	return file, err
}

func (r *reader) corrupt(segment uint64, offset int64, reason string) {
	const most = 1000 // enough to see what is wrong
	if len(r.report.Corrupt) < most {
		r.report.Corrupt = append(r.report.Corrupt, Corruption{segment, offset, reason})
	}
}

// someMark returns a mark of a segment, if there is any: nearly always that of the first batch.
func (r *reader) someMark(s *segment) (mark, bool, error) {
	frame := make([]byte, markSize+s.overhead())
	if _, err := s.file.ReadAt(frame, firstBatch); err == nil {
		if m, ok := s.markAt(frame, firstBatch); ok {
			return m, true, nil
		}
	}
	b, err := r.load(s)
	if err != nil {
		return mark{}, false, err
	}
	_, m, ok := s.nextMark(b, firstBatch)
	return m, ok, nil
}

// load reads a whole segment.
func (r *reader) load(s *segment) ([]byte, error) {
	st, err := s.file.Stat()
	if err != nil {
		return nil, err
	}
	n := min(st.Size(), 1<<30)
	if int64(cap(r.buf)) < n {
		r.buf = make([]byte, n)
	}
	r.buf = r.buf[:n]
	if _, err := s.file.ReadAt(r.buf, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("segment %d: %w", s.number, err)
	}
	return r.buf, nil
}
