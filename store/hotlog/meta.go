package hotlog

import (
	"encoding/binary"
	"fmt"

	"quicnprotochat/store"
)

// meta is what the tree says of a stream of which nothing is in the log: a cursor without cold, and touched(6).
func (st *stream) appendMeta(b []byte) []byte {
	c := st.cursor()
	return appendTime(c.append(b), st.touched)
}

// cursor is the state of a stream, with nothing to remove.
func (st *stream) cursor() cursor {
	return cursor{queue: st.id, acked: st.acked, last: st.last, ackedCum: st.ackedCum, lastCum: st.lastCum}
}

func decodeMeta(b []byte) (c cursor, touched int64, err error) {
	r := reader{b: b}
	c = r.cursor()
	touched = r.time()
	if c.cold != 0 || len(r.b) != 0 {
		r.fail("state of a queue with more behind it")
	}
	return c, touched, r.err
}

// stored is a stream as the tree describes it.
func (o *object) stored(c *cursor, n name, touched int64) *stream {
	return &stream{
		object: o, id: c.queue, name: n, touched: touched,
		acked: c.acked, last: c.last, ackedCum: c.ackedCum, lastCum: c.lastCum, cold: c.last,
	}
}

// The floor of an owner: 8 bytes.
func appendFloor(b []byte, floor uint64) []byte { return binary.BigEndian.AppendUint64(b, floor) }

func decodeFloor(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: floor of %d bytes", store.ErrCorrupt, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

// pin returns the object of a key, loaded. Give it to unpin when what is done with it has been published.
func (s *Store) pin(key objectKey) (*object, error) {
	o := s.objects.pin(key)
	if o.loaded.Load() {
		return o, nil
	}
	if err := s.load(o); err != nil {
		o.unpin()
		return nil, err
	}
	return o, nil
}

// load adds what the tree knows of o to what the log said.
func (s *Store) load(o *object) error {
	o.loading.Lock()
	defer o.loading.Unlock()
	if o.loaded.Load() {
		return nil
	}
	found, groups, err := s.scanObject(o)
	if err != nil {
		return err
	}
	floor := uint64(0)
	if text, err := s.tree.get(appendOwnerKey(nil, &o.name)); err != nil {
		return err
	} else if text != nil {
		if floor, err = decodeFloor(text); err != nil {
			return err
		}
	}
	var g *group
	if o.key.group {
		if g, err = s.loadGroup(o); err != nil {
			return err
		}
	}
	for group, member := range groups {
		o.join(group, member)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, st := range found {
		if o.find(st.id.Group) == nil {
			o.add(st)
		}
	}
	if g != nil {
		if g.log = o.find(g.id); g.log == nil {
			return fmt.Errorf("%w: a group without a log", store.ErrCorrupt)
		}
		o.group = g
	}
	o.floor = max(o.floor, floor)
	o.loaded.Store(true)
	return nil
}

// scanObject reads what the tree has of an owner's queues, and of which groups it is a member or was one; of a group, its log.
func (s *Store) scanObject(o *object) (found []*stream, groups map[string]bool, err error) {
	prefix := append([]byte{kindMeta}, o.name[:]...)
	err = s.tree.scan(prefix, above(prefix), func(key, value []byte) (bool, error) {
		plain, err := s.tree.seal.open(key, value)
		if err != nil {
			return false, err
		}
		if !o.key.group && len(plain) > 0 && plain[0]&flagShared != 0 {
			group, member, err := decodeMembership(plain)
			if groups == nil {
				groups = make(map[string]bool)
			}
			groups[group] = member
			return err == nil, err
		}
		c, touched, err := decodeMeta(plain)
		if err == nil && keyOf(&c.queue) != o.key {
			err = fmt.Errorf("%w: a queue under another's key", store.ErrCorrupt)
		}
		if err != nil {
			return false, err
		}
		found = append(found, o.stored(&c, name(key[17:33]), touched))
		return true, nil
	})
	return found, groups, err
}
