package ratchet

import "quicnprotochat/mls/internal/treemath"

// Resolution returns the nodes that together cover all members below x, R
// §4.1.1, without the leaves in the sorted list excluded.
func (t *Tree) Resolution(x Node, excluded []Leaf) []Node {
	return t.appendResolution(nil, x, excluded)
}

func (t *Tree) appendResolution(out []Node, x Node, excluded []Leaf) []Node {
	e := t.nodes[x]
	switch {
	case e == nil && x.IsLeaf():
		return out
	case e == nil:
		return t.appendResolution(t.appendResolution(out, x.Left(), excluded), x.Right(), excluded)
	case e.leaf != nil:
		if !has(excluded, x.Leaf()) {
			out = append(out, x)
		}
		return out
	}
	out = append(out, x)
	for _, l := range e.parent.Unmerged {
		if !has(excluded, l) {
			out = append(out, l.Node())
		}
	}
	return out
}

// empty says whether the resolution of x is empty.
func (t *Tree) empty(x Node) bool {
	if t.nodes[x] != nil {
		return false
	}
	return x.IsLeaf() || t.empty(x.Left()) && t.empty(x.Right())
}

// Step is a node of a filtered direct path with its child on the copath.
type Step struct {
	Node, Copath Node
}

// FilteredPath returns the filtered direct path of a leaf, R §4.1.2, lowest
// first.
func (t *Tree) FilteredPath(l Leaf) []Step {
	var steps []Step
	for x, root := l.Node(), treemath.Root(t.n); x != root; x = x.Parent() {
		if s := x.Sibling(); !t.empty(s) {
			steps = append(steps, Step{x.Parent(), s})
		}
	}
	return steps
}
