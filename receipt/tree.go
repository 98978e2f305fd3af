package receipt

import (
	"crypto/sha256"
	"math/bits"
)

// Hash is a SHA-256.
type Hash = [sha256.Size]byte

// What is hashed begins with one of these, so that a leaf is never taken for a node.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// hashLeaf is the hash of a leaf with this content.
func hashLeaf(content []byte) Hash {
	h := sha256.New()
	h.Write([]byte{leafPrefix})
	h.Write(content)
	return Hash(h.Sum(nil))
}

func hashNode(left, right *Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = nodePrefix
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// tree is a Merkle tree. It does not change. levels[0] are the leaves; in each level a node without a sibling goes up as it is, which gives the same root as
// the definition of RFC 9162, that splits at the largest power of two below the size.
type tree struct {
	levels [][]Hash
}

// newTree makes a tree of one leaf or more. It keeps leaves.
func newTree(leaves []Hash) *tree {
	t := &tree{levels: [][]Hash{leaves}}
	for level := leaves; len(level) > 1; {
		above := make([]Hash, 0, (len(level)+1)/2)
		for i := 0; i+1 < len(level); i += 2 {
			above = append(above, hashNode(&level[i], &level[i+1]))
		}
		if len(level)%2 == 1 {
			above = append(above, level[len(level)-1])
		}
		t.levels = append(t.levels, above)
		level = above
	}
	return t
}

func (t *tree) root() Hash { return t.levels[len(t.levels)-1][0] }

// path is the inclusion proof of a leaf, from the leaf up (RFC 9162 section 2.1.3.1).
func (t *tree) path(index int) []Hash {
	var path []Hash
	for _, level := range t.levels[:len(t.levels)-1] {
		if sibling := index ^ 1; sibling < len(level) {
			path = append(path, level[sibling])
		}
		index /= 2
	}
	return path
}

// rootFrom computes the root of a tree of size leaves from one of them and its inclusion proof (RFC 9162 section 2.1.3.2). It is false if the proof has another length
// than that leaf's.
func rootFrom(leaf Hash, index, size uint64, path []Hash) (Hash, bool) {
	if index >= size || len(path) != pathLength(index, size) {
		return Hash{}, false
	}
	node, last := leaf, size-1
	for i := range path {
		for index%2 == 0 && index == last && last > 0 { // no sibling here
			index, last = index/2, last/2
		}
		if index%2 == 1 {
			node = hashNode(&path[i], &node)
		} else {
			node = hashNode(&node, &path[i])
		}
		index, last = index/2, last/2
	}
	return node, true
}

// pathLength is how many siblings there are from a leaf up: one a level below that where its way joins the last leaf's, and above it where the last leaf's has one to the left.
func pathLength(index, size uint64) int {
	inner := bits.Len64(index ^ (size - 1))
	return inner + bits.OnesCount64((size-1)>>inner)
}
