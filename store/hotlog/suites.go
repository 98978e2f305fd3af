package hotlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"quicnprotochat/store"
)

// suiteOf is the suite of a package that is there. What an older version stored says it only in its bytes.
func (p *poolChange) suiteOf(number uint64, m *packageMeta) (uint16, error) {
	if m.known {
		return m.suite, nil
	}
	k, err := p.read(number, m)
	return k.Suite(), err
}

func (p *poolChange) read(number uint64, m *packageMeta) (store.KeyPackage, error) {
	data, err := p.s.tree.get(packageKey(kindData, &p.name, number))
	if err == nil && data == nil {
		err = fmt.Errorf("%w: KeyPackage %d has no bytes", store.ErrCorrupt, number)
	}
	return store.KeyPackage{Fingerprint: m.fingerprint, InitKey: m.initKey, NotAfter: time.Unix(m.notAfter, 0), LastResort: m.last, Data: data}, err
}

// addLast makes the package of number p.next the last-resort one of its suite, in place of the one before.
func (p *poolChange) addLast(m *packageMeta) error {
	for _, number := range slices.Clone(p.lasts) {
		suite, ok := p.added[number]
		old := packageMeta{last: true}
		if !ok {
			var err error
			if old, ok, err = p.meta(number); err != nil {
				return err
			}
			if ok {
				if suite, err = p.suiteOf(number, &old); err != nil {
					return err
				}
			}
		}
		if !ok || suite == m.suite {
			p.remove(number, &old)
		}
	}
	if len(p.lasts) == store.MaxSuites {
		return fmt.Errorf("%w: last-resort KeyPackages of %d suites, no more allowed", store.ErrQuota, len(p.lasts))
	}
	if p.added == nil {
		p.added = make(map[uint64]uint16)
	}
	p.added[p.next] = m.suite
	p.lasts = append(p.lasts, p.next)
	return nil
}

// TakeKeyPackage implements store.KeyPackages.
func (s *Store) TakeKeyPackage(ctx context.Context, owner store.Identity) (store.KeyPackage, error) {
	taken, err := s.takePackages(ctx, owner, nil)
	if err != nil {
		return store.KeyPackage{}, err
	}
	if len(taken) == 0 {
		return store.KeyPackage{}, store.ErrNotFound
	}
	return taken[0], ctx.Err()
}

// TakeKeyPackages implements store.SuitePools.
func (s *Store) TakeKeyPackages(ctx context.Context, owner store.Identity, suites []uint16) ([]store.KeyPackage, error) {
	if err := store.CheckSuites(suites); err != nil {
		return nil, err
	}
	taken, err := s.takePackages(ctx, owner, suites)
	if err != nil {
		return nil, err
	}
	return taken, ctx.Err()
}

