package treemath

import (
	"testing"

	"pgregory.net/rapid"
)

// TestShape checks the relations between a node, its children and its parent in
// trees up to the largest.
func TestShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := uint32(1) << rapid.IntRange(0, 18).Draw(t, "log leaves")
		x := Node(rapid.Uint32Range(0, Width(n)-1).Draw(t, "node"))
		first, end := x.Span()
		if !x.Covers(x) || !x.Covers(first.Node()) || !x.Covers((end - 1).Node()) || x.Covers(end.Node()) {
			t.Fatalf("span of %d is %d to %d", x, first, end)
		}
		if !x.IsLeaf() {
			l, r := x.Left(), x.Right()
			if l.Parent() != x || r.Parent() != x || l.Sibling() != r || r.Sibling() != l || Common(l, r) != x {
				t.Fatalf("children %d and %d of %d", l, r, x)
			}
		} else if x.Leaf().Node() != x || end != first+1 {
			t.Fatalf("leaf %d", x)
		}
		var path []Node
		for y := x; y != Root(n); y = y.Parent() {
			path = append(path, y.Parent())
		}
		if x == Root(n) {
			if len(path) != 0 {
				t.Fatalf("the root has ancestors")
			}
			return
		}
		if path[0] != x.Parent() || path[len(path)-1] != Root(n) {
			t.Fatalf("direct path of %d: %v", x, path)
		}
		for _, p := range path {
			if !p.Covers(x) || x.Covers(p) {
				t.Fatalf("%d and its ancestor %d", x, p)
			}
		}
		y := Node(rapid.Uint32Range(0, Width(n)-1).Draw(t, "other node"))
		if c := Common(x, y); !c.Covers(x) || !c.Covers(y) || c != Common(y, x) {
			t.Fatalf("common ancestor of %d and %d: %d", x, y, c)
		}
	})
}

func TestEmpty(t *testing.T) {
	if Width(0) != 0 || Width(1) != 1 || Root(1) != 0 {
		t.Error("small trees")
	}
}
