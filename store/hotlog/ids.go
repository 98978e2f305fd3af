package hotlog

import (
	"encoding/binary"
	"fmt"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/idset"
)

// bucketWidth is the span of time whose message ids lie together, and are dropped together: those whose messages left the log (in runs), or
// were acknowledged after that (in the tree), in that time.
const bucketWidth = 8 * time.Hour

func bucketOf(ms int64) uint32 { return uint32(max(ms, 0) / bucketWidth.Milliseconds()) }

// oldestBucket is the oldest one that may hold an id that must still be recognised at now.
func oldestBucket(now time.Time) uint32 { return bucketOf(now.Add(-store.IDRetention).UnixMilli()) }

func appendSeq(b []byte, seq uint64) []byte { return binary.BigEndian.AppendUint64(b, seq) }

// ids are the message ids that left the log: those of a segment in a run of their own, and in the tree the ids of messages that were acknowledged so late that theirs would be
// forgotten too soon. Safe for concurrent use.
type ids struct {
	runs *idset.Set // and what is known of those in the tree
	tree *tree
}

func newIDs(t *tree, dir string, o *Options, hurry <-chan struct{}) (*ids, error) {
	runs, err := idset.Open(idset.Options{FS: o.FS, Dir: dir, Room: o.IDFilters, Spare: 2 * o.Reserve, Logger: o.Logger, Hurry: hurry})
	return &ids{runs, t}, err
}

// find returns the seq of an id that must be recognised at now, or 0.
func (s *ids) find(id *name, now time.Time) (uint64, error) {
	oldest, newest := oldestBucket(now), bucketOf(now.UnixMilli())+1 // the clock may have been ahead
	if !s.runs.MayHold(id, oldest, newest) {
		return 0, nil
	}
	if seq, err := s.runs.Find(id, oldest, newest); seq != 0 || err != nil {
		return seq, readError(err)
	}
	for n := oldest; n <= newest; n++ {
		if seq, err := s.findInTree(id, n); seq != 0 || err != nil {
			return seq, err
		}
	}
	return 0, nil
}

func (s *ids) findInTree(id *name, bucket uint32) (uint64, error) {
	var key [idKeySize]byte
	value, err := s.tree.getRaw(appendIDKey(key[:0], bucket, id))
	if value == nil || err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("%w: message id with a value of %d bytes", store.ErrCorrupt, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// load has memory know what was there at the start. It ends early when stop is closed: then all that is stored is looked up on disk first.
func (s *ids) load(stop <-chan struct{}) error {
	if !s.runs.Load(stop) {
		return nil
	}
	n, whole := 0, true
	err := s.tree.scan([]byte{kindID}, []byte{kindID + 1}, func(key, _ []byte) (bool, error) {
		if n++; n%1024 == 0 {
			select {
			case <-stop:
				whole = false
				return false, nil
			default:
			}
		}
		if len(key) == idKeySize {
			id := name(key[5:])
			s.runs.Note(binary.BigEndian.Uint32(key[1:]), &id)
		}
		return true, nil
	})
	if err == nil && whole {
		s.runs.Complete()
	}
	return err
}
