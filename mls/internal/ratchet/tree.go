// Package ratchet is the ratchet tree of RFC 9420, section 7: its nodes, tree
// and parent hashes, and TreeKEM on top.
//
// Nodes are immutable and shared between trees: Clone copies two slices of
// pointers, so that a commit is staged on a copy and dropped at no cost. A Tree
// is not safe for concurrent use, not even for reading, because hashes are
// computed on demand and kept.
package ratchet

import (
	"errors"
	"slices"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/treemath"
	"quicnprotochat/mls/internal/wire"
)

// Leaf and Node are positions in the tree.
type (
	Leaf = treemath.Leaf
	Node = treemath.Node
)

// MaxLeaves bounds the number of leaves, blank ones included.
const MaxLeaves = 1 << 18

var (
	// ErrTree says that a tree breaks a rule of R §7 or §12.4.3.1.
	ErrTree = errors.New("invalid ratchet tree")
	// ErrParentHash says that a parent hash does not fit, R §7.9.
	ErrParentHash = errors.New("parent hash does not match")
	// ErrBlankLeaf says that a leaf index names no member.
	ErrBlankLeaf = errors.New("no member at this leaf")
	// ErrTooLarge says that a tree exceeds MaxLeaves.
	ErrTooLarge = errors.New("ratchet tree is too large")
	// ErrDuplicateKey says that two nodes have a key in common, R §7.3.
	ErrDuplicateKey = errors.New("key is used twice")
	// ErrPath says that an update path does not fit the tree, R §12.4.2.
	ErrPath = errors.New("update path does not fit the tree")
)

// Parent is a non-blank parent node, R §7.1. It is immutable.
type Parent struct {
	EncryptionKey []byte
	ParentHash    []byte
	Unmerged      []Leaf // sorted
}

// Append encodes the node.
func (p *Parent) Append(b []byte) []byte {
	return p.appendWithout(b, nil)
}

func (p *Parent) appendWithout(b []byte, excluded []Leaf) []byte {
	b = codec.AppendVec(b, p.EncryptionKey)
	b = codec.AppendVec(b, p.ParentHash)
	return codec.AppendNested(b, func(b []byte) []byte {
		for _, l := range p.Unmerged {
			if !has(excluded, l) {
				b = codec.AppendU32(b, uint32(l))
			}
		}
		return b
	})
}

// has says whether a sorted list holds l.
func has(sorted []Leaf, l Leaf) bool {
	_, found := slices.BinarySearch(sorted, l)
	return found
}

// entry is a non-blank node: one of the two.
type entry struct {
	leaf   *wire.LeafNode
	parent *Parent
}

// Tree is a ratchet tree.
type Tree struct {
	suite  *suite.Suite
	n      uint32   // leaves, a power of two
	nodes  []*entry // nil: blank
	hashes [][]byte // nil: not known
	free   uint32   // no leaf below this index is blank
}

// New returns a tree with one leaf.
func New(s *suite.Suite, leaf *wire.LeafNode) *Tree {
	t := &Tree{suite: s, n: 1, nodes: make([]*entry, 1), hashes: make([][]byte, 1)}
	t.nodes[0] = &entry{leaf: leaf}
	t.free = 1
	return t
}

// Clone returns a tree that can be changed without changing t.
func (t *Tree) Clone() *Tree {
	c := *t
	c.nodes, c.hashes = slices.Clone(t.nodes), slices.Clone(t.hashes)
	return &c
}

// Suite returns the tree's cipher suite.
func (t *Tree) Suite() *suite.Suite { return t.suite }

// Leaves returns the number of leaves, blank ones included.
func (t *Tree) Leaves() uint32 { return t.n }

// Width returns the number of nodes.
func (t *Tree) Width() uint32 { return treemath.Width(t.n) }

// Leaf returns the leaf at l, or nil when it is blank or outside the tree.
func (t *Tree) Leaf(l Leaf) *wire.LeafNode {
	if uint32(l) >= t.n || t.nodes[l.Node()] == nil {
		return nil
	}
	return t.nodes[l.Node()].leaf
}

// Parent returns the parent node at x, or nil when it is blank.
func (t *Tree) Parent(x Node) *Parent {
	if e := t.nodes[x]; e != nil {
		return e.parent
	}
	return nil
}

