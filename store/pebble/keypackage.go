package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// poolUse says what a batch did to a pool. Ops read pools from the tree, which does not show the batch itself: so within one batch a pool
// is either put to once, or taken from (the owner record, in memory, tells takers apart), or swept.
type poolUse uint8

const (
	poolTaken poolUse = iota + 1
	poolPut
	poolSwept
)

// use claims a pool for this batch; if it returns false the op waits for the next.
func (t *tx) use(id store.Identity, u poolUse) bool {
	if old, ok := t.pools[id]; ok && (old != u || u == poolPut) {
		return false
	}
	if t.pools == nil {
		t.pools = make(map[store.Identity]poolUse)
	}
	t.pools[id] = u
	return true
}

// PutKeyPackages is as in store.Store.
func (s *Store) PutKeyPackages(ctx context.Context, id store.Identity, packages []store.KeyPackage) error {
	if len(packages) == 0 {
		return nil
	}
	if err := store.CheckKeyPackages(packages); err != nil {
		return err
	}
	o := &putOp{owner: id, packages: packages}
	if err := s.do(ctx, o); err != nil {
		return err
	}
	return o.err
}

type putOp struct {
	owner    store.Identity
	packages []store.KeyPackage
	err      error
}

func (o *putOp) sync() bool     { return true }
func (o *putOp) fail(err error) { o.err = err }

func (o *putOp) apply(t *tx) bool {
	if !t.use(o.owner, poolPut) {
		return false
	}
	e, err := t.owner(o.owner)
	if err != nil {
		o.err = err
		return true
	}
	add, err := o.check(t, &e.value)
	if err != nil || len(add) == 0 {
		o.err = err
		return true
	}
	t.c.owners.mark(e)
	for _, p := range add {
		t.putPackage(&e.value, &o.owner, p)
	}
	t.c.s.counters.put.Add(uint64(len(add)))
	return true
}

// check returns the packages that are new, or why the call is refused.
func (o *putOp) check(t *tx, own *owner) (add []*store.KeyPackage, err error) {
	fingerprints := make(map[[32]byte]bool, len(o.packages))
	initKeys := make(map[[32]byte]bool, len(o.packages))
	singles, size := 0, 0
	for i := range o.packages {
		p := &o.packages[i]
		known, err := t.get(hashKey(prefixFingerprint, &o.owner, &p.Fingerprint))
		if err != nil {
			return nil, err
		}
		if known != nil || fingerprints[p.Fingerprint] {
			continue
		}
		used, err := t.get(hashKey(prefixInitKey, &o.owner, &p.InitKey))
		if err != nil {
			return nil, err
		}
		if used != nil || initKeys[p.InitKey] {
			return nil, fmt.Errorf("%w: KeyPackage %d", store.ErrConflict, i)
		}
		fingerprints[p.Fingerprint], initKeys[p.InitKey] = true, true
		if !p.LastResort {
			singles++
		}
		size += len(p.Data)
		add = append(add, p)
	}
	if limit := t.c.s.opts.Quota.KeyPackages; own.singles+uint64(singles) > uint64(limit) {
		return nil, fmt.Errorf("%w: %d KeyPackages held, %d more, %d allowed", store.ErrQuota, own.singles, singles, limit)
	}
	if len(add) == 0 {
		return nil, nil
	}
	return add, t.c.room(size)
}

func (t *tx) putPackage(own *owner, id *store.Identity, p *store.KeyPackage) {
	own.next++
	number := own.next
	m := meta{notAfter: p.NotAfter.Unix(), fingerprint: p.Fingerprint, initKey: p.InitKey}
	t.set(packageKey(prefixData, id, number), p.Data)
	if p.LastResort {
		t.dropLastResort(id)
		t.set(ownerKey(prefixLastResort, id), m.append(binary.BigEndian.AppendUint64(nil, number)))
	} else {
		own.singles++
		t.set(packageKey(prefixPackage, id, number), m.append(nil))
	}
	t.set(hashKey(prefixFingerprint, id, &p.Fingerprint), nil)
	t.set(hashKey(prefixInitKey, id, &p.InitKey), p.Fingerprint[:])
	t.set(expiryKey(m.notAfter, id, &p.Fingerprint), append(binary.BigEndian.AppendUint64(nil, number), p.InitKey[:]...))
}

// dropLastResort removes the bytes of the last-resort package that a new one replaces.
func (t *tx) dropLastResort(id *store.Identity) {
	if number, _, ok, err := lastResort(t.c.s.db, id); err == nil && ok {
		t.delete(packageKey(prefixData, id, number))
	}
}

func lastResort(r lsm.Reader, id *store.Identity) (number uint64, m meta, ok bool, err error) {
	value, err := get(r, ownerKey(prefixLastResort, id))
	if err != nil || value == nil {
		return 0, meta{}, false, err
	}
	if len(value) < 8 {
		return 0, meta{}, false, fmt.Errorf("%w: last-resort record of %d bytes", store.ErrCorrupt, len(value))
	}
	m, err = decodeMeta(value[8:])
	return binary.BigEndian.Uint64(value), m, err == nil, err
}

