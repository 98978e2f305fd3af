package mls

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
)

// Record is one entry of a group's saved state. A nil Value deletes the entry.
// Values are secrets.
type Record struct {
	Key   string
	Value []byte
}

// Keys of records:
//
//	g                       the group: context, secrets, private keys
//	t/PAGE                  32 nodes of the ratchet tree
//	p/REF                   a cached proposal
//	c                       the pending commit
//	e/EPOCH                 a past epoch
//	e/EPOCH/n/NODE          a secret of the secret tree
//	e/EPOCH/r/LEAF          a member's two ratchets
//
// Numbers are hexadecimal with leading zeros, so that keys sort.
const (
	keyGroup   = "g"
	keyPending = "c"
)

func keyPage(i int) string                  { return fmt.Sprintf("t/%08x", i) }
func keyProposal(ref []byte) string         { return "p/" + hex.EncodeToString(ref) }
func keyEpoch(n uint64) string              { return fmt.Sprintf("e/%016x", n) }
func keyNode(epoch uint64, x uint32) string { return fmt.Sprintf("e/%016x/n/%08x", epoch, x) }
func keyRatchet(epoch uint64, l uint32) string {
	return fmt.Sprintf("e/%016x/r/%08x", epoch, l)
}

// store knows what of a group is stored already.
type store struct {
	saved     bool // something was stored once
	group     bool // changed
	pending   bool // changed
	tree      *ratchet.Tree
	proposals map[string]*cachedProposal
	gone      map[string]struct{}
}

func (s *store) drop(key string) {
	if !s.saved {
		return
	}
	if s.gone == nil {
		s.gone = make(map[string]struct{})
	}
	s.gone[key] = struct{}{}
}

func (s *store) addProposal(c *cachedProposal) {
	if s.proposals == nil {
		s.proposals = make(map[string]*cachedProposal)
	}
	key := keyProposal(c.ref)
	s.proposals[key] = c
	delete(s.gone, key)
}

func (s *store) dropProposal(c *cachedProposal) {
	key := keyProposal(c.ref)
	delete(s.proposals, key)
	s.drop(key)
}

func (s *store) dropEpoch(p *pastEpoch) {
	s.drop(keyEpoch(p.number))
	p.messages.Entries(
		func(x uint32) { s.drop(keyNode(p.number, x)) },
		func(l uint32) { s.drop(keyRatchet(p.number, l)) })
}

