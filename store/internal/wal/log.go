package wal

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

var (
	// ErrRetired says that a segment is there no more.
	ErrRetired = errors.New("wal: segment retired")
	// ErrKey says that the log was written with another key, or with one and now there is none, or the other way round.
	ErrKey = errors.New("wal: written with another key")
)

// Options say where a log lives and how.
type Options struct {
	FS           FS     // default: OSFS
	Dir          string // made if it is not there
	SegmentBytes int64  // size of a segment, at least 8 KiB and at most 1 GiB; default 64 MiB
	Key          []byte // 32 bytes; nil: not encrypted
	Spare        int    // retired segments that are kept to be used again; default 2
}

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil {
		o.FS = OSFS()
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.Spare == 0 {
		o.Spare = 2
	}
	if o.SegmentBytes < 8<<10 || o.SegmentBytes > 1<<30 {
		return o, fmt.Errorf("%w: segments of %d bytes", store.ErrInvalid, o.SegmentBytes)
	}
	if o.Key != nil && len(o.Key) != 32 {
		return o, fmt.Errorf("%w: a key of %d bytes", store.ErrInvalid, len(o.Key))
	}
	return o, nil
}

// Pos is where a record stands. Length is of its payload, bytes.
type Pos struct {
	Segment        uint64
	Offset, Length uint32
}

// segment is an open file of the log.
type segment struct {
	header
	name string
	file vfs.File
	busy sync.RWMutex // held by readers, for the file is used again after it was retired
}

// Log is an open log. Begin, Record and Write are for one goroutine, the writer; all else is for any.
type Log struct {
	o     Options
	maker *maker

	mu       sync.RWMutex
	segments map[uint64]*segment

	// Of the writer.
	previous int64 // where the segment before ends
	batch    Batch

	// state guards what follows, which only the writer changes, but for synced and failed.
	state   sync.Mutex
	current *segment // nil: none could be made yet
	offset  int64    // where the next batch goes
	synced  int64
	failed  error

	number, oldest            atomic.Uint64
	batches, syncs, bytes     atomic.Uint64
	segmentsMade, segmentsOld *atomic.Uint64
}

// Stats are counters since Open, and sizes now.
type Stats struct {
	Segments                 int    // live
	Batches, Syncs           uint64 // written; waited for
	Bytes                    uint64 // written in batches
	SegmentsMade, Reused     uint64 // that were filled with zeros; whose files were used again
	LiveBytes                int64  // of all live segments
	SegmentNumber, OldestOne uint64
}

// Stats does not block on the disk.
func (l *Log) Stats() Stats {
	l.mu.RLock()
	n := len(l.segments)
	l.mu.RUnlock()
	return Stats{Segments: n, Batches: l.batches.Load(), Syncs: l.syncs.Load(), Bytes: l.bytes.Load(), SegmentsMade: l.segmentsMade.Load(),
		Reused: l.segmentsOld.Load(), LiveBytes: int64(n) * l.o.SegmentBytes, SegmentNumber: l.number.Load(), OldestOne: l.oldest.Load()}
}

// Segment is the number of the segment that is written to, or was last.
func (l *Log) Segment() uint64 { return l.number.Load() }

// Oldest is the number of the oldest segment that was not retired.
func (l *Log) Oldest() uint64 { return l.oldest.Load() }

// ReadAt returns the payload of the record at p, in dst if it has room. Errors: ErrRetired, store.ErrCorrupt, those of the file system.
func (l *Log) ReadAt(p Pos, dst []byte) ([]byte, error) {
	l.mu.RLock()
	s := l.segments[p.Segment]
	if s == nil {
		l.mu.RUnlock()
		return nil, fmt.Errorf("%w: %d", ErrRetired, p.Segment)
	}
	s.busy.RLock()
	defer s.busy.RUnlock()
	l.mu.RUnlock() // the disk may be slow, and the writer must not wait for it
	if p.Length > math.MaxInt32 || int64(p.Offset)+int64(p.Length) > l.o.SegmentBytes {
		return nil, fmt.Errorf("%w: no record of %d bytes at %d", store.ErrCorrupt, p.Length, p.Offset)
	}
	n := int(p.Length) + s.overhead()
	frame := dst[:0]
	if cap(frame) < n {
		frame = make([]byte, n)
	}
	frame = frame[:n]
	if _, err := s.file.ReadAt(frame, int64(p.Offset)); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: segment %d ends before %d", store.ErrCorrupt, p.Segment, p.Offset)
	} else if err != nil { // of the disk, and maybe gone at the next try
		return nil, fmt.Errorf("wal: segment %d at %d: %w", p.Segment, p.Offset, err)
	}
	size, mark, ok := s.head(frame, p.Offset)
	if ok && !mark && size == n {
		if payload, ok := s.open(frame, p.Offset); ok {
			return payload, nil
		}
	}
	return nil, fmt.Errorf("%w: segment %d at %d", store.ErrCorrupt, p.Segment, p.Offset)
}

// Retire gives up all segments up to the given one, but not the current. Whoever reads from them later gets ErrRetired.
func (l *Log) Retire(upTo uint64) error {
	if upTo >= l.number.Load() {
		return fmt.Errorf("%w: segment %d is in use", store.ErrInvalid, upTo)
	}
	var old []*segment
	l.mu.Lock()
	for n, s := range l.segments {
		if n <= upTo {
			old = append(old, s)
			delete(l.segments, n)
		}
	}
	if upTo >= l.oldest.Load() {
		l.oldest.Store(upTo + 1)
	}
	l.mu.Unlock()
	var err error
	for _, s := range old {
		s.busy.Lock()
		err = errors.Join(err, l.maker.reuse(s))
		s.busy.Unlock()
	}
	return err
}

// end makes what was written durable, and writes the mark that vouches for it.
func (l *Log) end() error {
	if l.failure() != nil || l.current == nil || l.offset == firstBatch {
		return nil
	}
	if err := l.Sync(); err != nil {
		return err
	}
	if l.offset+int64(markSize+l.current.overhead()) > l.limit() {
		return nil
	}
	b := &l.batch
	b.room, b.count = markSize+l.current.overhead(), 1
	b.buf = make([]byte, 0, b.room) // a large one is not kept
	b.frame(markSize, markBit)
	return l.Write(b, true)
}

// Close syncs what was written, says so in a last mark, and closes the files.
func (l *Log) Close() error {
	err := l.end()
	err = errors.Join(err, l.maker.close())
	l.mu.Lock()
	defer l.mu.Unlock()
	for n, s := range l.segments {
		err = errors.Join(err, s.file.Close())
		delete(l.segments, n)
	}
	return err
}
