package hotlog

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"quicnprotochat/store"
)

// Whoever holds on to a blob makes it live long enough before its message is stored: a crash between the two only keeps a blob too long.

// holdMargin is how much longer than its message a blob must live at least, ms: the decider looks at its own clock, a moment later. It gets an hour,
// so that one that many messages name is not written for each of them.
const holdMargin = msPerHour / 6

// hold makes blobs live as long as a message that expires as it asked, and says whether all are there.
func (s *Store) hold(ctx context.Context, blobs []store.BlobID, asked time.Time) (bool, error) {
	for i := range blobs {
		there := false
		err := s.changeBlob(&blobs[i], func(b *blobChange) error {
			if b.meta == nil || !b.meta.complete || b.meta.end() <= b.now {
				return nil
			}
			there = true
			expires := b.s.expires(b.now, asked)
			if b.meta.expires >= min(expires+holdMargin, maxTime) {
				return nil
			}
			b.meta.expires = min(expires+msPerHour, maxTime)
			return b.save(ctx, true)
		})
		if errors.Is(err, store.ErrCorrupt) { // it is as good as gone; the other messages of a call are not concerned
			s.opts.Logger.Error("store: corrupt blob", "err", err)
			err, there = nil, false
		}
		if err != nil || !there {
			return false, err
		}
	}
	return true, nil
}

// holdAll holds the blobs of messages. missing is nil if none of them has any, and else says which lack one.
func (s *Store) holdAll(ctx context.Context, n int, message func(i int) ([]store.BlobID, time.Time)) (missing []bool, err error) {
	for i := range n {
		blobs, expires := message(i)
		if len(blobs) == 0 {
			continue
		}
		if missing == nil {
			missing = make([]bool, n)
		}
		there, err := s.hold(ctx, blobs, expires)
		if err != nil {
			return nil, err
		}
		missing[i] = !there
	}
	return missing, nil
}

// sweepBlobs removes blobs that have expired, and incomplete ones that nobody goes on with.
func (s *Store) sweepBlobs(ctx context.Context, budget int) (removed int, more bool, err error) {
	var found [][]byte
	hour := uint32(max(s.opts.Clock().UnixMilli(), 0) / msPerHour)
	end := binary.BigEndian.AppendUint32([]byte{kindBlobEnd}, hour+1)
	err = s.tree.scan([]byte{kindBlobEnd}, end, func(key, _ []byte) (bool, error) {
		if len(found) == min(budget, sweepStreams) {
			more = true
			return false, nil
		}
		found = append(found, append([]byte(nil), key...))
		return true, nil
	})
	for i := 0; i < len(found) && err == nil; i++ {
		key := found[i]
		if len(key) != blobEndKeySize {
			err = s.do(ctx, &changeOp{deletion(key)})
			continue
		}
		err = s.changeBlobNamed((*name)(key[5:]), func(b *blobChange) error {
			m := b.meta
			noted := m != nil && m.note == binary.BigEndian.Uint32(key[1:])
			if noted && m.end() <= b.now {
				if err := b.remove(ctx); err != nil {
					return err
				}
				removed++
				return nil
			}
			b.c.delete(key)
			if !noted {
				return s.do(ctx, &changeOp{b.c})
			}
			m.note = hourOf(m.end())
			b.c.set(blobEndKey(m.note, &b.name), nil)
			return b.save(ctx, false)
		})
		if errors.Is(err, store.ErrCorrupt) { // whose it was cannot be told; it must not keep the others from being swept
			s.opts.Logger.Error("store: corrupt blob", "err", err)
			err = s.do(ctx, &changeOp{deletion(key)})
		}
	}
	return removed, more, err
}

func deletion(key []byte) (c changes) {
	c.delete(key)
	return c
}
