package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// readError names corruption as such.
func readError(err error) error {
	switch {
	case err == nil:
		return nil
	case lsm.IsCorruptionError(err):
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	default:
		return fmt.Errorf("store: read: %w", err)
	}
}

// headOf reads q's head; ok is false if there is none.
func headOf(r lsm.Reader, q *store.QueueID) (h head, ok bool, err error) {
	value, closer, err := r.Get(appendHeadKey(make([]byte, 0, 97), q))
	if errors.Is(err, lsm.ErrNotFound) {
		return head{}, false, nil
	}
	if err != nil {
		return head{}, false, readError(err)
	}
	h, err = decodeHead(value)
	return h, err == nil, errors.Join(err, closer.Close())
}

// scan calls f for the messages of queue from first to last, until it returns false. Both bounds are always set: above them lie other
// queues, below them the tombstones of all that was acknowledged.
func scan(r lsm.Reader, queue, first, last uint64, f func(seq uint64, value []byte) (bool, error)) (err error) {
	bounds := make([]byte, 0, 34)
	bounds = appendMessageKey(bounds, queue, first)
	bounds = appendMessageKey(bounds, queue, last+1)
	it, err := r.NewIter(&lsm.IterOptions{LowerBound: bounds[:17], UpperBound: bounds[17:]})
	if err != nil {
		return readError(err)
	}
	defer func() { err = errors.Join(err, readError(it.Close())) }()
	for it.First(); it.Valid(); it.Next() {
		if len(it.Key()) != 17 {
			return fmt.Errorf("%w: message key of %d bytes", store.ErrCorrupt, len(it.Key()))
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return readError(err)
		}
		if more, err := f(binary.BigEndian.Uint64(it.Key()[9:]), value); !more || err != nil {
			return err
		}
	}
	return nil
}

// Read is as in store.Store.
func (s *Store) Read(ctx context.Context, q store.QueueID, after uint64, maxMessages, maxBytes int) (store.Page, error) {
	if err := store.CheckGroup(q.Group); err != nil {
		return store.Page{}, err
	}
	if maxMessages < 1 || maxBytes < 1 {
		return store.Page{}, fmt.Errorf("%w: at most %d messages and %d bytes asked for", store.ErrInvalid, maxMessages, maxBytes)
	}
	v, err := s.views.acquire()
	if err != nil {
		return store.Page{}, err
	}
	defer s.views.release(v)
	h, ok, err := headOf(v, &q)
	if err != nil || !ok {
		return store.Page{}, err
	}
	page := store.Page{Acknowledged: h.acked, Last: h.last}
	after = max(after, h.acked)
	if after >= h.last {
		return page, nil
	}
	bytes := 0
	next := after + 1
	err = scan(v, h.number, next, h.last, func(seq uint64, value []byte) (bool, error) {
		if seq != next {
			return false, fmt.Errorf("%w: message %d of queue %d is missing", store.ErrCorrupt, next, h.number)
		}
		size := len(value) - messageHeader
		if n := len(page.Messages); n >= maxMessages || n > 0 && bytes+size > maxBytes {
			return false, nil
		}
		d, err := decodeMessage(seq, append([]byte(nil), value...))
		if err != nil {
			return false, err
		}
		page.Messages = append(page.Messages, d)
		bytes += size
		next++
		return true, ctx.Err()
	})
	if err != nil {
		return store.Page{}, err
	}
	if len(page.Messages) == 0 {
		return store.Page{}, fmt.Errorf("%w: message %d of queue %d is missing", store.ErrCorrupt, next, h.number)
	}
	page.More = next <= h.last
	return page, nil
}

// Queues is as in store.Store.
func (s *Store) Queues(ctx context.Context, from store.QueueID, max int) (queues []store.QueueStatus, more bool, err error) {
	if max < 1 {
		return nil, false, fmt.Errorf("%w: at most %d queues asked for", store.ErrInvalid, max)
	}
	if from.Shared { // there are none
		from = from.Next()
	}
	v, err := s.views.acquire()
	if err != nil {
		return nil, false, err
	}
	defer s.views.release(v)
	it, err := v.NewIter(&lsm.IterOptions{
		LowerBound: appendHeadKey(nil, &from),
		UpperBound: ownerEnd(prefixHead, &from.Owner),
	})
	if err != nil {
		return nil, false, readError(err)
	}
	defer func() { err = errors.Join(err, readError(it.Close())) }()
	for it.First(); it.Valid(); it.Next() {
		h, err := decodeHead(it.Value())
		if err != nil {
			return nil, false, err
		}
		if h.acked == h.last {
			continue
		}
		if len(queues) == max {
			return queues, true, nil
		}
		queues = append(queues, store.QueueStatus{
			Group: string(it.Key()[33:]), Acknowledged: h.acked, Last: h.last, Messages: h.last - h.acked, Bytes: h.bytes,
		})
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
	}
	return queues, false, nil
}