// TakeKeyPackage is as in store.Store.
func (s *Store) TakeKeyPackage(ctx context.Context, id store.Identity) (store.KeyPackage, error) {
	o := &takeOp{owner: id}
	if err := s.do(ctx, o); err != nil {
		return store.KeyPackage{}, err
	}
	return o.taken, o.err
}

type takeOp struct {
	owner store.Identity
	taken store.KeyPackage
	err   error
}

func (o *takeOp) sync() bool     { return true }
func (o *takeOp) fail(err error) { o.err = err }

func (o *takeOp) apply(t *tx) bool {
	if !t.use(o.owner, poolTaken) {
		return false
	}
	e, err := t.owner(o.owner)
	if err != nil {
		o.err = err
		return true
	}
	number, m, err := t.takeSingle(e)
	if err != nil {
		o.err = err
		return true
	}
	last := number == 0
	if last {
		var ok bool
		if number, m, ok, err = lastResort(t.c.s.db, &o.owner); err == nil && (!ok || m.notAfter <= t.now.Unix()) {
			err = store.ErrNotFound
		}
	}
	if err == nil {
		o.taken, err = t.packageOf(&o.owner, number, &m, last)
	}
	o.err = err
	return true
}

// takeSingle removes the oldest single-use package that has not expired, and the expired ones before it. Number 0: there is none.
func (t *tx) takeSingle(e *entry[store.Identity, owner]) (number uint64, m meta, err error) {
	it, err := t.c.s.db.NewIter(&lsm.IterOptions{
		LowerBound: packageKey(prefixPackage, &e.key, e.value.first),
		UpperBound: ownerEnd(prefixPackage, &e.key),
	})
	if err != nil {
		return 0, meta{}, readError(err)
	}
	defer func() { err = errors.Join(err, readError(it.Close())) }()
	for it.First(); it.Valid(); it.Next() {
		if len(it.Key()) != 41 {
			return 0, meta{}, fmt.Errorf("%w: KeyPackage key of %d bytes", store.ErrCorrupt, len(it.Key()))
		}
		if m, err = decodeMeta(it.Value()); err != nil {
			return 0, meta{}, err
		}
		n := binary.BigEndian.Uint64(it.Key()[33:])
		t.delete(it.Key())
		e.value.first = n + 1
		e.value.singles -= min(e.value.singles, 1)
		t.c.owners.mark(e)
		if m.notAfter > t.now.Unix() {
			return n, m, nil
		}
		t.delete(packageKey(prefixData, &e.key, n))
	}
	return 0, meta{}, nil
}

// packageOf reads a package's bytes, and removes them unless it is kept.
func (t *tx) packageOf(id *store.Identity, number uint64, m *meta, keep bool) (store.KeyPackage, error) {
	key := packageKey(prefixData, id, number)
	data, err := t.get(key)
	if err != nil {
		return store.KeyPackage{}, err
	}
	if data == nil {
		return store.KeyPackage{}, fmt.Errorf("%w: KeyPackage %d has no bytes", store.ErrCorrupt, number)
	}
	if !keep {
		t.delete(key)
		t.c.s.counters.taken.Add(1)
	}
	return store.KeyPackage{
		Fingerprint: m.fingerprint, InitKey: m.initKey, NotAfter: time.Unix(m.notAfter, 0), LastResort: keep, Data: data,
	}, nil
}

// CountKeyPackages is as in store.Store.
func (s *Store) CountKeyPackages(ctx context.Context, id store.Identity) (status store.PoolStatus, err error) {
	v, err := s.views.acquire()
	if err != nil {
		return store.PoolStatus{}, err
	}
	defer s.views.release(v)
	now := s.opts.Clock().Unix()
	_, m, ok, err := lastResort(v, &id)
	if err != nil {
		return store.PoolStatus{}, err
	}
	status.LastResort = ok && m.notAfter > now
	value, err := get(v, ownerKey(prefixOwner, &id))
	if err != nil || value == nil {
		return status, err
	}
	own, err := decodeOwner(value)
	if err != nil {
		return store.PoolStatus{}, err
	}
	it, err := v.NewIter(&lsm.IterOptions{LowerBound: packageKey(prefixPackage, &id, own.first), UpperBound: ownerEnd(prefixPackage, &id)})
	if err != nil {
		return store.PoolStatus{}, readError(err)
	}
	defer func() { err = errors.Join(err, readError(it.Close())) }()
	for it.First(); it.Valid(); it.Next() {
		m, err := decodeMeta(it.Value())
		if err != nil {
			return store.PoolStatus{}, err
		}
		if m.notAfter > now {
			status.Available++
		}
	}
	return status, ctx.Err()
}
