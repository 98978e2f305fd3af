package wal

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store/internal/disk"
)

// Copy makes all that was written before durable, and writes it to dir, which must exist, as a log that can be opened there. Writing goes on meanwhile;
// nothing may be retired until it returns. What it has written when it fails is the caller's to remove. Errors: store.ErrFailed, the context's, those of the file system.
func (l *Log) Copy(ctx context.Context, dir string) error {
	if err := l.Sync(); err != nil {
		return err
	}
	l.state.Lock()
	current, synced := l.current, l.synced
	l.state.Unlock()
	var live []*segment
	l.mu.RLock()
	for _, s := range l.segments {
		if current == nil || s.number <= current.number {
			live = append(live, s)
		}
	}
	l.mu.RUnlock()
	slices.SortFunc(live, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	for _, s := range live {
		end := l.o.SegmentBytes
		if s == current {
			end = synced
		}
		if err := l.copySegment(ctx, s, end, dir); err != nil {
			return err
		}
	}
	return disk.SyncDir(l.o.FS, dir)
}

// copySegment copies a segment up to end, and fills the rest as if nothing had been written there.
func (l *Log) copySegment(ctx context.Context, s *segment, end int64, dir string) (err error) {
	file, err := l.o.FS.Create(l.o.FS.PathJoin(dir, segmentName(s.number)), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Preallocate(0, l.o.SegmentBytes); err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for at := int64(0); at < l.o.SegmentBytes; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(int64(len(buf)), l.o.SegmentBytes-at)
		clear(buf)
		if at < end {
			if err := s.read(buf[:min(n, end-at)], at); err != nil {
				return err
			}
		}
		if last := l.o.SegmentBytes - lastPage; at+n > last && end < l.o.SegmentBytes { // the second copy of the header
			from := max(at, last)
			if err := s.read(buf[from-at:n], from); err != nil {
				return err
			}
		}
		if _, err := file.Write(buf[:n]); err != nil {
			return err
		}
		at += n
	}
	return file.Sync()
}

// read reads what stands at an offset.
func (s *segment) read(b []byte, at int64) error {
	s.busy.RLock()
	defer s.busy.RUnlock()
	n, err := s.file.ReadAt(b, at)
	if n == len(b) || errors.Is(err, io.EOF) {
		return nil // a file that is too short is one with a shorter segment size; what it lacks was never written
	}
	return err
}
