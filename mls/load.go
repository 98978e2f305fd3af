package mls

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// LoadGroup rebuilds a group from all its records, in any order. id is the
// identity that the group was last used with; policy is that of NewGroup or Join.
// The error is ErrState when the records are incomplete or damaged,
// ErrWrongIdentity when the own leaf has another signature key.
func LoadGroup(records []Record, id *Identity, policy Policy) (*Group, error) {
	all := make(map[string][]byte, len(records))
	for _, r := range records {
		if r.Value != nil {
			all[r.Key] = bytes.Clone(r.Value)
		}
	}
	g := &Group{id: id, policy: policy, cur: &epoch{}}
	if err := g.load(all); err != nil {
		return nil, op("load", err)
	}
	leaf := g.cur.tree.Leaf(g.cur.private.Self)
	if id == nil || !bytes.Equal(leaf.SignatureKey, id.key.Public()) {
		return nil, op("load", ErrWrongIdentity)
	}
	g.Saved()
	return g, nil
}

func damaged(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrState, what, err)
}

func (g *Group) load(all map[string][]byte) error {
	numbers, err := g.loadState(all)
	if err != nil {
		return err
	}
	t := g.cur.tree
	if !bytes.Equal(t.Hash(), g.cur.context.TreeHash) || !g.cur.private.Consistent(t) {
		return damaged("tree", ErrTreeHash)
	}
	for _, n := range numbers {
		p := &pastEpoch{number: n}
		if err := g.loadPast(p, all[keyEpoch(n)]); err != nil {
			return damaged("past epoch", err)
		}
		g.past = append(g.past, p)
	}
	g.cur.messages = schedule.EmptySecretTree(g.suite, t.Leaves(), g.policy.limits())
	for key, v := range all {
		var err error
		switch {
		case strings.HasPrefix(key, "e/"):
			err = g.loadSecret(key, v)
		case strings.HasPrefix(key, "p/"):
			err = g.loadProposal(v)
		}
		if err != nil {
			return damaged(key, err)
		}
	}
	slices.SortFunc(g.proposals, func(a, b *cachedProposal) int { return int(a.seq) - int(b.seq) })
	if v, ok := all[keyPending]; ok {
		if err := g.loadPending(v); err != nil {
			return damaged("pending commit", err)
		}
	}
	return nil
}

// loadState reads the group record and the tree, and returns the numbers of the
// past epochs.
func (g *Group) loadState(all map[string][]byte) ([]uint64, error) {
	v := all[keyGroup]
	if len(v) < 3 || v[0] != stateVersion {
		return nil, ErrState
	}
	r := codec.NewReader(v[1:])
	s, err := suite.Lookup(r.U16())
	if err != nil {
		return nil, damaged("group", err)
	}
	g.suite, g.cur.suite = s, s
	g.status = status(r.U8())
	if r.Optional() {
		g.reinit = new(wire.ReInit)
		g.reinit.Decode(r)
	}
	copy(g.lastOwn[:], r.Bytes(32))
	if err := g.cur.read(r); err != nil {
		return nil, damaged("group", err)
	}
	leaves := r.U32()
	sub := r.Sub()
	for sub.More() {
		g.resumption = append(g.resumption, resumptionSecret{sub.U64(), sub.Vec()})
	}
	r.Join(sub)
	var numbers []uint64
	sub = r.Sub()
	for sub.More() {
		numbers = append(numbers, sub.U64())
	}
	r.Join(sub)
	if err := r.Done(); err != nil {
		return nil, damaged("group", err)
	}
	g.cur.tree, err = ratchet.FromPages(s, leaves, func(i int) []byte { return all[keyPage(i)] })
	if err != nil {
		return nil, damaged("tree", err)
	}
	return numbers, nil
}

// read decodes what epoch.append encoded.
func (e *epoch) read(r *codec.Reader) error {
	e.encoded = r.Vec()
	if err := decode(e.encoded, &e.context); err != nil {
		return err
	}
	e.interim, e.tag = r.Vec(), r.Vec()
	e.secrets = &schedule.Epoch{}
	if err := e.secrets.Decode(r, e.suite); err != nil {
		return err
	}
	e.private = &ratchet.Private{Self: ratchet.Leaf(r.U32()), Path: make(map[ratchet.Node]*suite.PrivateKey)}
	leafKey, sub := r.Vec(), r.Sub()
	if err := r.Err(); err != nil {
		return err
	}
	var err error
	if e.private.Leaf, err = e.suite.ParseKey(leafKey); err != nil {
		return err
	}
	for sub.More() {
		x, raw := sub.U32(), sub.Vec()
		if err := sub.Err(); err != nil {
			return err
		}
		if e.private.Path[ratchet.Node(x)], err = e.suite.ParseKey(raw); err != nil {
			return err
		}
	}
	return sub.Done()
}

