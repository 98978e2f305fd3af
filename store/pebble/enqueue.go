package pebble

import (
	"context"
	"encoding/binary"
	"fmt"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// Enqueue is as in store.Store.
func (s *Store) Enqueue(ctx context.Context, messages []store.Message) ([]store.Result, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	if err := store.CheckMessages(messages); err != nil {
		return nil, err
	}
	o := &enqueueOp{messages: messages, results: make([]store.Result, len(messages))}
	if err := s.do(ctx, o); err != nil {
		return nil, err
	}
	return o.results, o.err
}

// share is how many bytes of one call go into a batch, so that a large call does not hold up small ones.
const share = 1 << 20

type enqueueOp struct {
	messages []store.Message
	results  []store.Result
	next     int
	err      error
}

func (o *enqueueOp) sync() bool     { return true }
func (o *enqueueOp) fail(err error) { o.err = err }

func (o *enqueueOp) apply(t *tx) bool {
	for size := 0; o.next < len(o.messages); o.next++ {
		if size >= share {
			return false
		}
		m := &o.messages[o.next]
		result, err := t.enqueue(m)
		if err != nil {
			o.err = fmt.Errorf("message %d: %w", o.next, err)
			return true
		}
		o.results[o.next] = result
		size += len(m.Payload) + messageHeader
	}
	return true
}

func (t *tx) enqueue(m *store.Message) (store.Result, error) {
	e, err := t.head(m.Queue)
	if err != nil {
		return store.Result{}, err
	}
	counters := &t.c.s.counters
	if e != nil {
		seq, err := t.duplicate(&e.value, &m.ID)
		if err != nil {
			return store.Result{}, err
		}
		if seq != 0 {
			counters.duplicates.Add(1)
			return store.Result{Status: store.Duplicate, Seq: seq}, nil
		}
	}
	quota := &t.c.s.opts.Quota
	full := e != nil && (e.value.last-e.value.acked >= quota.Messages || e.value.bytes+uint64(len(m.Payload)) > quota.Bytes)
	if !full {
		if err := t.c.room(len(m.Payload) + messageHeader); err != nil {
			return store.Result{}, err
		}
		if e == nil {
			if e, err = t.newQueue(m.Queue); err != nil {
				return store.Result{}, err
			}
			full = e == nil
		}
	}
	if full {
		counters.quota.Add(1)
		return store.Result{Status: store.QuotaExceeded}, nil
	}
	t.put(e, m)
	counters.stored.Add(1)
	return store.Result{Status: store.Stored, Seq: e.value.last}, nil
}

// put appends m to its queue.
func (t *tx) put(e *entry[store.QueueID, head], m *store.Message) {
	h := &e.value
	now := t.now.UnixMilli()
	h.last++
	h.bytes += uint64(len(m.Payload))
	h.touched = now
	t.c.heads.mark(e)

	// Straight into the batch's memory: a payload may be a megabyte.
	d := t.b.SetDeferred(17, messageHeader+len(m.Payload))
	appendMessageKey(d.Key[:0], h.number, h.last)
	appendMessage(d.Value[:0], now, m)
	must(d.Finish())
	t.putID(h, &m.ID, h.last)
	t.notice(m.Queue)
}

// putID remembers an id in today's bucket.
func (t *tx) putID(h *head, id *store.MessageID, seq uint64) {
	bucket := bucketOf(t.now.UnixMilli())
	h.sawID(bucket)
	d := t.b.SetDeferred(29, 8)
	appendIDKey(d.Key[:0], bucket, h.number, id)
	binary.BigEndian.PutUint64(d.Value, seq)
	must(d.Finish())
	if t.ids == nil {
		t.ids = make(map[idKey]uint64)
	}
	t.ids[idKey{h.number, *id}] = seq
	t.c.ids.bucket(bucket).add(t.c.ids.hash(h.number, id))
}

// duplicate returns the seq under which the queue stored id before, or 0.
func (t *tx) duplicate(h *head, id *store.MessageID) (uint64, error) {
	if seq, ok := t.ids[idKey{h.number, *id}]; ok {
		return seq, nil
	}
	oldest := oldestBucket(t.now)
	hash := t.c.ids.hash(h.number, id)
	for n := uint32(0); n < 32 && n <= h.bucket && h.bucket-n >= oldest; n++ {
		if h.mask&(1<<n) == 0 || t.c.ids.complete && !t.c.ids.bucket(h.bucket-n).mayHold(hash) {
			continue
		}
		t.key = appendIDKey(t.key[:0], h.bucket-n, h.number, id)
		value, err := t.get(t.key)
		if err != nil {
			return 0, err
		}
		if value == nil {
			continue
		}
		if len(value) != 8 {
			return 0, fmt.Errorf("%w: message id record of %d bytes", store.ErrCorrupt, len(value))
		}
		return binary.BigEndian.Uint64(value), nil
	}
	return 0, nil
}

// newQueue makes a queue, or returns nil if the owner has too many.
func (t *tx) newQueue(q store.QueueID) (*entry[store.QueueID, head], error) {
	o, err := t.owner(q.Owner)
	if err != nil {
		return nil, err
	}
	if o.value.queues >= uint64(t.c.s.opts.Quota.Queues) {
		if err := t.forgetIdle(o); err != nil {
			return nil, err
		}
		if o.value.queues >= uint64(t.c.s.opts.Quota.Queues) {
			return nil, nil
		}
	}
	o.value.queues++
	t.c.owners.mark(o)
	h := head{number: t.c.next, acked: o.value.floor, last: o.value.floor}
	t.c.next++
	t.queues = true
	e := t.c.heads.add(q, h)
	t.c.heads.mark(e)
	return e, nil
}

// forgetIdle makes room for a new queue of an owner that is at its limit: queues that are empty, and unused for so long that none
// of their ids needs to be recognised, are dropped. The owner's floor keeps their numbers from being used again.
func (t *tx) forgetIdle(o *entry[store.Identity, owner]) error {
	now := t.now.UnixMilli()
	if d := now - o.value.looked; d >= 0 && d < 60_000 {
		return nil // looked in vain a moment ago; a look costs a thousand records
	}
	idle := now - 2*(store.IDRetention+bucketWidth).Milliseconds()
	it, err := t.c.s.db.NewIter(&lsm.IterOptions{LowerBound: ownerKey(prefixHead, &o.key), UpperBound: ownerEnd(prefixHead, &o.key)})
	if err != nil {
		return readError(err)
	}
	var forget []store.QueueID
	floor := o.value.floor
	for it.First(); it.Valid(); it.Next() {
		q := store.QueueID{Owner: o.key, Group: string(it.Key()[33:])}
		h, err := decodeHead(it.Value())
		if e := t.c.heads.get(q); e != nil {
			h, err = e.value, nil
		}
		if err == nil && h.acked == h.last && h.touched <= idle {
			forget = append(forget, q)
			floor = max(floor, h.last)
		}
	}
	if err := it.Close(); err != nil {
		return readError(err)
	}
	for _, q := range forget {
		t.c.heads.remove(q)
		t.delete(appendHeadKey(nil, &q))
	}
	o.value.floor = floor
	o.value.queues -= min(o.value.queues, uint64(len(forget)))
	o.value.looked = now
	t.c.owners.mark(o)
	return nil
}
