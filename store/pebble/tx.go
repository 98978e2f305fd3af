package pebble

import (
	"encoding/binary"
	"errors"
	"time"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// bucketWidth is the span of time whose message ids lie together, and are dropped together. Wider buckets keep ids for longer
// than needed, narrower ones cost every enqueue to a busy queue a look-up each: retention / width + 1 of them.
const bucketWidth = 12 * time.Hour

func bucketOf(ms int64) uint32 { return uint32(max(ms, 0) / bucketWidth.Milliseconds()) }

// oldestBucket is the oldest one that may hold an id that must still be recognised at now.
func oldestBucket(now time.Time) uint32 {
	return bucketOf(now.Add(-store.IDRetention).UnixMilli())
}

// tx is one batch while it is put together. Only the committer uses it.
type tx struct {
	c   *committer
	b   *lsm.Batch
	now time.Time

	ids    map[idKey]uint64 // stored in this batch
	news   map[store.QueueID]struct{}
	pools  map[store.Identity]poolUse // KeyPackage pools touched in this batch
	key    []byte
	value  []byte
	queues bool // the queue counter moved
}

type idKey struct {
	queue uint64
	id    store.MessageID
}

// must is for writes to the batch, which is memory: pebble returns an error there only for a batch that is closed or too large.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (t *tx) set(key, value []byte) { must(t.b.Set(key, value, nil)) }
func (t *tx) delete(key []byte)     { must(t.b.Delete(key, nil)) }

// get reads what is on disk, without this batch. The value is nil if there is none, and the caller's.
func (t *tx) get(key []byte) ([]byte, error) { return get(t.c.s.db, key) }

func get(r lsm.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, lsm.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, readError(err)
	}
	own := append(make([]byte, 0, len(value)), value...)
	return own, readError(closer.Close())
}

// notice remembers that q has news for its watchers.
func (t *tx) notice(q store.QueueID) {
	if t.news == nil {
		t.news = make(map[store.QueueID]struct{})
	}
	t.news[q] = struct{}{}
}

// head returns q's head, nil if there is none. A caller that changes it marks it.
func (t *tx) head(q store.QueueID) (*entry[store.QueueID, head], error) {
	if e := t.c.heads.get(q); e != nil {
		return e, nil
	}
	t.key = appendHeadKey(t.key[:0], &q)
	value, err := t.get(t.key)
	if err != nil || value == nil {
		return nil, err
	}
	h, err := decodeHead(value)
	if err != nil {
		return nil, err
	}
	return t.c.heads.add(q, h), nil
}

// owner returns an identity's counters, all zero if it is new.
func (t *tx) owner(id store.Identity) (*entry[store.Identity, owner], error) {
	if e := t.c.owners.get(id); e != nil {
		return e, nil
	}
	value, err := t.get(ownerKey(prefixOwner, &id))
	if err != nil {
		return nil, err
	}
	var o owner
	if value != nil {
		if o, err = decodeOwner(value); err != nil {
			return nil, err
		}
	}
	return t.c.owners.add(id, o), nil
}

// flush puts what changed in the caches into the batch.
func (t *tx) flush() {
	t.c.heads.clean(func(e *entry[store.QueueID, head]) {
		t.key = appendHeadKey(t.key[:0], &e.key)
		t.value = e.value.append(t.value[:0])
		t.set(t.key, t.value)
	})
	t.c.owners.clean(func(e *entry[store.Identity, owner]) {
		t.value = e.value.append(t.value[:0])
		t.set(ownerKey(prefixOwner, &e.key), t.value)
	})
	if t.queues {
		t.value = binary.BigEndian.AppendUint64(t.value[:0], t.c.next)
		t.set(counterKey, t.value)
	}
}