// Changes returns the records that changed since Saved was last called: to be
// stored in one transaction, followed by Saved, with no other call on the group
// in between. After a message this is one record or a few, however large the
// group; after a commit some more, growing with the logarithm of the group's
// size. The pending commit is part of the state. Records are sorted by key.
func (g *Group) Changes() []Record {
	var out []Record
	for key := range g.store.gone {
		out = append(out, Record{key, nil})
	}
	if g.store.group {
		out = append(out, Record{keyGroup, g.appendState(nil)})
	}
	if g.cur.tree != g.store.tree { // each epoch has a tree of its own
		out = g.appendPages(out)
	}
	if g.store.pending {
		r := Record{Key: keyPending}
		if g.pending != nil {
			r.Value = g.appendPending(nil)
		}
		out = append(out, r)
	}
	for key, c := range g.store.proposals {
		out = append(out, Record{key, c.append(nil)})
	}
	for _, p := range g.past {
		if !p.stored {
			out = append(out, Record{keyEpoch(p.number), p.append(nil)})
		}
		out = appendMessages(out, p.number, p.messages)
	}
	out = appendMessages(out, g.cur.context.Epoch, g.cur.messages)
	slices.SortFunc(out, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// appendPages adds the pages of the tree that are not those of the stored one.
func (g *Group) appendPages(out []Record) []Record {
	t := g.cur.tree
	for i := range t.Pages() {
		if !t.SamePage(g.store.tree, i) {
			out = append(out, Record{keyPage(i), t.AppendPage(nil, i)})
		}
	}
	if g.store.tree != nil {
		for i := t.Pages(); i < g.store.tree.Pages(); i++ {
			out = append(out, Record{keyPage(i), nil})
		}
	}
	return out
}

func appendMessages(out []Record, epoch uint64, t *schedule.SecretTree) []Record {
	t.Changes(
		func(x uint32, v []byte) {
			out = append(out, Record{keyNode(epoch, x), append([]byte(nil), v...)})
		},
		func(l uint32, v []byte) { out = append(out, Record{keyRatchet(epoch, l), v}) })
	return out
}

// Saved says that what Changes returned is stored.
func (g *Group) Saved() {
	g.store = store{saved: true, tree: g.cur.tree}
	for _, p := range g.past {
		p.stored = true
		p.messages.Saved()
	}
	g.cur.messages.Saved()
}

// Snapshot returns the whole state, whatever is stored already.
func (g *Group) Snapshot() []Record {
	all := store{group: true, pending: g.pending != nil}
	for _, c := range g.proposals {
		all.addProposal(c)
	}
	kept := g.store
	g.store = all
	var out []Record
	for _, p := range g.past {
		p.messages.TouchAll()
	}
	g.cur.messages.TouchAll()
	stored := make([]bool, len(g.past))
	for i, p := range g.past {
		stored[i], p.stored = p.stored, false
	}
	for _, r := range g.Changes() {
		if r.Value != nil {
			out = append(out, r)
		}
	}
	g.store = kept
	for i, p := range g.past {
		p.stored = stored[i]
	}
	return out
}

// stateVersion starts the group record.
const stateVersion = 1

func (g *Group) appendState(b []byte) []byte {
	b = codec.AppendU16(append(b, stateVersion), g.suite.ID)
	b = append(b, byte(g.status))
	b = codec.AppendOptional(b, g.reinit != nil)
	if g.reinit != nil {
		b = g.reinit.Append(b)
	}
	b = append(b, g.lastOwn[:]...)
	b = g.cur.append(b)
	b = codec.AppendU32(b, g.cur.tree.Leaves())
	b = codec.AppendNested(b, func(b []byte) []byte {
		for _, r := range g.resumption {
			b = codec.AppendVec(codec.AppendU64(b, r.epoch), r.secret)
		}
		return b
	})
	return codec.AppendNested(b, func(b []byte) []byte {
		for _, p := range g.past {
			b = codec.AppendU64(b, p.number)
		}
		return b
	})
}

// append encodes an epoch without its trees.
func (e *epoch) append(b []byte) []byte {
	b = codec.AppendVec(b, e.encoded)
	b = codec.AppendVec(b, e.interim)
	b = codec.AppendVec(b, e.tag)
	b = e.secrets.Append(b)
	b = codec.AppendVec(codec.AppendU32(b, uint32(e.private.Self)), e.private.Leaf.Bytes())
	return codec.AppendNested(b, func(b []byte) []byte {
		for _, x := range slices.Sorted(maps.Keys(e.private.Path)) {
			b = codec.AppendVec(codec.AppendU32(b, uint32(x)), e.private.Path[x].Bytes())
		}
		return b
	})
}

func (g *Group) appendPending(b []byte) []byte {
	p := g.pending
	b = append(b, p.message[:]...)
	b = codec.AppendOptional(b, p.id != nil)
	if p.id != nil {
		b = codec.AppendU16(b, p.id.suite.ID)
		b = p.id.credential.wire().Append(codec.AppendVec(b, p.id.key.Bytes()))
	}
	b = codec.AppendOptional(b, p.reinit != nil)
	if p.reinit != nil {
		b = p.reinit.Append(b)
	}
	b = p.next.append(b)
	b = codec.AppendVec(b, p.next.messages.Root())
	b = p.next.tree.AppendDiff(b, g.cur.tree)
	for _, list := range [][]place{p.info.added, p.info.removed, p.info.updated} {
		b = codec.AppendNested(b, func(b []byte) []byte {
			for _, m := range list {
				b = append(codec.AppendU32(b, m.leaf), m.node.Raw()...)
			}
			return b
		})
	}
	return codec.AppendNested(b, func(b []byte) []byte {
		for _, c := range p.info.changes {
			b = codec.AppendVec(c.sender.Append(b), c.ref)
			b = c.Proposal.Append(b)
		}
		return b
	})
}

func (c *cachedProposal) append(b []byte) []byte {
	b = append(codec.AppendU32(b, c.seq), c.message[:]...)
	b = codec.AppendOptional(b, c.own)
	b = codec.AppendVec(b, keyBytes(c.leafKey))
	return codec.AppendVec(b, c.raw)
}

func keyBytes(k *suite.PrivateKey) []byte {
	if k == nil {
		return nil
	}
	return k.Bytes()
}

func (p *pastEpoch) append(b []byte) []byte {
	b = codec.AppendVec(b, p.context)
	b = codec.AppendVec(b, p.senderData)
	b = codec.AppendU32(b, p.messages.Leaves())
	return codec.AppendNested(b, func(b []byte) []byte {
		for _, l := range slices.Sorted(maps.Keys(p.leaves)) {
			leaf := p.leaves[l]
			b = codec.AppendOptional(codec.AppendU32(b, uint32(l)), leaf != nil)
			if leaf != nil {
				b = append(b, leaf.Raw()...)
			}
		}
		return b
	})
}