func (g *Group) loadPast(p *pastEpoch, v []byte) error {
	r := codec.NewReader(v)
	p.context, p.senderData = r.Vec(), r.Vec()
	leaves, sub := r.U32(), r.Sub()
	p.leaves = make(map[ratchet.Leaf]*wire.LeafNode)
	for sub.More() {
		l := ratchet.Leaf(sub.U32())
		var leaf *wire.LeafNode
		if sub.Optional() {
			leaf = new(wire.LeafNode)
			leaf.Decode(sub)
		}
		p.leaves[l] = leaf
	}
	r.Join(sub)
	p.messages = schedule.EmptySecretTree(g.suite, leaves, g.policy.limits())
	return r.Done()
}

// loadSecret reads e/EPOCH/n/NODE and e/EPOCH/r/LEAF.
func (g *Group) loadSecret(key string, v []byte) error {
	parts := strings.Split(key, "/")
	if len(parts) != 4 {
		return nil // e/EPOCH
	}
	number, err := strconv.ParseUint(parts[1], 16, 64)
	if err != nil {
		return err
	}
	i, err := strconv.ParseUint(parts[3], 16, 32)
	if err != nil {
		return err
	}
	t := g.cur.messages
	if number != g.cur.context.Epoch {
		at, ok := g.pastIndex(number)
		if !ok {
			return fmt.Errorf("epoch %d is not kept", number)
		}
		t = g.past[at].messages
	}
	if parts[2] == "n" {
		return t.RestoreNode(uint32(i), v)
	}
	return t.RestoreRatchet(uint32(i), v)
}

func (g *Group) loadProposal(v []byte) error {
	c := &cachedProposal{}
	r := codec.NewReader(v)
	c.seq = r.U32()
	copy(c.message[:], r.Bytes(32))
	c.own = r.Optional()
	key := r.Vec()
	c.raw = r.Vec()
	if err := r.Done(); err != nil {
		return err
	}
	if len(key) > 0 {
		var err error
		if c.leafKey, err = g.suite.ParseKey(key); err != nil {
			return err
		}
	}
	g.proposals = append(g.proposals, c)
	return g.adopt(c)
}

func (g *Group) loadPending(v []byte) error {
	p := &pendingCommit{next: &epoch{}}
	p.next.suite = g.suite
	r := codec.NewReader(v)
	copy(p.message[:], r.Bytes(32))
	if r.Optional() {
		s, raw := r.U16(), r.Vec()
		var c wire.Credential
		c.Decode(r)
		id, err := newIdentity(Suite(s), raw, fromWireCredential(c))
		if err != nil {
			return err
		}
		p.id = id
	}
	if r.Optional() {
		p.reinit = new(wire.ReInit)
		p.reinit.Decode(r)
	}
	if err := p.next.read(r); err != nil {
		return err
	}
	root := r.Vec()
	if p.next.tree = ratchet.ReadDiff(r, g.cur.tree); r.Err() != nil {
		return r.Err()
	}
	if !bytes.Equal(p.next.tree.Hash(), p.next.context.TreeHash) {
		return ErrTreeHash
	}
	p.next.messages = schedule.NewSecretTree(g.suite, p.next.tree.Leaves(), root, g.policy.limits())
	p.info.read(r)
	g.pending = p
	return r.Done()
}

func (i *commitInfo) read(r *codec.Reader) {
	for _, list := range []*[]place{&i.added, &i.removed, &i.updated} {
		sub := r.Sub()
		for sub.More() {
			m := place{leaf: sub.U32(), node: new(wire.LeafNode)}
			m.node.Decode(sub)
			*list = append(*list, m)
		}
		r.Join(sub)
	}
	sub := r.Sub()
	for sub.More() {
		c := change{Proposal: new(wire.Proposal)}
		c.sender.Decode(sub)
		if c.ref = sub.Vec(); len(c.ref) == 0 {
			c.ref = nil
		}
		c.Proposal.Decode(sub)
		i.changes = append(i.changes, c)
	}
	r.Join(sub)
}
