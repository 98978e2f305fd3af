package mls

import (
	"bytes"

	"quicnprotochat/mls/internal/framing"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/wire"
)

// pastEpoch is what remains of an epoch, to open its late messages: no secret
// but those of the messages, and of the tree only the leaves that the following
// epoch changed.
type pastEpoch struct {
	number     uint64
	context    []byte
	senderData []byte
	messages   *schedule.SecretTree
	leaves     map[ratchet.Leaf]*wire.LeafNode // nil value: was blank
	stored     bool
}

func newPast(e *epoch, next *ratchet.Tree) *pastEpoch {
	p := &pastEpoch{
		number: e.context.Epoch, context: e.encoded,
		senderData: bytes.Clone(e.secrets.SenderData), messages: e.messages,
		leaves: make(map[ratchet.Leaf]*wire.LeafNode),
	}
	for l := ratchet.Leaf(0); uint32(l) < max(e.tree.Leaves(), next.Leaves()); l++ {
		if !e.tree.SameNode(next, l.Node()) {
			p.leaves[l] = e.tree.Leaf(l)
		}
	}
	return p
}

func (p *pastEpoch) wipe() {
	clear(p.senderData)
	p.messages.Wipe()
}

// leafAt returns the leaf at l in the i-th past epoch: as changed since, or as
// it still is.
func (g *Group) leafAt(i int, l ratchet.Leaf) *wire.LeafNode {
	for ; i >= 0; i-- {
		if leaf, changed := g.past[i].leaves[l]; changed {
			return leaf
		}
	}
	return g.cur.tree.Leaf(l)
}

// pastIndex finds a past epoch by its number.
func (g *Group) pastIndex(number uint64) (int, bool) {
	for i, p := range g.past {
		if p.number == number {
			return i, true
		}
	}
	return 0, false
}

func (g *Group) pastKeys(i int) *framing.Keys {
	p := g.past[i]
	return &framing.Keys{Suite: g.suite, Context: p.context, SenderData: p.senderData, Secrets: p.messages}
}
