package hotlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"quicnprotochat/store"
)

// A pool of KeyPackages is values of the tree alone; who changes it holds the lock of its name.
//
//	'P' pool(16)                        -> counters of the pool
//	'K' pool(16) number(8)              -> what is known of a package that is there, its suite too since that is asked for
//	'D' pool(16) number(8)              -> its bytes
//	'F' pool(16) fingerprint(16)        -> nothing: a package that was put, until it expires; not sealed
//	'I' pool(16) init key(16)           -> nothing: an init key that was put, until its package expires; not sealed
//	'E' expiry s(8) pool(16) number(8)  -> names of fingerprint and init key (32), not sealed
const (
	kindPool        = 'P'
	kindPackage     = 'K'
	kindData        = 'D'
	kindFingerprint = 'F'
	kindInitKey     = 'I'
	kindLifetime    = 'E'
)

// pool counts an owner's packages. Numbers begin at 1.
type pool struct {
	next    uint64   // number of the next package
	first   uint64   // no single-use package below this number is there
	singles uint64   // single-use packages that are there, expired ones among them
	lasts   []uint64 // numbers of the last-resort packages, one a suite, ascending
}

// append writes a lone 0 for no last-resort package. Before pools were apart by suite there was at most one.
func (p *pool) append(b []byte) []byte {
	for _, v := range [...]uint64{p.next, p.first, p.singles} {
		b = binary.AppendUvarint(b, v)
	}
	if len(p.lasts) == 0 {
		return binary.AppendUvarint(b, 0)
	}
	for _, v := range p.lasts {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func decodePool(b []byte) (p pool, err error) {
	r := reader{b: b}
	for _, v := range [...]*uint64{&p.next, &p.first, &p.singles} {
		*v = r.uvarint()
	}
	last := r.uvarint()
	for r.err == nil && last != 0 {
		if n := len(p.lasts); n == store.MaxSuites || n > 0 && last <= p.lasts[n-1] {
			r.fail("last-resort packages out of order, or too many")
		}
		p.lasts = append(p.lasts, last)
		if len(r.b) == 0 {
			return p, r.err
		}
		last = r.uvarint()
	}
	if r.err == nil && (len(r.b) != 0 || len(p.lasts) > 0) {
		r.fail("pool with more behind it")
	}
	return p, r.err
}

// packageMeta is what is known of a package beside its bytes.
type packageMeta struct {
	last                 bool
	known                bool   // the record has the suite; those of older versions do not
	suite                uint16 // if known
	notAfter             int64  // s
	fingerprint, initKey [32]byte
}

const packageMetaSize = 1 + 8 + 32 + 32 // and 2 if the suite is known

func (m *packageMeta) append(b []byte) []byte {
	last := byte(0)
	if m.last {
		last = 1
	}
	b = binary.BigEndian.AppendUint64(append(b, last), uint64(m.notAfter))
	b = append(b, m.fingerprint[:]...)
	b = append(b, m.initKey[:]...)
	if m.known {
		b = binary.BigEndian.AppendUint16(b, m.suite)
	}
	return b
}

func decodePackageMeta(b []byte) (m packageMeta, err error) {
	if len(b) != packageMetaSize && len(b) != packageMetaSize+2 || b[0] > 1 {
		return m, fmt.Errorf("%w: KeyPackage record of %d bytes", store.ErrCorrupt, len(b))
	}
	m.last, m.notAfter = b[0] == 1, int64(binary.BigEndian.Uint64(b[1:]))
	copy(m.fingerprint[:], b[9:])
	copy(m.initKey[:], b[41:])
	if m.known = len(b) > packageMetaSize; m.known {
		m.suite = binary.BigEndian.Uint16(b[packageMetaSize:])
	}
	return m, nil
}

func poolKey(kind byte, pool *name) []byte { return append([]byte{kind}, pool[:]...) }

func packageKey(kind byte, pool *name, number uint64) []byte {
	return binary.BigEndian.AppendUint64(poolKey(kind, pool), number)
}

func lifetimeKey(notAfter int64, pool *name, number uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{kindLifetime}, uint64(notAfter))
	return binary.BigEndian.AppendUint64(append(b, pool[:]...), number)
}

const lifetimeKeySize = 1 + 8 + 16 + 8

// poolOp changes a pool. What adds to it needs room.
type poolOp struct {
	changeOp
	room bool
}

func (o *poolOp) needs() (bool, bool) { return true, o.room }

// poolChange is one change of a pool, under its lock.
type poolChange struct {
	s    *Store
	name name
	pool
	c     changes
	added map[uint64]uint16 // suites of the last-resort packages of this change, which the tree does not have yet
}

// change calls f under the lock of a pool, and makes what it changed durable. With an error of f nothing is changed.
func (s *Store) changePool(ctx context.Context, n name, room bool, f func(p *poolChange) error) error {
	lock := s.locks.of(n[:])
	lock.Lock()
	defer lock.Unlock()
	p := &poolChange{s: s, name: n}
	value, err := s.tree.get(poolKey(kindPool, &n))
	if err != nil {
		return err
	}
	if value != nil {
		if p.pool, err = decodePool(value); err != nil {
			return err
		}
	}
	if err := f(p); err != nil || len(p.c) == 0 {
		return err
	}
	p.c.setSealed(s.tree, poolKey(kindPool, &n), p.pool.append(nil))
	return s.do(ctx, &poolOp{changeOp{p.c}, room})
}

// has says whether the tree holds a key.
func (p *poolChange) has(key []byte) (bool, error) {
	value, err := p.s.tree.getRaw(key)
	return value != nil, err
}

// remove removes a package that is there.
func (p *poolChange) remove(number uint64, m *packageMeta) {
	p.c.delete(packageKey(kindPackage, &p.name, number))
	p.c.delete(packageKey(kindData, &p.name, number))
	if m.last {
		p.lasts = slices.DeleteFunc(p.lasts, func(n uint64) bool { return n == number })
	} else {
		p.singles -= min(p.singles, 1)
	}
}

// meta reads what is known of a package; ok is false if it is not there any more.
func (p *poolChange) meta(number uint64) (m packageMeta, ok bool, err error) {
	value, err := p.s.tree.get(packageKey(kindPackage, &p.name, number))
	if err != nil || value == nil {
		return m, false, err
	}
	m, err = decodePackageMeta(value)
	return m, err == nil, err
}

// PutKeyPackages implements store.Store.
func (s *Store) PutKeyPackages(ctx context.Context, owner store.Identity, packages []store.KeyPackage) error {
	if err := store.CheckKeyPackages(packages); err != nil {
		return err
	}
	if !s.use() {
		return store.ErrClosed
	}
	defer s.life.RUnlock()
	added := 0
	err := s.changePool(ctx, s.names.hash('k', owner[:]), true, func(p *poolChange) (err error) {
		added, err = p.put(packages)
		return err
	})
	if err == nil {
		s.counters.put.Add(uint64(added))
	}
	return err
}

func (p *poolChange) put(packages []store.KeyPackage) (added int, err error) {
	fingerprints, initKeys := make(map[name]bool), make(map[name]bool)
	singles := uint64(0)
	for i := range packages {
		k := &packages[i]
		fingerprint, initKey := p.s.names.hash('f', p.name[:], k.Fingerprint[:]), p.s.names.hash('i', p.name[:], k.InitKey[:])
		known, err := p.has(append(poolKey(kindFingerprint, &p.name), fingerprint[:]...))
		if err != nil {
			return 0, err
		}
		if known || fingerprints[fingerprint] {
			continue
		}
		used, err := p.has(append(poolKey(kindInitKey, &p.name), initKey[:]...))
		if err != nil {
			return 0, err
		}
		if used || initKeys[initKey] {
			return 0, fmt.Errorf("%w: KeyPackage %d", store.ErrConflict, i)
		}
		fingerprints[fingerprint], initKeys[initKey] = true, true
		if !k.LastResort {
			singles++
		}
		if err := p.add(k, &fingerprint, &initKey); err != nil {
			return 0, err
		}
		added++
	}
	if limit := uint64(p.s.opts.Quota.KeyPackages); singles > 0 && p.singles > limit {
		return 0, fmt.Errorf("%w: %d KeyPackages held, %d more, %d allowed", store.ErrQuota, p.singles-singles, singles, limit)
	}
	return added, nil
}

func (p *poolChange) add(k *store.KeyPackage, fingerprint, initKey *name) error {
	p.next++
	m := packageMeta{last: k.LastResort, known: true, suite: k.Suite(), notAfter: k.NotAfter.Unix(), fingerprint: k.Fingerprint, initKey: k.InitKey}
	if m.last {
		if err := p.addLast(&m); err != nil {
			return err
		}
	} else {
		p.singles++
	}
	key := packageKey(kindPackage, &p.name, p.next)
	p.c.setSealed(p.s.tree, key, m.append(nil))
	key[0] = kindData
	p.c.setSealed(p.s.tree, key, k.Data)
	p.c.set(append(poolKey(kindFingerprint, &p.name), fingerprint[:]...), nil)
	p.c.set(append(poolKey(kindInitKey, &p.name), initKey[:]...), nil)
	p.c.set(lifetimeKey(m.notAfter, &p.name, p.next), append(fingerprint[:], initKey[:]...))
	return nil
}

// sweepKeyPackages removes expired packages, and what was remembered of those that are gone.
func (s *Store) sweepKeyPackages(ctx context.Context, budget int) (removed int, more bool, err error) {
	type expired struct {
		key, names []byte
	}
	var list []expired
	now := s.opts.Clock().Unix()
	end := binary.BigEndian.AppendUint64([]byte{kindLifetime}, uint64(max(now, 0))+1)
	err = s.tree.scan([]byte{kindLifetime}, end, func(key, value []byte) (bool, error) {
		if len(key) != lifetimeKeySize || len(value) != 32 {
			return false, fmt.Errorf("%w: KeyPackage's lifetime of %d and %d bytes", store.ErrCorrupt, len(key), len(value))
		}
		if len(list) == budget {
			more = true
			return false, nil
		}
		list = append(list, expired{append([]byte(nil), key...), append([]byte(nil), value...)})
		return true, nil
	})
	for _, e := range list {
		if err != nil {
			break
		}
		n := name(e.key[9:25])
		number := binary.BigEndian.Uint64(e.key[25:])
		err = s.changePool(ctx, n, false, func(p *poolChange) error { return p.expire(number, e.key, e.names) })
		if err == nil {
			removed++
		}
	}
	return removed, more, err
}

func (p *poolChange) expire(number uint64, key, names []byte) error {
	m, ok, err := p.meta(number)
	if err != nil {
		return err
	}
	if ok {
		p.remove(number, &m)
	}
	p.c.delete(key)
	p.c.delete(append(poolKey(kindFingerprint, &p.name), names[:16]...))
	p.c.delete(append(poolKey(kindInitKey, &p.name), names[16:]...))
	return nil
}
