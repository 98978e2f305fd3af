package disk

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Piece is how much of a large file is written between two calls of Settle, bytes.
const Piece = 256 << 10

// The disk is left alone for restShare times as long as it was busy with a piece, at most for maxRest.
const (
	restShare = 2
	maxRest   = time.Second / 4
)

// Settle is called between the pieces of a large file that nobody waits for. It makes what was written durable, and gives the disk a rest: a sync of the log, for which
// many wait, then has one piece to wait for at most, and mostly none. Once hurry is closed it does nothing at all, and a rest ends at once. So the file is
// still to be synced at its end.
func Settle(f vfs.File, hurry <-chan struct{}) error {
	select {
	case <-hurry:
		return nil
	default:
	}
	begun := time.Now()
	if err := f.SyncData(); err != nil {
		return err
	}
	if rest := min(restShare*time.Since(begun), maxRest); rest > 0 {
		select {
		case <-hurry:
		case <-time.After(rest):
		}
	}
	return nil
}
