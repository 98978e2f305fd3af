package hotlog

import (
	"encoding/binary"
	"fmt"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// record looks at one record of the log, or at a part of one.
func (i *inspection) record(pos wal.Pos, b []byte) error {
	item := Item{Log: true, Segment: pos.Segment, Offset: pos.Offset, Kind: "empty", Size: len(b), Value: b}
	if len(b) == 0 {
		item.Err = fmt.Errorf("%w: empty record", store.ErrCorrupt)
		return i.found(&item)
	}
	switch b[0] {
	case recordPad:
		item.Kind = "padding"
	case recordMessage:
		return i.message(item, b)
	case recordAck:
		return i.acknowledgement(item, b)
	case recordTree:
		return i.changes(item, changes(b[1:]))
	case recordForget:
		item.Kind = "forgotten queues"
		_, item.Err = decodeForget(b)
	case recordMany:
		parts := 0
		err := decodeMany(b, func(_ int, part []byte) error {
			parts++
			return i.record(pos, part)
		})
		if err == nil {
			return nil
		}
		item.Kind, item.Err = "many", err
	default:
		item.Kind, item.Err = "unknown", fmt.Errorf("%w: record of kind %d", store.ErrCorrupt, b[0])
	}
	return i.found(&item)
}

func (i *inspection) message(item Item, b []byte) error {
	h, payload, err := decodeMessage(b)
	item.Kind, item.Err = "message", err
	if err != nil {
		return i.found(&item)
	}
	item.Queue, item.Seq, item.Acked, item.At, item.Expires = &h.queue, h.seq, h.acked, h.accepted, h.expires
	item.Size, item.Value = len(payload), payload
	n := i.s.names.stream(&h.queue)
	if last, known := i.last[n]; known && h.seq > last+1 {
		item.Err = fmt.Errorf("%w: messages %d to %d before it are missing", store.ErrCorrupt, last+1, h.seq-1)
	}
	i.last[n] = max(i.last[n], h.seq)
	return i.found(&item)
}

func (i *inspection) acknowledgement(item Item, b []byte) error {
	item.Kind = "acknowledgement"
	var failed error
	err := decodeAck(b, func(at int64, c *cursor) {
		one := item
		one.Queue, one.Seq, one.Acked, one.At = &c.queue, c.last, c.acked, at
		n := i.s.names.stream(&c.queue)
		if last, known := i.last[n]; known && c.last > last {
			one.Err = fmt.Errorf("%w: messages %d to %d before it are missing", store.ErrCorrupt, last+1, c.last)
		}
		i.last[n] = max(i.last[n], c.last)
		if failed == nil {
			failed = i.found(&one)
		}
	})
	if err != nil && failed == nil {
		item.Err = err
		return i.found(&item)
	}
	return failed
}

// changes looks at what a record says that the tree is to hold.
func (i *inspection) changes(item Item, c changes) error {
	var failed error
	err := c.each(func(key, value []byte) error {
		one := item
		one.Key, one.Kind, one.Size, one.Value = key, "change: removed", len(key), nil
		if value != nil {
			v := i.value(key, value)
			one.Kind, one.Queue, one.Seq, one.Acked, one.Size, one.At, one.Expires, one.Value, one.Err =
				"change: "+v.Kind, v.Queue, v.Seq, v.Acked, v.Size, v.At, v.Expires, v.Value, v.Err
		}
		failed = i.found(&one)
		return failed
	})
	if err != nil && failed == nil {
		item.Kind, item.Err = "change", err
		return i.found(&item)
	}
	return failed
}

// kinds are the values of the tree. One with length has a key of that length, and one without sealed stands as it is.
var kinds = map[byte]struct {
	name   string
	length int // 0: any
	plain  bool
	look   func(item *Item, plain []byte) error
}{
	kindFirst:       {"where the log begins", 1, true, lookFirst},
	kindMeta:        {"queue", 33, false, lookQueue},
	kindOwner:       {"floor of an owner", 17, false, func(_ *Item, b []byte) error { _, err := decodeFloor(b); return err }},
	kindMessage:     {"message", messageKeySize, false, lookCold},
	kindID:          {"message id", idKeySize, true, lookID},
	kindExpiry:      {"note of what expires", expiryKeySize, false, lookExpiry},
	kindPool:        {"pool of KeyPackages", 17, false, func(_ *Item, b []byte) error { _, err := decodePool(b); return err }},
	kindPackage:     {"KeyPackage", 25, false, lookPackage},
	kindData:        {"bytes of a KeyPackage", 25, false, func(*Item, []byte) error { return nil }},
	kindFingerprint: {"fingerprint", 33, true, lookEmpty},
	kindInitKey:     {"init key", 33, true, lookEmpty},
	kindLifetime:    {"lifetime of a KeyPackage", lifetimeKeySize, true, lookLength(32)},
	kindRecord:      {"record", 0, false, func(_ *Item, b []byte) error { _, _, err := decodeRecord(b); return err }},
	kindGroup:       {"group", 17, false, lookGroup},
	kindInfo:        {"GroupInfo", 17, false, lookInfo},
	kindChange:      {"last commit", 17, false, func(_ *Item, b []byte) error { _, err := decodeChange(b); return err }},
	kindReader:      {"member", 33, false, func(_ *Item, b []byte) error { _, err := decodeMember(b); return err }},
	kindBlob:        {"blob", 17, false, lookBlob},
	kindChunk:       {"chunk of a blob", 21, false, func(*Item, []byte) error { return nil }},
	kindUsed:        {"blobs of an owner", 17, false, func(_ *Item, b []byte) error { _, err := decodeUsed(b); return err }},
	kindBlobEnd:     {"end of a blob", blobEndKeySize, true, lookEmpty},
}

// value looks at one value of the tree.
func (i *inspection) value(key, value []byte) Item {
	item := Item{Key: key, Kind: "unknown", Size: len(value), Value: value}
	if len(key) == 0 {
		item.Err = fmt.Errorf("%w: no key", store.ErrCorrupt)
		return item
	}
	k, ok := kinds[key[0]]
	if !ok || k.length != 0 && len(key) != k.length {
		item.Err = fmt.Errorf("%w: no such key", store.ErrCorrupt)
		return item
	}
	item.Kind = k.name
	if !k.plain {
		plain, err := i.s.tree.seal.open(key, value)
		if err != nil {
			item.Err = err
			return item
		}
		item.Value = plain
	}
	item.Size = len(item.Value)
	item.Err = k.look(&item, item.Value)
	return item
}

func lookLength(n int) func(*Item, []byte) error {
	return func(_ *Item, b []byte) error {
		if len(b) != n {
			return fmt.Errorf("%w: %d bytes", store.ErrCorrupt, len(b))
		}
		return nil
	}
}

func lookEmpty(_ *Item, b []byte) error { return lookLength(0)(nil, b) }

func lookFirst(item *Item, b []byte) error {
	if err := lookLength(firstSize)(nil, b); err != nil {
		return err
	}
	item.Seq = binary.BigEndian.Uint64(b)
	return nil
}

func lookQueue(item *Item, b []byte) error {
	if len(b) > 0 && b[0]&flagShared != 0 {
		if group, _, err := decodeMembership(b); err == nil {
			item.Kind, item.Queue = "membership", &store.QueueID{Group: group, Shared: true}
			return nil
		}
	}
	c, touched, err := decodeMeta(b)
	if err == nil {
		item.Queue, item.Seq, item.Acked, item.At = &c.queue, c.last, c.acked, touched
	}
	return err
}

func lookCold(item *Item, b []byte) error {
	m, err := decodeCold(b)
	item.Seq = binary.BigEndian.Uint64(item.Key[messageKeySize-8:])
	item.At, item.Expires, item.Size, item.Value = m.accepted, m.expires, len(m.payload), m.payload
	return err
}

func lookID(item *Item, b []byte) error {
	if err := lookLength(8)(nil, b); err != nil {
		return err
	}
	item.Seq = binary.BigEndian.Uint64(b)
	return nil
}

func lookExpiry(item *Item, b []byte) error {
	r := reader{b: b}
	q := r.queue()
	if r.err == nil {
		item.Queue = &q
	}
	return r.err
}

func lookPackage(item *Item, b []byte) error {
	m, err := decodePackageMeta(b)
	item.Expires = m.notAfter * 1000
	return err
}

func lookGroup(item *Item, b []byte) error {
	g, err := decodeGroup(b)
	if err == nil {
		item.Queue, item.Seq = &store.QueueID{Group: g.id, Shared: true}, g.epoch
	}
	return err
}

func lookInfo(item *Item, b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("%w: GroupInfo without an epoch", store.ErrCorrupt)
	}
	item.Seq, item.Value = binary.BigEndian.Uint64(b), b[8:]
	return nil
}

func lookBlob(item *Item, b []byte) error {
	m, err := decodeBlobMeta(b)
	if err == nil {
		item.Size, item.At, item.Expires = int(m.size), m.touched, m.end()
	}
	return err
}
