package ratchet

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/treemath"
	"quicnprotochat/mls/internal/wire"
)

// Node types, R §7.8.
const (
	nodeLeaf   = 1
	nodeParent = 2
)

func (e *entry) append(b []byte) []byte {
	if e.leaf != nil {
		return append(append(b, nodeLeaf), e.leaf.Raw()...)
	}
	return e.parent.Append(append(b, nodeParent))
}

func (e *entry) size() int {
	if e == nil {
		return 1
	}
	if e.leaf != nil {
		return 2 + len(e.leaf.Raw())
	}
	return 16 + len(e.parent.EncryptionKey) + len(e.parent.ParentHash) + 4*len(e.parent.Unmerged)
}

// Append encodes the tree as the ratchet_tree extension does, R §12.4.3.3:
// without the blank nodes at the end.
func (t *Tree) Append(b []byte) []byte {
	last, size := 0, 0
	for i, e := range t.nodes {
		if e != nil {
			last = i
		}
		size += e.size()
	}
	b = append(make([]byte, 0, len(b)+size+8), b...)
	return codec.AppendNested(b, func(b []byte) []byte {
		for _, e := range t.nodes[:last+1] {
			b = appendNode(b, e)
		}
		return b
	})
}

// appendNode encodes an optional node.
func appendNode(b []byte, e *entry) []byte {
	b = codec.AppendOptional(b, e != nil)
	if e != nil {
		b = e.append(b)
	}
	return b
}

func readNode(r *codec.Reader) *entry {
	if !r.Optional() {
		return nil
	}
	switch r.U8() {
	case nodeLeaf:
		leaf := new(wire.LeafNode)
		leaf.Decode(r)
		return &entry{leaf: leaf}
	case nodeParent:
		p := &Parent{EncryptionKey: r.Vec(), ParentHash: r.Vec()}
		sub := r.Sub()
		if sub.Len() > 0 {
			p.Unmerged = make([]Leaf, 0, sub.Len()/4)
		}
		for sub.More() {
			p.Unmerged = append(p.Unmerged, Leaf(sub.U32()))
		}
		r.Join(sub)
		return &entry{parent: p}
	}
	r.Fail(codec.ErrEnum)
	return nil
}

// Decode reads a ratchet_tree extension. It checks the shape; what the nodes
// say is checked by Verify and by the caller. The tree keeps views into b.
func Decode(s *suite.Suite, b []byte) (*Tree, error) {
	r := codec.NewReader(b)
	sub := r.Sub()
	t := &Tree{suite: s}
	for sub.More() {
		e := readNode(sub)
		if e != nil && (e.leaf != nil) != (len(t.nodes)%2 == 0) {
			return nil, fmt.Errorf("%w: node %d has the wrong kind", ErrTree, len(t.nodes))
		}
		if len(t.nodes) >= 2*MaxLeaves {
			return nil, ErrTooLarge
		}
		t.nodes = append(t.nodes, e)
	}
	r.Join(sub)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	if len(t.nodes) == 0 || t.nodes[len(t.nodes)-1] == nil {
		return nil, fmt.Errorf("%w: the last node is blank", ErrTree)
	}
	t.n = 1
	for treemath.Width(t.n) < uint32(len(t.nodes)) {
		t.n *= 2
	}
	t.hashes = make([][]byte, len(t.nodes))
	t.grow(t.n)
	return t, nil
}

// Page is how many nodes a saved page holds.
const Page = 32

// Pages returns how many pages the tree has.
func (t *Tree) Pages() int { return (len(t.nodes) + Page - 1) / Page }

// AppendPage encodes the nodes of one page.
func (t *Tree) AppendPage(b []byte, page int) []byte {
	for _, e := range t.nodes[page*Page : min(len(t.nodes), (page+1)*Page)] {
		b = appendNode(b, e)
	}
	return b
}

// SamePage says whether both trees share every node of a page.
func (t *Tree) SamePage(u *Tree, page int) bool {
	end := min(len(t.nodes), (page+1)*Page)
	if u == nil || end != min(len(u.nodes), (page+1)*Page) {
		return false
	}
	for i := page * Page; i < end; i++ {
		if t.nodes[i] != u.nodes[i] {
			return false
		}
	}
	return true
}

// FromPages builds a tree of n leaves from its pages.
func FromPages(s *suite.Suite, n uint32, page func(i int) []byte) (*Tree, error) {
	if n == 0 || n > MaxLeaves || n&(n-1) != 0 {
		return nil, ErrTree
	}
	t := &Tree{suite: s, n: n}
	w := int(treemath.Width(n))
	t.nodes, t.hashes = make([]*entry, 0, w), make([][]byte, w)
	for i := 0; len(t.nodes) < w; i++ {
		r := codec.NewReader(bytes.Clone(page(i)))
		for range min(Page, w-len(t.nodes)) {
			t.nodes = append(t.nodes, readNode(r))
		}
		if err := r.Done(); err != nil {
			return nil, fmt.Errorf("%w: page %d: %w", ErrTree, i, err)
		}
	}
	return t, nil
}

// AppendDiff encodes how t differs from base: the number of leaves, then each
// node that is not the very same.
func (t *Tree) AppendDiff(b []byte, base *Tree) []byte {
	b = codec.AppendU32(b, t.n)
	return codec.AppendNested(b, func(b []byte) []byte {
		for i, e := range t.nodes {
			if i >= len(base.nodes) && e == nil || i < len(base.nodes) && e == base.nodes[i] {
				continue
			}
			b = appendNode(codec.AppendU32(b, uint32(i)), e)
		}
		return b
	})
}

// ReadDiff applies what AppendDiff encoded to a copy of base.
func ReadDiff(r *codec.Reader, base *Tree) *Tree {
	n := r.U32()
	sub := r.Sub()
	if n == 0 || n > MaxLeaves || n&(n-1) != 0 {
		r.Fail(ErrTree)
		return nil
	}
	t := base.Clone()
	t.free = 0
	if w := treemath.Width(n); n > t.n {
		t.grow(n)
	} else {
		t.n, t.nodes, t.hashes = n, t.nodes[:w], t.hashes[:w]
	}
	for sub.More() {
		x := sub.U32()
		e := readNode(sub)
		if x >= uint32(len(t.nodes)) {
			sub.Fail(ErrTree)
			break
		}
		t.set(Node(x), e)
	}
	clear(t.hashes)
	r.Join(sub)
	return t
}
