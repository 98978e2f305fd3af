package ratchet

import (
	"quicnprotochat/mls/internal/parallel"
	"quicnprotochat/mls/internal/wire"
)

// EachMember calls f for each member on all processors at once: f must be safe
// for that. It returns the first error that came up.
func (t *Tree) EachMember(f func(Leaf, *wire.LeafNode) error) error {
	members := make([]Leaf, 0, t.n)
	for l := Leaf(0); uint32(l) < t.n; l++ {
		if t.Leaf(l) != nil {
			members = append(members, l)
		}
	}
	return parallel.Do(len(members), func(i int) error { return f(members[i], t.Leaf(members[i])) })
}