// takePackages takes one package of each suite, or, of no suite, one of any.
func (s *Store) takePackages(ctx context.Context, owner store.Identity, suites []uint16) (taken []store.KeyPackage, err error) {
	if !s.use() {
		return nil, store.ErrClosed
	}
	defer s.life.RUnlock()
	now, singles := s.opts.Clock().Unix(), 0
	err = s.changePool(ctx, s.names.hash('k', owner[:]), false, func(p *poolChange) error {
		if err := s.fail.Err(); err != nil { // a last-resort package changes nothing
			return err
		}
		found := take{suites: suites, packages: make([]takenPackage, max(len(suites), 1))}
		if err := found.fill(p, now); err != nil {
			return err
		}
		for _, f := range found.packages {
			if f.number == 0 {
				continue
			}
			k, err := p.read(f.number, &f.packageMeta)
			if err != nil {
				return err
			}
			taken = append(taken, k)
			if !k.LastResort {
				singles++
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.counters.taken.Add(uint64(singles))
	return taken, nil
}

type takenPackage struct {
	packageMeta
	number uint64 // 0: none
}

// take is what one call takes out of a pool: packages[i] is of suites[i], or, without suites, packages[0] of any.
type take struct {
	suites   []uint16
	packages []takenPackage
}

func (t *take) fill(p *poolChange, now int64) error {
	if err := t.singles(p, now); err != nil {
		return err
	}
	for _, number := range p.lasts {
		m, ok, err := p.meta(number)
		if err != nil {
			return err
		}
		if !ok || m.notAfter <= now {
			continue
		}
		at, err := t.wants(p, number, &m)
		if err != nil {
			return err
		}
		if at >= 0 {
			t.packages[at] = takenPackage{m, number}
		}
	}
	return nil
}

// wants says where a package belongs, -1 for nowhere.
func (t *take) wants(p *poolChange, number uint64, m *packageMeta) (at int, err error) {
	if t.suites != nil {
		suite, err := p.suiteOf(number, m)
		if err != nil {
			return -1, err
		}
		if at = slices.Index(t.suites, suite); at < 0 {
			return -1, nil
		}
	}
	if t.packages[at].number != 0 {
		return -1, nil
	}
	return at, nil
}

// singles removes the oldest packages that are wanted and have not expired, and the expired ones before them.
func (t *take) singles(p *poolChange, now int64) error {
	kept, missing := false, len(t.packages)
	return p.singlesFrom(p.first, func(number uint64, m packageMeta) (more bool, err error) {
		at := -1
		if m.notAfter > now {
			if at, err = t.wants(p, number, &m); err != nil {
				return false, err
			}
			if at < 0 {
				kept = true
				return true, nil
			}
			t.packages[at] = takenPackage{m, number}
			missing--
		}
		p.remove(number, &m)
		if !kept {
			p.first = number + 1
		}
		return missing > 0, nil
	})
}

// singlesFrom calls f for the single-use packages that are there from a number on, until it returns false.
func (p *poolChange) singlesFrom(first uint64, f func(number uint64, m packageMeta) (more bool, err error)) error {
	return p.s.tree.scan(packageKey(kindPackage, &p.name, first), above(poolKey(kindPackage, &p.name)), func(key, value []byte) (bool, error) {
		if len(key) != 1+16+8 {
			return false, fmt.Errorf("%w: KeyPackage key of %d bytes", store.ErrCorrupt, len(key))
		}
		value, err := p.s.tree.seal.open(key, value)
		if err != nil {
			return false, err
		}
		m, err := decodePackageMeta(value)
		if err != nil || m.last {
			return err == nil, err
		}
		return f(binary.BigEndian.Uint64(key[17:]), m)
	})
}

// CountKeyPackages implements store.KeyPackages.
func (s *Store) CountKeyPackages(ctx context.Context, owner store.Identity) (status store.PoolStatus, err error) {
	err = s.count(ctx, owner, func(_ *poolChange, _ uint64, m *packageMeta) error {
		if m.last {
			status.LastResort = true
		} else {
			status.Available++
		}
		return nil
	})
	if err != nil {
		return store.PoolStatus{}, err
	}
	return status, nil
}

// CountSuites implements store.SuitePools.
func (s *Store) CountSuites(ctx context.Context, owner store.Identity) (list []store.SuiteStatus, err error) {
	err = s.count(ctx, owner, func(p *poolChange, number uint64, m *packageMeta) error {
		suite, err := p.suiteOf(number, m)
		list = store.AddStatus(list, suite, m.last)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// count calls f for the packages that have not expired.
func (s *Store) count(ctx context.Context, owner store.Identity, f func(p *poolChange, number uint64, m *packageMeta) error) error {
	if !s.use() {
		return store.ErrClosed
	}
	defer s.life.RUnlock()
	now := s.opts.Clock().Unix()
	err := s.changePool(ctx, s.names.hash('k', owner[:]), false, func(p *poolChange) error {
		for _, number := range p.lasts {
			m, ok, err := p.meta(number)
			if err == nil && ok && m.notAfter > now {
				err = f(p, number, &m)
			}
			if err != nil {
				return err
			}
		}
		return p.singlesFrom(p.first, func(number uint64, m packageMeta) (bool, error) {
			if m.notAfter <= now {
				return true, nil
			}
			err := f(p, number, &m)
			return err == nil, err
		})
	})
	if err != nil {
		return err
	}
	return ctx.Err()
}
