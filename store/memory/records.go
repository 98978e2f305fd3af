package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"quicnprotochat/store"
)

// GetRecord implements store.Records.
func (s *Store) GetRecord(ctx context.Context, key string) (store.Record, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Record{}, err
	}
	if err := s.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer s.mu.Unlock()
	r, ok := s.records[key]
	if !ok {
		return store.Record{}, fmt.Errorf("%w: record", store.ErrNotFound)
	}
	r.Value = slices.Clone(r.Value)
	return r, nil
}

// PutRecord implements store.Records.
func (s *Store) PutRecord(ctx context.Context, key string, value []byte, version uint64) (uint64, error) {
	if err := store.CheckKey(key); err != nil {
		return 0, err
	}
	if len(value) > store.MaxValue {
		return 0, fmt.Errorf("%w: value of %d bytes, %d allowed", store.ErrTooLarge, len(value), store.MaxValue)
	}
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	if current := s.records[key].Version; current != version {
		return 0, fmt.Errorf("%w: version %d", store.ErrChanged, current)
	}
	if len(value) == 0 {
		delete(s.records, key)
		return 0, nil
	}
	s.version++
	s.records[key] = store.Record{Key: key, Value: slices.Clone(value), Version: s.version}
	return s.version, nil
}

// ListRecords implements store.Records.
func (s *Store) ListRecords(ctx context.Context, prefix, from string, max int) (records []store.Record, more bool, err error) {
	if max < 1 || len(prefix) > store.MaxKey || len(from) > store.MaxKey+1 {
		return nil, false, fmt.Errorf("%w: at most %d records, prefix of %d bytes, from %d bytes", store.ErrInvalid, max, len(prefix), len(from))
	}
	if err := s.enter(ctx); err != nil {
		return nil, false, err
	}
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.records)) {
		if key < from || !strings.HasPrefix(key, prefix) {
			continue
		}
		if len(records) == max {
			return records, true, nil
		}
		r := s.records[key]
		r.Value = slices.Clone(r.Value)
		records = append(records, r)
	}
	return records, false, nil
}
