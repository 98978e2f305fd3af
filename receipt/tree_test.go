package receipt

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// rfcRoot is MTH of RFC 9162 section 2.1.1, word by word.
func rfcRoot(leaves []Hash) Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	left, right := rfcRoot(leaves[:k]), rfcRoot(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

// rfcPath is PATH of section 2.1.3.1.
func rfcPath(m int, leaves []Hash) []Hash {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if m < k {
		return append(rfcPath(m, leaves[:k]), rfcRoot(leaves[k:]))
	}
	return append(rfcPath(m-k, leaves[k:]), rfcRoot(leaves[:k]))
}

// rfcRootFrom is the algorithm of section 2.1.3.2.
func rfcRootFrom(leaf Hash, index, size uint64, path []Hash) (Hash, bool) {
	if index >= size {
		return Hash{}, false
	}
	fn, sn, r := index, size-1, leaf
	for _, p := range path {
		if sn == 0 {
			return Hash{}, false
		}
		if fn&1 == 1 || fn == sn {
			r = sha256.Sum256(slices.Concat([]byte{1}, p[:], r[:]))
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = sha256.Sum256(slices.Concat([]byte{1}, r[:], p[:]))
		}
		fn, sn = fn>>1, sn>>1
	}
	return r, sn == 0
}

// TestTreeVectors: the roots of eight inputs that are in the tests of many Certificate Transparency implementations.
func TestTreeVectors(t *testing.T) {
	var leaves []Hash
	for i, v := range []struct{ input, root string }{
		{"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
		{"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
		{"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
		{"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
		{"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
		{"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
		{"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
	} {
		input, err := hex.DecodeString(v.input)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, hashLeaf(input))
		if root := newTree(leaves).root(); hex.EncodeToString(root[:]) != v.root {
			t.Errorf("root of %d leaves is %x, want %s", i+1, root, v.root)
		}
	}
}

func someLeaves(n int) []Hash {
	leaves := make([]Hash, n)
	for i := range leaves {
		leaves[i] = hashLeaf([]byte{byte(i), byte(i >> 8)})
	}
	return leaves
}

// TestTree: roots and proofs are those of the RFC, for every leaf of small trees.
func TestTree(t *testing.T) {
	for n := 1; n <= 70; n++ {
		leaves := someLeaves(n)
		tree := newTree(leaves)
		if tree.root() != rfcRoot(leaves) {
			t.Fatalf("%d leaves: another root", n)
		}
		for i := range leaves {
			path := tree.path(i)
			if !slices.Equal(path, rfcPath(i, leaves)) {
				t.Fatalf("%d leaves: another proof for leaf %d", n, i)
			}
			if root, ok := rootFrom(leaves[i], uint64(i), uint64(n), path); !ok || root != tree.root() {
				t.Fatalf("%d leaves: the proof for leaf %d does not hold", n, i)
			}
		}
	}
}

// TestTreeProperties: a proof holds for its leaf, place and tree, and for no other leaf, nor when it is changed; and the verifier agrees with the RFC's on whatever it is given.
func TestTreeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "size")
		i := rapid.IntRange(0, n-1).Draw(t, "leaf")
		leaves := someLeaves(n)
		tree := newTree(leaves)
		path := tree.path(i)
		index, size := uint64(i), uint64(n)
		if root, ok := rootFrom(leaves[i], index, size, path); !ok || root != tree.root() {
			t.Fatal("the proof does not hold")
		}
		other := hashLeaf([]byte("another"))
		if root, ok := rootFrom(other, index, size, path); ok && root == tree.root() {
			t.Fatal("the proof holds for another leaf")
		}
		if len(path) > 0 {
			changed := slices.Clone(path)
			changed[rapid.IntRange(0, len(path)-1).Draw(t, "sibling")][3] ^= 1
			if root, ok := rootFrom(leaves[i], index, size, changed); ok && root == tree.root() {
				t.Fatal("a changed proof holds")
			}
			if _, ok := rootFrom(leaves[i], index, size, path[1:]); ok {
				t.Fatal("a shorter proof is taken")
			}
		}
		if _, ok := rootFrom(leaves[i], index, size, append(path, other)); ok {
			t.Fatal("a longer proof is taken")
		}
		if elsewhere := rapid.Uint64Range(0, size+2).Draw(t, "place"); elsewhere != index {
			if root, ok := rootFrom(leaves[i], elsewhere, size, path); ok && root == tree.root() {
				t.Fatalf("the proof of leaf %d holds for leaf %d", i, elsewhere)
			}
		}
	})
}

// FuzzRootFrom: whatever a peer sends as a proof, our verifier says what the RFC's says.
func FuzzRootFrom(f *testing.F) {
	f.Add(uint64(0), uint64(1), []byte{})
	f.Add(uint64(5), uint64(7), make([]byte, 96))
	f.Add(uint64(6), uint64(7), make([]byte, 64))
	f.Add(uint64(1<<64-1), uint64(1<<64-1), make([]byte, 64*32))
	f.Add(uint64(1<<63), uint64(1<<64-1), make([]byte, 64*32))
	f.Fuzz(func(t *testing.T, index, size uint64, proof []byte) {
		var path []Hash
		for ; len(proof) >= 32 && len(path) <= 2*maxPath; proof = proof[32:] {
			path = append(path, Hash(proof))
		}
		leaf := hashLeaf([]byte("leaf"))
		got, ok := rootFrom(leaf, index, size, path)
		want, wantOK := rfcRootFrom(leaf, index, size, path)
		if ok != wantOK || ok && got != want {
			t.Fatalf("leaf %d of %d, %d siblings: %v, the RFC says %v", index, size, len(path), ok, wantOK)
		}
	})
}
