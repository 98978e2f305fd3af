package hotlog

import (
	"sync/atomic"

	"quicnprotochat/store"
)

type counters struct {
	stored, duplicates, quota, acknowledged, put, taken, commits, syncs, swept atomic.Uint64
}

// Stats implements store.Store. DiskBytes is 0 after Close.
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
		Swept:            c.swept.Load(),
		Moved:            s.retirer.messages.Load(),
		Corrupt:          s.corrupt.Load() + s.ids.runs.Stats().Damaged,
		Watchers:         int(s.watchers.Load()),
	}
	if s.fail.Err() != nil || !s.life.TryRLock() {
		return stats // pebble may hold its locks for ever; or the store is being closed
	}
	defer s.life.RUnlock()
	if !s.closed {
		stats.DiskBytes = s.tree.db.Metrics().DiskSpaceUsage() + (s.log.Segment()-s.log.Oldest()+1)*uint64(s.opts.SegmentBytes) + s.ids.runs.Stats().Bytes
	}
	return stats
}

// Internals are figures about how the engine works, since it was opened and now.
type Internals struct {
	Segments        int    // of the log
	Retired         uint64 // segments that were retired
	Moved           uint64 // messages that went to the tree by that
	Objects         int    // identities and groups in memory
	Filters         int    // bytes of memory for filters of message ids
	FiltersComplete bool   // they hold what was there at the start, too
	Runs            int    // of message ids
	RunEntries      uint64 // ids in them
	RunMerged       uint64 // ids that were written again by merging
	Corrupt         uint64 // records of the log that could not be read at the start
}

// Internals returns figures about how the engine works; all zero after Close.
func (s *Store) Internals() Internals {
	if !s.use() {
		return Internals{}
	}
	defer s.life.RUnlock()
	runs := s.ids.runs.Stats()
	return Internals{
		Segments:        int(s.log.Segment() - s.log.Oldest() + 1),
		Retired:         s.retirer.segments.Load(),
		Moved:           s.retirer.messages.Load(),
		Objects:         s.objects.len(),
		Filters:         runs.Filters,
		FiltersComplete: runs.Known,
		Runs:            runs.Runs,
		RunEntries:      runs.Entries,
		RunMerged:       runs.Merged,
		Corrupt:         s.corrupt.Load(),
	}
}
