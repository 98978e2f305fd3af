package ratchet

import (
	"slices"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/treemath"
)

// Hash returns the tree hash of the root, R §7.8.
func (t *Tree) Hash() []byte { return t.NodeHash(treemath.Root(t.n)) }

// NodeHash returns the tree hash of the subtree at x, which is computed once.
func (t *Tree) NodeHash(x Node) []byte {
	if h := t.hashes[x]; h != nil {
		return h
	}
	var room [768]byte
	h := t.suite.Hash(t.hashInput(room[:0], x, nil))
	t.hashes[x] = h
	return h
}

// hashInput is TreeHashInput, without the excluded leaves.
func (t *Tree) hashInput(b []byte, x Node, excluded []Leaf) []byte {
	e := t.nodes[x]
	if x.IsLeaf() {
		b = codec.AppendU32(append(b, nodeLeaf), uint32(x.Leaf()))
		present := e != nil && !has(excluded, x.Leaf())
		b = codec.AppendOptional(b, present)
		if present {
			b = append(b, e.leaf.Raw()...)
		}
		return b
	}
	left, right := t.hashWithout(x.Left(), excluded), t.hashWithout(x.Right(), excluded)
	b = codec.AppendOptional(append(b, nodeParent), e != nil)
	if e != nil {
		b = e.parent.appendWithout(b, excluded)
	}
	return codec.AppendVec(codec.AppendVec(b, left), right)
}

// hashWithout is the tree hash of x as it was before the excluded leaves came.
func (t *Tree) hashWithout(x Node, excluded []Leaf) []byte {
	if len(excluded) == 0 {
		return t.NodeHash(x)
	}
	first, end := x.Span()
	i, _ := slices.BinarySearch(excluded, first)
	j, _ := slices.BinarySearch(excluded, end)
	if i == j {
		return t.NodeHash(x)
	}
	return t.suite.Hash(t.hashInput(nil, x, excluded[i:j]))
}

// parentHash is the hash that the child of p away from copath carries, R §7.9.
func (t *Tree) parentHash(p *Parent, copath Node) []byte {
	sibling := t.hashWithout(copath, p.Unmerged)
	b := make([]byte, 0, 3*64)
	b = codec.AppendVec(b, p.EncryptionKey)
	b = codec.AppendVec(b, p.ParentHash)
	return t.suite.Hash(codec.AppendVec(b, sibling))
}
