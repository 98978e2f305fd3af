package wal

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
)

const (
	suffix    = ".seg"
	temporary = "new.tmp"
)

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, suffix) }

// parseName is the reverse of segmentName.
func parseName(name string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil && segmentName(number) == name
}

// maker makes segments ahead, in the background, one at a time, from old ones if there are any.
type maker struct {
	o            Options
	made, reused atomic.Uint64

	mu     sync.Mutex
	spare  []*segment
	closed bool

	making chan made     // of the one that was asked for; nil if none was
	hurry  chan struct{} // closed when that one is needed soon, and nil then
}

type made struct {
	segment *segment
	err     error
}

// ask begins to make a segment, unless that was begun. For the writer, as is take.
func (m *maker) ask(number uint64) {
	if m.making != nil {
		return
	}
	c, hurry := make(chan made, 1), make(chan struct{})
	m.making, m.hurry = c, hurry
	go func() {
		s, err := m.make(number, hurry)
		c <- made{s, err}
	}()
}

// take waits for the segment that was asked for. After an error it is to be asked for again.
func (m *maker) take() (*segment, error) {
	m.urge()
	r := <-m.making
	m.making = nil
	return r.segment, r.err
}

// urge has the segment that was asked for made without pauses. For the writer.
func (m *maker) urge() {
	if m.hurry != nil {
		close(m.hurry)
		m.hurry = nil
	}
}

// make makes a segment that is durable, with its name, header and room.
func (m *maker) make(number uint64, hurry <-chan struct{}) (*segment, error) {
	h, err := newHeader(number, m.o.Key)
	if err != nil {
		return nil, err
	}
	s := &segment{header: h, name: m.o.FS.PathJoin(m.o.Dir, segmentName(number))}
	if old := m.pop(s.name); old != nil {
		m.reused.Add(1)
		if err := m.o.FS.Rename(old.name, s.name); err != nil {
			return nil, errors.Join(err, m.reuse(old))
		}
		s.file = old.file
	} else if err := m.create(s, hurry); err != nil {
		return nil, err
	}
	if err := m.begin(s); err != nil {
		return nil, errors.Join(err, s.file.Close(), m.o.FS.Remove(s.name))
	}
	return s, nil
}

// begin writes the header and makes it and the name durable.
func (m *maker) begin(s *segment) error {
	page := make([]byte, firstBatch)
	copy(page, s.append(nil))
	for _, at := range []int64{0, m.o.SegmentBytes - lastPage} {
		if _, err := s.file.WriteAt(page, at); err != nil {
			return err
		}
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	return disk.SyncDir(m.o.FS, m.o.Dir)
}

// create makes a file of zeros.
func (m *maker) create(s *segment, hurry <-chan struct{}) error {
	name := m.o.FS.PathJoin(m.o.Dir, temporary)
	file, err := m.o.FS.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	err = m.fill(file, hurry)
	if err == nil {
		err = m.o.FS.Rename(name, s.name)
	}
	if err != nil {
		return errors.Join(err, file.Close(), m.o.FS.Remove(name))
	}
	m.made.Add(1)
	s.file = file
	return nil
}

// fill writes zeros, piece by piece until they are needed soon: written all at once they would hold up the syncs of the segment in use.
func (m *maker) fill(file vfs.File, hurry <-chan struct{}) error {
	size := m.o.SegmentBytes
	if err := file.Preallocate(0, size); err != nil { // says at once that there is no room; it is zeros that make writes cheap later
		return err
	}
	zeros := make([]byte, min(size, disk.Piece))
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if at > 0 {
			if err := disk.Settle(file, hurry); err != nil {
				return err
			}
		}
		if _, err := file.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return file.Sync()
}

// pop takes a spare file for a segment that will have this name: the one that has it already, if there is one. To give the name to another would
// cut that one off from its file, and its own turn later would move the live segment away.
func (m *maker) pop(name string) *segment {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.spare) == 0 {
		return nil
	}
	at := slices.IndexFunc(m.spare, func(s *segment) bool { return s.name == name })
	if at < 0 {
		at = len(m.spare) - 1
	}
	s := m.spare[at]
	m.spare = slices.Delete(m.spare, at, at+1)
	return s
}

// reuse keeps a file for later, or removes it when there are enough.
func (m *maker) reuse(s *segment) error {
	m.mu.Lock()
	keep := !m.closed && len(m.spare) < m.o.Spare
	if keep {
		m.spare = append(m.spare, s)
	}
	m.mu.Unlock()
	if keep {
		return nil
	}
	return errors.Join(s.file.Close(), m.o.FS.Remove(s.name))
}

// close waits for what is being made, and closes the files that are kept. They stay: the next Open takes them.
func (m *maker) close() error {
	var err error
	if m.making != nil {
		if s, _ := m.take(); s != nil {
			err = s.file.Close()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for _, s := range m.spare {
		err = errors.Join(err, s.file.Close())
	}
	m.spare = nil
	return err
}

// roomError makes store.ErrFull of an error that goes away when there is room.
func roomError(err error) error {
	if noRoom(err) {
		return fmt.Errorf("%w: no room for a segment of the log: %v", store.ErrFull, err)
	}
	return fmt.Errorf("wal: new segment: %w", err)
}
