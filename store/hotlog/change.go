package hotlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	lsm "github.com/cockroachdb/pebble/v2"

	"quicnprotochat/store"
)

// appendChange encodes a change: seq, epoch, sender(32), and both lists, each with its length before it.
func appendChange(b []byte, c *store.Change) []byte {
	b = binary.AppendUvarint(b, c.Seq)
	b = binary.AppendUvarint(b, c.Epoch)
	b = append(b, c.Sender[:]...)
	for _, list := range [][]store.Identity{c.Added, c.Removed} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for i := range list {
			b = append(b, list[i][:]...)
		}
	}
	return b
}

// changeSize bounds what appendChange makes of the change of c.
func changeSize(c *store.Commit) int {
	return 4*binary.MaxVarintLen64 + (1+len(c.Added)+len(c.Removed))*len(store.Identity{})
}

func decodeChange(b []byte) (c store.Change, err error) {
	r := reader{b: b}
	c.Seq, c.Epoch = r.uvarint(), r.uvarint()
	copy(c.Sender[:], r.bytes(len(c.Sender)))
	for _, list := range []*[]store.Identity{&c.Added, &c.Removed} {
		for range r.length(store.MaxChange) {
			var id store.Identity
			copy(id[:], r.bytes(len(id)))
			if r.err != nil {
				return store.Change{}, r.err
			}
			*list = append(*list, id)
		}
	}
	if r.err == nil && (len(r.b) != 0 || c.Seq == 0) {
		r.fail("change that cannot be")
	}
	if r.err != nil {
		return store.Change{}, r.err
	}
	return c, nil
}

// loadChange reads which commit was the last.
func (s *Store) loadChange(o *object, g *group) error {
	text, err := s.tree.get(groupKey(kindChange, &o.name))
	if err != nil || text == nil {
		return err
	}
	c, err := decodeChange(text)
	if err == nil && c.Epoch == g.epoch { // else a commit came after it from a program of before, that knew nothing of changes
		g.changed = c.Seq
	}
	return err
}

// saveChange says in c what the tree is to hold of a group's last commit.
func (s *Store) saveChange(c *changes, o *object, change *store.Change) {
	c.setSealed(s.tree, groupKey(kindChange, &o.name), appendChange(nil, change))
}

// LastCommit implements store.Groups.
func (s *Store) LastCommit(ctx context.Context, id string) (c store.Change, err error) {
	if err := store.CheckGroupID(id); err != nil {
		return c, err
	}
	if err := ctx.Err(); err != nil {
		return c, err
	}
	if !s.use() {
		return c, store.ErrClosed
	}
	defer s.life.RUnlock()
	o, err := s.pinGroup(id)
	if err != nil {
		return c, err
	}
	defer o.unpin()
	return s.lastChange(o)
}

// lastChange reads what the tree, which holds what is durable, says of a group's last commit.
func (s *Store) lastChange(o *object) (c store.Change, err error) {
	snapshot := s.tree.db.NewSnapshot()
	defer func() { err = errors.Join(err, readError(snapshot.Close())) }()
	text, err := s.tree.getOf(snapshot, groupKey(kindGroup, &o.name))
	if err != nil {
		return c, noCommit(err)
	}
	g, err := decodeGroup(text)
	if err != nil {
		return c, err
	}
	if text, err = s.tree.getOf(snapshot, groupKey(kindChange, &o.name)); err != nil {
		return c, noCommit(err)
	}
	if c, err = decodeChange(text); err != nil {
		return c, err
	}
	if c.Epoch != g.epoch {
		return store.Change{}, noCommit(lsm.ErrNotFound)
	}
	return c, nil
}

func noCommit(err error) error {
	if errors.Is(err, lsm.ErrNotFound) {
		return fmt.Errorf("%w: no such group, or no commit in it", store.ErrNotFound)
	}
	return readError(err)
}
