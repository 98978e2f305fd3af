package hotlog

import (
	"context"
	"encoding/binary"
	"fmt"

	"quicnprotochat/store"
)

// kindRecord is a small record in the tree: 'R' key -> version(8), value. The keys stand there as they are, since they are listed in order.
const kindRecord = 'R'

var _ store.Records = (*Store)(nil)

func recordKey(key string) []byte { return append([]byte{kindRecord}, key...) }

func decodeRecord(b []byte) (version uint64, value []byte, err error) {
	if len(b) <= 8 || len(b) > 8+store.MaxValue || binary.BigEndian.Uint64(b) == 0 {
		return 0, nil, fmt.Errorf("%w: record of %d bytes", store.ErrCorrupt, len(b))
	}
	return binary.BigEndian.Uint64(b), b[8:], nil
}

// putOp sets a record. Its version is where the log says so: no place of the log is used twice, and none is 0.
type putOp struct {
	key, value []byte
	version    uint64
}

func (o *putOp) needs() (bool, bool) { return true, true }

func (o *putOp) size() (int, int) {
	return 1 + 1 + 2*binary.MaxVarintLen32 + len(o.key) + o.length(), 1
}

// length is the size of the sealed value.
func (o *putOp) length() int { return 8 + len(o.value) + sealExtra }

func (o *putOp) decide(b *batch) {
	seal := b.s.tree.seal
	n := seal.size(8 + len(o.value))
	r, pos := b.record(1 + 1 + uvarintSize(uint64(len(o.key))) + len(o.key) + uvarintSize(uint64(n)) + n)
	o.version = pos.Segment<<32 | uint64(pos.Offset)
	plain := append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(o.value)), o.version), o.value...)
	c := changes(append(r[:0], recordTree)[1:])
	c.setSealed(b.s.tree, o.key, plain)
	b.change(c)
}

// GetRecord implements store.Records.
func (s *Store) GetRecord(ctx context.Context, key string) (store.Record, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Record{}, err
	}
	if !s.use() {
		return store.Record{}, store.ErrClosed
	}
	defer s.life.RUnlock()
	b, err := s.tree.get(recordKey(key))
	if err == nil && b == nil {
		err = fmt.Errorf("%w: record", store.ErrNotFound)
	}
	if err != nil {
		return store.Record{}, err
	}
	version, value, err := decodeRecord(b)
	if err != nil {
		return store.Record{}, err
	}
	return store.Record{Key: key, Value: value, Version: version}, ctx.Err()
}

// PutRecord implements store.Records. Versions are not in order.
func (s *Store) PutRecord(ctx context.Context, key string, value []byte, version uint64) (uint64, error) {
	if err := store.CheckKey(key); err != nil {
		return 0, err
	}
	if len(value) > store.MaxValue {
		return 0, fmt.Errorf("%w: value of %d bytes, %d allowed", store.ErrTooLarge, len(value), store.MaxValue)
	}
	if !s.use() {
		return 0, store.ErrClosed
	}
	defer s.life.RUnlock()
	k := recordKey(key)
	lock := s.locks.of(k)
	lock.Lock()
	defer lock.Unlock()
	b, err := s.tree.get(k)
	if err != nil {
		return 0, err
	}
	current := uint64(0)
	if b != nil {
		if current, _, err = decodeRecord(b); err != nil {
			return 0, err
		}
	}
	if current != version {
		return 0, fmt.Errorf("%w: version %d", store.ErrChanged, current)
	}
	if len(value) == 0 {
		if b == nil {
			return 0, s.fail.Err()
		}
		var c changes
		c.delete(k)
		return 0, s.do(ctx, &changeOp{c})
	}
	o := &putOp{key: k, value: value}
	if err := s.do(ctx, o); err != nil {
		return 0, err
	}
	return o.version, nil
}

// ListRecords implements store.Records.
func (s *Store) ListRecords(ctx context.Context, prefix, from string, max int) (records []store.Record, more bool, err error) {
	if max < 1 || len(prefix) > store.MaxKey || len(from) > store.MaxKey+1 {
		return nil, false, fmt.Errorf("%w: at most %d records, prefix of %d bytes, from %d bytes", store.ErrInvalid, max, len(prefix), len(from))
	}
	if !s.use() {
		return nil, false, store.ErrClosed
	}
	defer s.life.RUnlock()
	first, end := recordKey(prefix), above(recordKey(prefix))
	if from > prefix {
		first = recordKey(from)
	}
	if string(first) >= string(end) {
		return nil, false, ctx.Err()
	}
	err = s.tree.scan(first, end, func(key, value []byte) (bool, error) {
		if len(records) == max {
			more = true
			return false, nil
		}
		plain, err := s.tree.seal.open(key, value)
		if err != nil {
			return false, err
		}
		version, value, err := decodeRecord(plain)
		if err != nil {
			return false, err
		}
		records = append(records, store.Record{Key: string(key[1:]), Value: append([]byte(nil), value...), Version: version})
		return true, ctx.Err()
	})
	if err != nil {
		return nil, false, err
	}
	return records, more, nil
}
