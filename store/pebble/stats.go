package pebble

import (
	"sync/atomic"

	"quicnprotochat/store"
)

type counters struct {
	stored, duplicates, quota, acknowledged, put, taken, commits, syncs atomic.Uint64
}

// Stats is as in store.Store. DiskBytes is 0 after Close.
func (s *Store) Stats() store.Stats {
	c := &s.counters
	stats := store.Stats{
		Stored:           c.stored.Load(),
		Duplicates:       c.duplicates.Load(),
		QuotaExceeded:    c.quota.Load(),
		Acknowledged:     c.acknowledged.Load(),
		KeyPackagesPut:   c.put.Load(),
		KeyPackagesTaken: c.taken.Load(),
		Commits:          c.commits.Load(),
		Syncs:            c.syncs.Load(),
		Watchers:         s.hub.Len(),
	}
	if s.fail.Err() != nil {
		return stats // pebble may hold its locks for ever
	}
	if v, err := s.views.acquire(); err == nil {
		stats.DiskBytes = s.db.Metrics().DiskSpaceUsage()
		s.views.release(v)
	}
	return stats
}
