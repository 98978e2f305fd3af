package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quicnprotochat/store"
)

// pool is one owner's KeyPackages. known and initKeys outlive the hand-out, until the package's expiry.
type pool struct {
	singles  []store.KeyPackage // oldest first
	lasts    []store.KeyPackage // oldest first, one a suite
	known    map[[32]byte]time.Time
	initKeys map[[32]byte]time.Time
}

func expired(notAfter, now time.Time) bool { return notAfter.Unix() <= now.Unix() }

// PutKeyPackages implements store.KeyPackages.
func (s *Store) PutKeyPackages(ctx context.Context, id store.Identity, packages []store.KeyPackage) error {
	if err := store.CheckKeyPackages(packages); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	p := &s.owner(id).pool
	add, err := p.check(packages, s.opts.Quota.KeyPackages)
	if err != nil {
		return err
	}
	if p.known == nil {
		p.known = make(map[[32]byte]time.Time)
		p.initKeys = make(map[[32]byte]time.Time)
	}
	for _, k := range add {
		k.Data = slices.Clone(k.Data)
		p.known[k.Fingerprint] = k.NotAfter
		p.initKeys[k.InitKey] = k.NotAfter
		if k.LastResort {
			p.lasts = append(slices.DeleteFunc(p.lasts, func(old store.KeyPackage) bool { return old.Suite() == k.Suite() }), k)
		} else {
			p.singles = append(p.singles, k)
		}
	}
	s.stats.KeyPackagesPut += uint64(len(add))
	return nil
}

func (p *pool) check(packages []store.KeyPackage, limit int) (add []store.KeyPackage, err error) {
	fingerprints := make(map[[32]byte]bool)
	initKeys := make(map[[32]byte]bool)
	singles := len(p.singles)
	var lasts []uint16
	for i := range p.lasts {
		lasts = append(lasts, p.lasts[i].Suite())
	}
	for i, k := range packages {
		if _, ok := p.known[k.Fingerprint]; ok || fingerprints[k.Fingerprint] {
			continue
		}
		if _, ok := p.initKeys[k.InitKey]; ok || initKeys[k.InitKey] {
			return nil, fmt.Errorf("%w: KeyPackage %d", store.ErrConflict, i)
		}
		fingerprints[k.Fingerprint], initKeys[k.InitKey] = true, true
		switch {
		case !k.LastResort:
			singles++
		case !slices.Contains(lasts, k.Suite()):
			lasts = append(lasts, k.Suite())
		}
		add = append(add, k)
	}
	if len(lasts) > store.MaxSuites {
		return nil, fmt.Errorf("%w: last-resort KeyPackages of %d suites, %d allowed", store.ErrQuota, len(lasts), store.MaxSuites)
	}
	if singles > limit {
		return nil, fmt.Errorf("%w: %d KeyPackages, %d allowed", store.ErrQuota, singles, limit)
	}
	return add, nil
}

// TakeKeyPackage implements store.KeyPackages.
func (s *Store) TakeKeyPackage(ctx context.Context, id store.Identity) (store.KeyPackage, error) {
	if err := s.enter(ctx); err != nil {
		return store.KeyPackage{}, err
	}
	defer s.mu.Unlock()
	k, ok := s.owner(id).pool.take(s.opts.Clock(), func(*store.KeyPackage) bool { return true })
	if !ok {
		return store.KeyPackage{}, store.ErrNotFound
	}
	if !k.LastResort {
		s.stats.KeyPackagesTaken++
	}
	return k, nil
}

// TakeKeyPackages implements store.SuitePools.
func (s *Store) TakeKeyPackages(ctx context.Context, id store.Identity, suites []uint16) (taken []store.KeyPackage, err error) {
	if err := store.CheckSuites(suites); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	for _, suite := range suites {
		k, ok := s.owner(id).pool.take(s.opts.Clock(), func(k *store.KeyPackage) bool { return k.Suite() == suite })
		if !ok {
			continue
		}
		if !k.LastResort {
			s.stats.KeyPackagesTaken++
		}
		taken = append(taken, k)
	}
	return taken, nil
}

// take finds the oldest package that is wanted, and removes it but for a last-resort one. The expired ones before it go too.
func (p *pool) take(now time.Time, want func(k *store.KeyPackage) bool) (store.KeyPackage, bool) {
	for i := 0; i < len(p.singles); {
		k := p.singles[i]
		gone := expired(k.NotAfter, now)
		if !gone && !want(&k) {
			i++
			continue
		}
		p.singles = slices.Delete(p.singles, i, i+1)
		if !gone {
			return k, true
		}
	}
	for i := range p.lasts {
		if k := p.lasts[i]; want(&k) && !expired(k.NotAfter, now) {
			k.Data = slices.Clone(k.Data)
			return k, true
		}
	}
	return store.KeyPackage{}, false
}

// CountKeyPackages implements store.KeyPackages.
func (s *Store) CountKeyPackages(ctx context.Context, id store.Identity) (status store.PoolStatus, err error) {
	suites, err := s.CountSuites(ctx, id)
	for _, suite := range suites {
		status.Available += suite.Available
		status.LastResort = status.LastResort || suite.LastResort
	}
	return status, err
}

// CountSuites implements store.SuitePools.
func (s *Store) CountSuites(ctx context.Context, id store.Identity) (list []store.SuiteStatus, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	p := &s.owner(id).pool
	now := s.opts.Clock()
	for _, packages := range [][]store.KeyPackage{p.singles, p.lasts} {
		for i := range packages {
			if k := &packages[i]; !expired(k.NotAfter, now) {
				list = store.AddStatus(list, k.Suite(), k.LastResort)
			}
		}
	}
	return list, nil
}

// dropExpired removes the packages and init keys whose time is over.
func (p *pool) dropExpired(now time.Time) {
	for k, notAfter := range p.initKeys {
		if expired(notAfter, now) {
			delete(p.initKeys, k)
		}
	}
	gone := func(k store.KeyPackage) bool { return expired(k.NotAfter, now) }
	p.singles, p.lasts = slices.DeleteFunc(p.singles, gone), slices.DeleteFunc(p.lasts, gone)
}
