package ratchet

import (
	"bytes"
	"fmt"
	"slices"

	"quicnprotochat/mls/internal/treemath"
	"quicnprotochat/mls/internal/wire"
)

// Verify checks what a joiner checks of a whole tree, R §12.4.3.1, apart from
// leaf contents and signatures: unmerged leaves, distinct keys, parent hashes.
func (t *Tree) Verify() error {
	if err := t.verifyUnmerged(); err != nil {
		return err
	}
	if err := t.verifyDistinct(); err != nil {
		return err
	}
	return t.VerifyParentHashes()
}

func (t *Tree) verifyUnmerged() error {
	for x := Node(1); uint32(x) < t.Width(); x += 2 {
		p := t.Parent(x)
		if p == nil {
			continue
		}
		for i, l := range p.Unmerged {
			if i > 0 && p.Unmerged[i-1] >= l {
				return fmt.Errorf("%w: unmerged leaves of node %d are not sorted", ErrTree, x)
			}
			if uint32(l) >= t.n || !x.Covers(l.Node()) || t.Leaf(l) == nil {
				return fmt.Errorf("%w: node %d has the unmerged leaf %d", ErrTree, x, l)
			}
			for y := l.Node().Parent(); y != x; y = y.Parent() {
				if q := t.Parent(y); q != nil && !has(q.Unmerged, l) {
					return fmt.Errorf("%w: leaf %d is unmerged at node %d, merged at %d", ErrTree, l, x, y)
				}
			}
		}
	}
	return nil
}

func (t *Tree) verifyDistinct() error {
	keys := make(map[string]struct{}, len(t.nodes))
	signers := make(map[string]struct{}, t.n)
	for x, e := range t.nodes {
		if e == nil {
			continue
		}
		keys[string(t.Key(Node(x)))] = struct{}{}
		if e.leaf != nil {
			signers[string(e.leaf.SignatureKey)] = struct{}{}
		}
	}
	nodes, leaves := 0, 0
	for x, e := range t.nodes {
		if e != nil {
			nodes++
			if x%2 == 0 {
				leaves++
			}
		}
	}
	if len(keys) != nodes {
		return fmt.Errorf("%w: %w: encryption key", ErrTree, ErrDuplicateKey)
	}
	if len(signers) != leaves {
		return fmt.Errorf("%w: %w: signature key", ErrTree, ErrDuplicateKey)
	}
	return nil
}

// VerifyParentHashes checks that each non-blank parent has a child, directly or
// over blank nodes, that carries its hash, R §7.9.2.
func (t *Tree) VerifyParentHashes() error {
	valid := make([]bool, len(t.nodes))
	root := treemath.Root(t.n)
	cache := make(map[Node][]byte) // parent hash by copath child
	for x := Node(0); uint32(x) < t.Width(); x++ {
		hash := t.carried(x)
		if hash == nil || x == root {
			continue
		}
		child, up := x, x.Parent()
		for up != root && t.nodes[up] == nil {
			child, up = up, up.Parent()
		}
		p := t.Parent(up)
		if p == nil {
			continue
		}
		copath := child.Sibling()
		want, ok := cache[copath]
		if !ok {
			want = t.parentHash(p, copath)
			cache[copath] = want
		}
		if bytes.Equal(hash, want) && t.unmergedFit(x, child, p) {
			if valid[up] {
				return fmt.Errorf("%w: node %d has two heirs", ErrParentHash, up)
			}
			valid[up] = true
		}
	}
	for x := Node(1); uint32(x) < t.Width(); x += 2 {
		if t.nodes[x] != nil && !valid[x] {
			return fmt.Errorf("%w: node %d", ErrParentHash, x)
		}
	}
	return nil
}

// carried returns the parent hash that a node holds, or nil.
func (t *Tree) carried(x Node) []byte {
	e := t.nodes[x]
	switch {
	case e == nil:
		return nil
	case e.parent != nil:
		return e.parent.ParentHash
	case e.leaf.Source == wire.SourceCommit:
		return e.leaf.ParentHash
	}
	return nil
}

// unmergedFit says whether the resolution of child, without x, is exactly what
// p has unmerged below child.
func (t *Tree) unmergedFit(x, child Node, p *Parent) bool {
	first, end := child.Span()
	i, _ := slices.BinarySearch(p.Unmerged, first)
	j, _ := slices.BinarySearch(p.Unmerged, end)
	unmerged := p.Unmerged[i:j]
	rest := make([]Leaf, 0, len(unmerged))
	for _, y := range t.Resolution(child, nil) {
		if y == x {
			continue
		}
		if !y.IsLeaf() {
			return false
		}
		rest = append(rest, y.Leaf())
	}
	slices.Sort(rest)
	return slices.Equal(rest, unmerged)
}
