package pebble

import (
	"context"
	"encoding/binary"
	"fmt"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// Sweep is as in store.Store.
func (s *Store) Sweep(ctx context.Context, budget int) (store.SweepResult, error) {
	if budget < 1 {
		return store.SweepResult{}, fmt.Errorf("%w: a budget of %d", store.ErrInvalid, budget)
	}
	o := &sweepOp{budget: budget}
	if err := s.do(ctx, o); err != nil {
		return store.SweepResult{}, err
	}
	return o.result, o.err
}

type sweepOp struct {
	budget int
	result store.SweepResult
	err    error
}

func (o *sweepOp) sync() bool     { return false }
func (o *sweepOp) fail(err error) { o.err = err }

// sweepBatch bounds what one batch removes, so that a large budget does not hold up others.
const sweepBatch = 1024

func (o *sweepOp) apply(t *tx) bool {
	left := min(o.budget-o.result.Removed, sweepBatch)
	removed, err := t.sweepIDs()
	if err == nil {
		var n int
		n, err = t.sweepPackages(left)
		removed += n
		o.result.More = n == left
	}
	o.result.Removed += removed
	o.err = err
	return err != nil || !o.result.More || o.result.Removed >= o.budget
}

// sweepIDs drops the buckets of message ids that nobody needs any more, each as a whole.
func (t *tx) sweepIDs() (removed int, err error) {
	oldest := oldestBucket(t.now)
	t.c.ids.drop(oldest)
	end := binary.BigEndian.AppendUint32([]byte{prefixID}, oldest)
	it, err := t.c.s.db.NewIter(&lsm.IterOptions{LowerBound: []byte{prefixID}, UpperBound: end})
	if err != nil {
		return 0, readError(err)
	}
	found := it.First()
	var start []byte
	if found {
		start = append(start, it.Key()[:5]...)
	}
	if err := it.Close(); err != nil {
		return 0, readError(err)
	}
	if !found {
		return 0, nil
	}
	must(t.b.DeleteRange(start, end, nil))
	return int(oldest - binary.BigEndian.Uint32(start[1:])), nil
}

// sweepPackages removes up to n expired KeyPackages and fingerprints.
func (t *tx) sweepPackages(n int) (removed int, err error) {
	end := binary.BigEndian.AppendUint64([]byte{prefixExpiry}, uint64(t.now.Unix())+1)
	it, err := t.c.s.db.NewIter(&lsm.IterOptions{LowerBound: []byte{prefixExpiry}, UpperBound: end})
	if err != nil {
		return 0, readError(err)
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = readError(e)
		}
	}()
	for it.First(); it.Valid() && removed < n; it.Next() {
		key, value := it.Key(), it.Value()
		if len(key) != 73 || len(value) != 40 {
			return removed, fmt.Errorf("%w: expiry record of %d and %d bytes", store.ErrCorrupt, len(key), len(value))
		}
		var id store.Identity
		var fingerprint, initKey [32]byte
		copy(id[:], key[9:])
		copy(fingerprint[:], key[41:])
		copy(initKey[:], value[8:])
		if !t.use(id, poolSwept) {
			continue // its turn comes with the next sweep
		}
		if err := t.expire(&id, binary.BigEndian.Uint64(value), &fingerprint, &initKey); err != nil {
			return removed, err
		}
		t.delete(key)
		removed++
	}
	return removed, nil
}

// expire removes one package, if it is still there, and what is remembered of it.
func (t *tx) expire(id *store.Identity, number uint64, fingerprint, initKey *[32]byte) error {
	t.delete(hashKey(prefixFingerprint, id, fingerprint))
	t.delete(hashKey(prefixInitKey, id, initKey))
	t.delete(packageKey(prefixData, id, number))
	last, _, ok, err := lastResort(t.c.s.db, id)
	if err != nil {
		return err
	}
	if ok && last == number {
		t.delete(ownerKey(prefixLastResort, id))
		return nil
	}
	key := packageKey(prefixPackage, id, number)
	held, err := t.get(key)
	if err != nil || held == nil {
		return err
	}
	e, err := t.owner(*id)
	if err != nil {
		return err
	}
	t.delete(key)
	e.value.singles -= min(e.value.singles, 1)
	t.c.owners.mark(e)
	return nil
}
