package as

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"quicnprotochat/names"
	"quicnprotochat/store"
)

// headRecord says how far the log was applied: number(8) hash(32) time(8).
type headRecord struct {
	number  uint64
	hash    [32]byte
	time    uint64 // of the last entry, ms since 1970
	version uint64 // of the record
}

func (h *headRecord) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.number)
	b = append(b, h.hash[:]...)
	return binary.BigEndian.AppendUint64(b, h.time)
}

func decodeHead(r store.Record) (h headRecord, err error) {
	if len(r.Value) != 8+32+8 {
		return h, corrupt(r)
	}
	h.number, h.time = binary.BigEndian.Uint64(r.Value), binary.BigEndian.Uint64(r.Value[40:])
	copy(h.hash[:], r.Value[8:])
	h.version = r.Version
	return h, nil
}

// nameRecord is the state of a name: entry(8) version(8) time(8) revoked(1) key(32).
type nameRecord struct {
	names.State
	time    uint64 // of the last change, ms since 1970
	version uint64 // of the record; 0: there is none
}

func (n *nameRecord) append(b []byte) []byte {
	for _, v := range [...]uint64{n.Entry, n.Version, n.time} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	revoked := byte(0)
	if n.Revoked {
		revoked = 1
	}
	return append(append(b, revoked), n.Key[:]...)
}

// name reads a name's record.
func (b *namebook) name(ctx context.Context, name string) (n nameRecord, err error) {
	r, err := b.store.GetRecord(ctx, prefixName+name)
	if errors.Is(err, store.ErrNotFound) {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	if len(r.Value) != 3*8+1+32 || r.Value[24] > 1 {
		return n, corrupt(r)
	}
	for i, v := range [...]*uint64{&n.Entry, &n.Version, &n.time} {
		*v = binary.BigEndian.Uint64(r.Value[8*i:])
	}
	n.Revoked = r.Value[24] == 1
	copy(n.Key[:], r.Value[25:])
	n.version = r.Version
	return n, nil
}

// keyRecord says which client a key is of, by the client's first key: entry(8) claimed(4) client(32).
type keyRecord struct {
	entry   uint64 // that changed it last
	claimed uint32 // names that the client ever claimed; only in the record of its first key
	client  names.Key
	version uint64 // of the record; 0: there is none
}

func (k *keyRecord) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, k.entry)
	b = binary.BigEndian.AppendUint32(b, k.claimed)
	return append(b, k.client[:]...)
}

// key reads a key's record. A key that the log does not name is a client of its own.
func (b *namebook) key(ctx context.Context, key *names.Key) (k keyRecord, err error) {
	r, err := b.store.GetRecord(ctx, clientKey(key))
	if errors.Is(err, store.ErrNotFound) {
		return keyRecord{client: *key}, nil
	}
	if err != nil {
		return k, err
	}
	if len(r.Value) != 8+4+32 {
		return k, corrupt(r)
	}
	k.entry, k.claimed = binary.BigEndian.Uint64(r.Value), binary.BigEndian.Uint32(r.Value[8:])
	copy(k.client[:], r.Value[12:])
	k.version = r.Version
	return k, nil
}

// entry reads an entry of the log.
func (b *namebook) entry(ctx context.Context, number uint64) ([]byte, error) {
	r, err := b.store.GetRecord(ctx, entryKey(number))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: entry %d of the log of names is not there", store.ErrCorrupt, number)
	}
	return r.Value, err
}

func corrupt(r store.Record) error {
	return fmt.Errorf("%w: record %q of %d bytes", store.ErrCorrupt, r.Key, len(r.Value))
}
