package hotlog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// readable is the highest number that is durable.
func (st *stream) readable(durable uint64) uint64 {
	last := st.last
	for i := len(st.hot) - 1; i >= st.gone && st.hot[i].batch > durable; i-- {
		last--
	}
	return last
}

// Read implements store.Store.
func (s *Store) Read(ctx context.Context, q store.QueueID, after uint64, maxMessages, maxBytes int) (store.Page, error) {
	if err := store.CheckGroup(q.Group); err != nil {
		return store.Page{}, err
	}
	if maxMessages < 1 || maxBytes < 1 {
		return store.Page{}, fmt.Errorf("%w: at most %d messages and %d bytes asked for", store.ErrInvalid, maxMessages, maxBytes)
	}
	if !s.use() {
		return store.Page{}, store.ErrClosed
	}
	defer s.life.RUnlock()
	o, err := s.pin(keyOf(&q))
	if err != nil {
		return store.Page{}, err
	}
	defer o.unpin()
	o.mu.Lock()
	st := o.find(q.Group)
	o.mu.Unlock()
	if st == nil {
		return store.Page{}, nil
	}
	if q.Shared {
		return s.readShared(ctx, o, &q, after, maxMessages, maxBytes)
	}
	return s.readStream(ctx, st, after, bounds{math.MaxUint64, math.MaxUint64}, maxMessages, maxBytes)
}

// bounds are what a reader sees at most: messages up to until, of batches up to durable. A view of a group and the messages that it shows are of one moment: with what became
// durable between, a member would read on above its own removal.
type bounds struct{ until, durable uint64 }

// errMoved says that messages left the log, or were removed, while they were read.
var errMoved = errors.New("hotlog: messages moved meanwhile")

// readStream reads a stream above after and its cursor, within b. The caller holds a pin.
func (s *Store) readStream(ctx context.Context, st *stream, after uint64, b bounds, maxMessages, maxBytes int) (store.Page, error) {
	for {
		r := pageReader{s: s, st: st, bounds: b, now: s.opts.Clock().UnixMilli(), messages: maxMessages, bytes: maxBytes}
		err := r.read(after)
		if err == nil {
			return r.page, nil
		}
		if !errors.Is(err, errMoved) && !errors.Is(err, wal.ErrRetired) {
			return store.Page{}, err
		}
		if err := ctx.Err(); err != nil {
			return store.Page{}, err
		}
	}
}

// pageReader puts one page together.
type pageReader struct {
	s               *Store
	st              *stream
	bounds          bounds
	now             int64
	messages, bytes int // that still fit
	page            store.Page
	next            uint64
	full            bool
	buffer          []byte // for payloads
}

func (r *pageReader) read(after uint64) error {
	var few [4]entry
	entries := few[:0]
	st := r.st
	st.object.mu.Lock()
	acked, last := st.acked, min(st.readable(min(r.s.durable.Load(), r.bounds.durable)), r.bounds.until)
	r.page.Acknowledged, r.page.Last = acked, last
	after = max(after, acked)
	if after >= last {
		st.object.mu.Unlock()
		return nil
	}
	r.next = after + 1
	cold := min(st.cold, last)
	if first := max(r.next, st.firstHot()); first <= last {
		all := st.entries()
		from := int(first - st.firstHot())
		entries = append(entries, r.few(all[from:len(all)-int(st.last-last)])...)
	}
	st.object.mu.Unlock()
	if r.next <= cold {
		if err := r.readCold(cold); err != nil || r.full {
			return err
		}
	}
	return r.readHot(entries)
}

// few cuts entries that can certainly not be returned: one more than fit is kept, so that it is known whether there is more.
func (r *pageReader) few(entries []entry) []entry {
	n, bytes := 0, 0
	for i := range entries {
		if entries[i].expires <= r.now && entries[i].size > 0 {
			continue
		}
		if n++; n > r.messages || bytes > r.bytes {
			return entries[:i+1]
		}
		bytes += int(entries[i].size)
	}
	return entries
}

// fits says whether a message is to be added; if not, the page is full.
func (r *pageReader) fits(size int) bool {
	if len(r.page.Messages) > 0 && (r.messages < 1 || size > r.bytes) {
		r.full, r.page.More = true, true
		return false
	}
	return true
}

func (r *pageReader) add(d store.Delivery) {
	r.page.Messages = append(r.page.Messages, d)
	r.messages--
	r.bytes -= len(d.Payload)
}

// damaged ends the page before a message that cannot be read, or fails if the page would be empty.
func (r *pageReader) damaged(seq uint64, err error) error {
	if len(r.page.Messages) > 0 {
		r.full, r.page.More = true, true
		return nil
	}
	return fmt.Errorf("message %d: %w", seq, err)
}

