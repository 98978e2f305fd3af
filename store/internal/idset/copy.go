package idset

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
)

// CopyTo links or copies the files to dir, which exists, and waits until that is on disk. Find and Add go on meanwhile.
func (s *Set) CopyTo(ctx context.Context, dir string) (err error) {
	s.mu.Lock()
	s.held++
	runs := s.runs
	s.mu.Unlock()
	defer func() { err = errors.Join(err, s.release()) }()
	f := s.o.FS
	for _, r := range runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := vfs.LinkOrCopy(f, r.path, f.PathJoin(dir, r.name())); err != nil {
			return err
		}
	}
	return disk.SyncDir(f, dir)
}

// release ends a copy.
func (s *Set) release() error {
	s.mu.Lock()
	s.held--
	var later []*run
	if s.held == 0 {
		later, s.later = s.later, nil
	}
	s.mu.Unlock()
	return s.remove(later)
}

// Look reads all that is in the files of dir, and calls see for each with its name and how many ids it holds; err says what is wrong with it. Without dir there
// is nothing to see.
func Look(ctx context.Context, f vfs.FS, dir string, see func(name string, entries int64, err error) error) error {
	names, err := f.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := look(f, f.PathJoin(dir, name))
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			return err
		}
		if err := see(name, n, err); err != nil {
			return err
		}
	}
	return nil
}
