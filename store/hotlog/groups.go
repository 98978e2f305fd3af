package hotlog

import (
	"encoding/binary"
	"fmt"

	"quicnprotochat/store"
)

// A group is in memory as a whole, in an object of its own: its log, which is a stream, and who reads it. All but the log is values of the tree, which
// change as they are published:
//
//	'G' object(16)                      -> group: id, founder, epoch, number of members
//	'N' object(16)                      -> its GroupInfo
//	'H' object(16)                      -> change: its last commit, and what that did with the roster
//	'M' object(16) member(16)           -> reader: identity, joined, acknowledged, until
//	'q' owner's object(16) stream(16)   -> what an identity reads: the shared queue, and whether it is a member
const (
	kindGroup  = 'G'
	kindInfo   = 'N'
	kindChange = 'H'
	kindReader = 'M'
)

// group is what is known of a group beside its log. It is guarded by its object's lock, and changed by the decider only.
type group struct {
	id       string
	founder  store.Identity
	epoch    uint64
	batch    uint64 // in which it was made; 0 for long ago
	members  int
	changed  uint64 // place of the last commit in the log; 0 if there was none, or one by a program that kept no change
	log      *stream
	readers  map[store.Identity]*member
	slowest  memberHeap
	audience []store.Identity // the members, when somebody asked since they changed; never written to again
}

func (g *group) append(b []byte) []byte {
	b = append(b, byte(len(g.id)))
	b = append(b, g.id...)
	b = append(b, g.founder[:]...)
	b = binary.AppendUvarint(b, g.epoch)
	return binary.AppendUvarint(b, uint64(g.members))
}

// maxGroupValue is the size of the largest value of kindGroup.
const maxGroupValue = 1 + store.MaxGroup + 32 + 2*binary.MaxVarintLen64

// maxCount bounds numbers of members that the tree tells.
const maxCount = 1 << 24

func decodeGroup(b []byte) (*group, error) {
	r := reader{b: b}
	g := &group{readers: make(map[store.Identity]*member)}
	n := int(r.byte())
	if n == 0 || n > store.MaxGroup {
		r.fail("group id of a wrong length")
	}
	g.id = string(r.bytes(n))
	copy(g.founder[:], r.bytes(len(g.founder)))
	g.epoch = r.uvarint()
	g.members = r.length(maxCount)
	if r.err == nil && len(r.b) != 0 {
		r.fail("group with more behind it")
	}
	if r.err != nil {
		return nil, r.err
	}
	return g, nil
}

func appendMembership(b []byte, group string, member bool) []byte {
	q := store.QueueID{Group: group, Shared: true}
	b = appendQueue(b, &q)
	if member {
		return append(b, 1)
	}
	return append(b, 0)
}

// decodeMembership is for what begins with the flags of a shared queue, under an owner's key.
func decodeMembership(b []byte) (group string, member bool, err error) {
	r := reader{b: b}
	q := r.queue()
	flag := r.byte()
	if r.err == nil && (!q.Shared || flag > 1 || len(r.b) != 0) {
		r.fail("membership that is none")
	}
	return q.Group, flag == 1, r.err
}

func appendReaderKey(b []byte, group, member *name) []byte {
	b = append(b, kindReader)
	b = append(b, group[:]...)
	return append(b, member[:]...)
}

func groupKey(kind byte, group *name) []byte { return append([]byte{kind}, group[:]...) }

// loadGroup reads a group from the tree; nil if there is none. Its log is left out.
func (s *Store) loadGroup(o *object) (*group, error) {
	text, err := s.tree.get(groupKey(kindGroup, &o.name))
	if err != nil || text == nil {
		return nil, err
	}
	g, err := decodeGroup(text)
	if err != nil {
		return nil, err
	}
	if keyOf(&store.QueueID{Group: g.id, Shared: true}) != o.key {
		return nil, fmt.Errorf("%w: a group under another's key", store.ErrCorrupt)
	}
	if err := s.loadChange(o, g); err != nil {
		return nil, err
	}
	prefix := groupKey(kindReader, &o.name)
	members := 0
	err = s.tree.scan(prefix, above(prefix), func(key, value []byte) (bool, error) {
		plain, err := s.tree.seal.open(key, value)
		if err != nil {
			return false, err
		}
		r, err := decodeMember(plain)
		if err != nil {
			return false, err
		}
		if r.until == 0 {
			members++
		}
		g.add(r)
		return true, nil
	})
	if err == nil && members != g.members {
		err = fmt.Errorf("%w: a group of %d members has %d", store.ErrCorrupt, g.members, members)
	}
	return g, err
}

// saveGroup says in c what the tree is to hold of g itself.
func (s *Store) saveGroup(c *changes, o *object, g *group) {
	c.setSealed(s.tree, groupKey(kindGroup, &o.name), g.append(nil))
}

// saveReader says in c what the tree is to hold of a reader, and of its owner's part in the group.
func (s *Store) saveReader(c *changes, o, owner *object, g *group, r *member) {
	c.setSealed(s.tree, appendReaderKey(nil, &o.name, &owner.name), r.append(nil))
	c.setSealed(s.tree, appendMetaKey(nil, &owner.name, &g.log.name), appendMembership(nil, g.id, r.until == 0))
}

// dropReader says in c that somebody reads a group no more.
func (s *Store) dropReader(c *changes, o, owner *object, g *group) {
	c.delete(appendReaderKey(nil, &o.name, &owner.name))
	c.delete(appendMetaKey(nil, &owner.name, &g.log.name))
}

// readerChange bounds what saveReader and dropReader add.
func (s *Store) readerChange() int {
	const key = 3 + 33 + 3
	return 2*key + s.tree.seal.size(maxMember) + s.tree.seal.size(3+store.MaxGroup)
}

// groupChange bounds what saveGroup adds.
func (s *Store) groupChange() int { return 3 + 17 + 3 + s.tree.seal.size(maxGroupValue) }

// join notes in an owner's object that it reads a group, as a member or as one who was.
func (o *object) join(group string, member bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.groups == nil {
		o.groups = make(map[string]bool)
	}
	if o.groups[group] {
		o.memberships--
	}
	if o.groups[group] = member; member {
		o.memberships++
	}
}

// leave notes that an owner reads a group no more.
func (o *object) leave(group string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.groups[group] {
		o.memberships--
	}
	delete(o.groups, group)
}