func (r *pageReader) readCold(last uint64) error {
	after, found := r.next-1, seen{bucket: math.MaxUint32}
	defer func() {
		if found.to > 0 {
			r.st.object.mu.Lock()
			r.st.saw(after, found)
			r.st.object.mu.Unlock()
		}
	}()
	err := r.s.scanCold(&r.st.name, r.next, last, func(seq uint64, m *cold, err error) (bool, error) {
		if seq != r.next {
			return false, r.gap()
		}
		if err != nil {
			return false, r.damaged(seq, err)
		}
		if m.expires <= r.now || len(m.payload) == 0 {
			r.next++
			found.add(seq, m)
			return true, nil
		}
		if !r.fits(len(m.payload)) {
			return false, nil
		}
		r.next++
		found.add(seq, m)
		m.payload = slices.Clone(m.payload)
		r.add(m.delivery(seq))
		return true, nil
	})
	if err == nil && !r.full && r.next <= last {
		err = r.gap()
	}
	return err
}

// gap tells a message that was acknowledged meanwhile from one that is missing.
func (r *pageReader) gap() error {
	r.st.object.mu.Lock()
	acked := r.st.acked
	r.st.object.mu.Unlock()
	if acked >= r.next {
		return errMoved
	}
	return r.damaged(r.next, fmt.Errorf("%w: it is missing", store.ErrCorrupt))
}

func (r *pageReader) readHot(entries []entry) error {
	if n := min(len(entries), r.messages); n > 1 {
		r.page.Messages = slices.Grow(r.page.Messages, n)
		r.reserve(entries[:n])
	}
	for i := range entries {
		e := &entries[i]
		if e.size > 0 && e.expires <= r.now {
			r.next++
			continue
		}
		if !r.fits(int(e.size)) {
			return nil
		}
		h, payload, err := r.s.message(e)
		switch {
		case errors.Is(err, store.ErrCorrupt):
			return r.damaged(r.next, err)
		case err != nil:
			return err
		}
		r.add(store.Delivery{Seq: r.next, ID: h.id, Payload: r.clone(payload), AcceptedAt: time.UnixMilli(h.accepted)})
		r.next++
	}
	return nil
}

// reserve takes the room for the payloads of small messages at once.
func (r *pageReader) reserve(entries []entry) {
	n := 0
	for i := range entries {
		n += int(entries[i].size)
	}
	r.buffer = make([]byte, 0, max(0, min(n, r.bytes))) // nothing is left where the first message alone, from the tree, was larger than what was asked for
}

// clone copies a payload into what was reserved, or, without room, by itself.
func (r *pageReader) clone(payload []byte) []byte {
	n := len(r.buffer)
	if cap(r.buffer)-n < len(payload) {
		return slices.Clone(payload)
	}
	r.buffer = append(r.buffer, payload...)
	return r.buffer[n:len(r.buffer):len(r.buffer)]
}

// message reads a message in the log; the payload may be the cache's.
func (s *Store) message(e *entry) (header, []byte, error) {
	record, err := s.recordOf(e)
	if err != nil {
		return header{}, nil, err
	}
	return decodeMessage(record)
}

// Queues implements store.Store.
func (s *Store) Queues(ctx context.Context, from store.QueueID, max int) (queues []store.QueueStatus, more bool, err error) {
	if max < 1 {
		return nil, false, fmt.Errorf("%w: at most %d queues asked for", store.ErrInvalid, max)
	}
	if !s.use() {
		return nil, false, store.ErrClosed
	}
	defer s.life.RUnlock()
	o, err := s.pin(objectKey{id: from.Owner})
	if err != nil {
		return nil, false, err
	}
	defer o.unpin()
	durable := s.durable.Load()
	o.mu.Lock()
	o.all(func(st *stream) {
		last := st.readable(durable)
		if st.id.Compare(from) < 0 || st.acked == last {
			return
		}
		queues = append(queues, store.QueueStatus{
			Group: st.id.Group, Acknowledged: st.acked, Last: last, Messages: last - st.acked, Bytes: st.cumAt(last) - st.ackedCum,
		})
	})
	o.mu.Unlock()
	shared, err := s.sharedQueues(o, &from)
	if err != nil {
		return nil, false, err
	}
	queues = append(queues, shared...)
	slices.SortFunc(queues, func(a, b store.QueueStatus) int {
		return store.QueueID{Group: a.Group, Shared: a.Shared}.Compare(store.QueueID{Group: b.Group, Shared: b.Shared})
	})
	if len(queues) > max {
		return queues[:max], true, nil
	}
	return queues, false, nil
}

// recordOf reads a message's own part of its record.
func (s *Store) recordOf(e *entry) ([]byte, error) {
	if e.size == 0 {
		return nil, fmt.Errorf("%w: its record was lost", store.ErrCorrupt)
	}
	if r := e.record(); r != nil {
		return r, nil
	}
	whole, err := s.log.ReadAt(e.pos, nil)
	if err != nil {
		return nil, err
	}
	if int(e.from)+int(e.n) > len(whole) {
		return nil, fmt.Errorf("%w: record of %d bytes", store.ErrCorrupt, len(whole))
	}
	return whole[e.from : e.from+e.n], nil
}
