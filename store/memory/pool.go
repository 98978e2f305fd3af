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
	singles    []store.KeyPackage // oldest first
	lastResort *store.KeyPackage
	known      map[[32]byte]time.Time
	initKeys   map[[32]byte]time.Time
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
			p.lastResort = &k
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
	for i, k := range packages {
		if _, ok := p.known[k.Fingerprint]; ok || fingerprints[k.Fingerprint] {
			continue
		}
		if _, ok := p.initKeys[k.InitKey]; ok || initKeys[k.InitKey] {
			return nil, fmt.Errorf("%w: KeyPackage %d", store.ErrConflict, i)
		}
		fingerprints[k.Fingerprint], initKeys[k.InitKey] = true, true
		if !k.LastResort {
			singles++
		}
		add = append(add, k)
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
	p := &s.owner(id).pool
	now := s.opts.Clock()
	for len(p.singles) > 0 {
		k := p.singles[0]
		p.singles = slices.Delete(p.singles, 0, 1)
		if !expired(k.NotAfter, now) {
			s.stats.KeyPackagesTaken++
			return k, nil
		}
	}
	if p.lastResort == nil || expired(p.lastResort.NotAfter, now) {
		return store.KeyPackage{}, store.ErrNotFound
	}
	k := *p.lastResort
	k.Data = slices.Clone(k.Data)
	return k, nil
}

// CountKeyPackages implements store.KeyPackages.
func (s *Store) CountKeyPackages(ctx context.Context, id store.Identity) (store.PoolStatus, error) {
	if err := s.enter(ctx); err != nil {
		return store.PoolStatus{}, err
	}
	defer s.mu.Unlock()
	p := &s.owner(id).pool
	now := s.opts.Clock()
	status := store.PoolStatus{LastResort: p.lastResort != nil && !expired(p.lastResort.NotAfter, now)}
	for _, k := range p.singles {
		if !expired(k.NotAfter, now) {
			status.Available++
		}
	}
	return status, nil
}

// dropExpired removes the packages and init keys whose time is over.
func (p *pool) dropExpired(now time.Time) {
	for k, notAfter := range p.initKeys {
		if expired(notAfter, now) {
			delete(p.initKeys, k)
		}
	}
	p.singles = slices.DeleteFunc(p.singles, func(k store.KeyPackage) bool { return expired(k.NotAfter, now) })
	if p.lastResort != nil && expired(p.lastResort.NotAfter, now) {
		p.lastResort = nil
	}
}
