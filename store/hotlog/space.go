package hotlog

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// spaceInterval is how often free disk space is looked at.
const spaceInterval = time.Second

// space looks after the free space that new data must leave, so that the tree can be flushed and cursors can be moved on a full disk. The decider owns it.
type space struct {
	fs      vfs.FS
	dir     string
	reserve uint64
	looked  time.Time
	err     error
}

// check returns ErrFull while there is less space than that. Where free space is not known there is always enough.
func (s *space) check() error {
	now := time.Now()
	if now.Sub(s.looked) < spaceInterval {
		return s.err
	}
	s.looked, s.err = now, nil
	if usage, err := s.fs.GetDiskUsage(s.dir); err == nil && usage.AvailBytes < s.reserve {
		s.err = fmt.Errorf("%w: %d bytes free, %d are kept", store.ErrFull, usage.AvailBytes, s.reserve)
	}
	return s.err
}