// Key returns the HPKE public key of a node, or nil when it is blank.
func (t *Tree) Key(x Node) []byte {
	e := t.nodes[x]
	switch {
	case e == nil:
		return nil
	case e.leaf != nil:
		return e.leaf.EncryptionKey
	}
	return e.parent.EncryptionKey
}

// SameNode says whether both trees share the very same node at x.
func (t *Tree) SameNode(u *Tree, x Node) bool {
	var a, b *entry
	if uint32(x) < t.Width() {
		a = t.nodes[x]
	}
	if uint32(x) < u.Width() {
		b = u.nodes[x]
	}
	return a == b
}

// set replaces one node and forgets the hashes above it.
func (t *Tree) set(x Node, e *entry) {
	t.nodes[x] = e
	t.hashes[x] = nil
	for root := treemath.Root(t.n); x != root; {
		x = x.Parent()
		if t.hashes[x] == nil {
			return // then nothing above is known either
		}
		t.hashes[x] = nil
	}
}

func (t *Tree) setParent(x Node, p *Parent) { t.set(x, &entry{parent: p}) }

// SetLeaf puts a leaf in place, without blanking anything.
func (t *Tree) SetLeaf(l Leaf, leaf *wire.LeafNode) { t.set(l.Node(), &entry{leaf: leaf}) }

func (t *Tree) blankPath(l Leaf) {
	for x, root := l.Node(), treemath.Root(t.n); x != root; {
		x = x.Parent()
		if t.nodes[x] != nil {
			t.set(x, nil)
		}
	}
}

// Place returns the leftmost blank leaf, for which the tree grows if it must.
func (t *Tree) Place() (Leaf, error) {
	for t.free < t.n && t.nodes[Leaf(t.free).Node()] != nil {
		t.free++
	}
	if t.free == t.n {
		if t.n >= MaxLeaves {
			return 0, ErrTooLarge
		}
		t.grow(2 * t.n)
	}
	return Leaf(t.free), nil
}

// Add puts a leaf at the leftmost blank place, R §12.1.1.
func (t *Tree) Add(leaf *wire.LeafNode) (Leaf, error) {
	l, err := t.Place()
	if err != nil {
		return 0, err
	}
	t.SetLeaf(l, leaf)
	for x, root := l.Node(), treemath.Root(t.n); x != root; {
		x = x.Parent()
		if p := t.Parent(x); p != nil {
			i, _ := slices.BinarySearch(p.Unmerged, l)
			q := *p
			q.Unmerged = make([]Leaf, 0, len(p.Unmerged)+1)
			q.Unmerged = append(append(append(q.Unmerged, p.Unmerged[:i]...), l), p.Unmerged[i:]...)
			t.setParent(x, &q)
		}
	}
	t.free++
	return l, nil
}

func (t *Tree) grow(n uint32) {
	more := int(treemath.Width(n)) - len(t.nodes)
	t.nodes = append(t.nodes, make([]*entry, more)...)
	t.hashes = append(t.hashes, make([][]byte, more)...)
	t.n = n
}

// Update replaces a leaf and blanks its direct path, R §12.1.2.
func (t *Tree) Update(l Leaf, leaf *wire.LeafNode) error {
	if t.Leaf(l) == nil {
		return ErrBlankLeaf
	}
	t.SetLeaf(l, leaf)
	t.blankPath(l)
	return nil
}

// Remove blanks a leaf and its direct path and shrinks the tree, R §12.1.3.
func (t *Tree) Remove(l Leaf) error {
	if t.Leaf(l) == nil {
		return ErrBlankLeaf
	}
	t.set(l.Node(), nil)
	t.blankPath(l)
	t.free = min(t.free, uint32(l))
	last := t.n
	for last > 1 && t.nodes[Leaf(last-1).Node()] == nil {
		last--
	}
	for t.n > 1 && last <= t.n/2 {
		t.n /= 2
	}
	w := treemath.Width(t.n)
	clear(t.nodes[w:])
	clear(t.hashes[w:])
	t.nodes, t.hashes = t.nodes[:w], t.hashes[:w]
	t.free = min(t.free, t.n)
	return nil
}

// Members calls f for each leaf that is not blank, in order, until it fails.
func (t *Tree) Members(f func(Leaf, *wire.LeafNode) error) error {
	for l := Leaf(0); uint32(l) < t.n; l++ {
		if leaf := t.Leaf(l); leaf != nil {
			if err := f(l, leaf); err != nil {
				return err
			}
		}
	}
	return nil
}
