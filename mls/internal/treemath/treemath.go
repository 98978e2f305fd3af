// Package treemath computes positions in the array form of a complete binary
// tree, R appendix C: leaves have even indices, parents odd ones, and the level
// of a node is the number of its trailing one bits.
//
// Trees have a power of two leaves. Indices are not checked: callers keep them
// below Width.
package treemath

import "math/bits"

// Node is an index into the array of all nodes.
type Node uint32

// Leaf is the index of a leaf among the leaves.
type Leaf uint32

// Node returns the array index of the leaf.
func (l Leaf) Node() Node { return Node(l) << 1 }

// IsLeaf says whether the node is a leaf.
func (x Node) IsLeaf() bool { return x&1 == 0 }

// Leaf returns the leaf index of a leaf node.
func (x Node) Leaf() Leaf { return Leaf(x >> 1) }

// Level returns the height of the node above the leaves.
func (x Node) Level() uint { return uint(bits.TrailingZeros32(^uint32(x))) }

// Left returns the left child of a parent node.
func (x Node) Left() Node { return x ^ (1 << (x.Level() - 1)) }

// Right returns the right child of a parent node.
func (x Node) Right() Node { return x ^ (3 << (x.Level() - 1)) }

// Parent returns the parent of a node that is not the root.
func (x Node) Parent() Node {
	k := x.Level()
	b := (x >> (k + 1)) & 1
	return (x | (1 << k)) ^ (b << (k + 1))
}

// Sibling returns the other child of the parent.
func (x Node) Sibling() Node {
	p := x.Parent()
	if x < p {
		return p.Right()
	}
	return p.Left()
}

// Root returns the root of a tree with n leaves.
func Root(n uint32) Node { return Node(n - 1) }

// Width returns the number of nodes of a tree with n leaves.
func Width(n uint32) uint32 {
	if n == 0 {
		return 0
	}
	return 2*n - 1
}

// Span returns the first leaf under x and the one after the last.
func (x Node) Span() (first, end Leaf) {
	k := x.Level()
	first = Leaf((x - (1<<k - 1)) >> 1)
	return first, first + 1<<k
}

// Covers says whether y is x or below x.
func (x Node) Covers(y Node) bool {
	half := Node(1)<<x.Level() - 1
	return y >= x-half && y <= x+half
}

// Common returns the lowest node above both x and y (or one of them).
func Common(x, y Node) Node {
	for !x.Covers(y) {
		x = x.Parent()
	}
	return x
}
