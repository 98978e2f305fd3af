package ratchet

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

var groupID = []byte("group")

// model is a tree with the members' signature keys.
type model struct {
	t    *rapid.T
	s    *suite.Suite
	tree *Tree
	keys map[Leaf]*suite.SignatureKey
}

func newModel(t *rapid.T) *model {
	s, err := suite.Lookup(suite.X25519AES128)
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, s: s, keys: map[Leaf]*suite.SignatureKey{}}
	leaf, key := m.leaf(wire.SourceKeyPackage, 0)
	m.tree, m.keys[0] = New(s, leaf), key
	return m
}

func (m *model) leaf(source uint8, at Leaf) (*wire.LeafNode, *suite.SignatureKey) {
	k, err := m.s.GenerateKey()
	if err != nil {
		m.t.Fatal(err)
	}
	key, err := m.s.GenerateSignatureKey()
	if err != nil {
		m.t.Fatal(err)
	}
	leaf := &wire.LeafNode{EncryptionKey: k.Public(), SignatureKey: key.Public(), Source: source,
		Credential: wire.Credential{Type: wire.CredentialBasic, Identity: []byte("member")}}
	if err := leaf.Sign(m.s, key, groupID, uint32(at)); err != nil {
		m.t.Fatal(err)
	}
	return leaf, key
}

func (m *model) member(label string) Leaf {
	var all []Leaf
	for l := range m.keys {
		all = append(all, l)
	}
	slices.Sort(all)
	return rapid.SampledFrom(all).Draw(m.t, label)
}

func (m *model) step() {
	switch rapid.SampledFrom([]string{"add", "add", "update", "remove", "path", "path"}).Draw(m.t, "step") {
	case "add":
		leaf, key := m.leaf(wire.SourceKeyPackage, 0)
		l, err := m.tree.Add(leaf)
		if err != nil {
			m.t.Fatal(err)
		}
		m.keys[l] = key
	case "update":
		l := m.member("member")
		leaf, key := m.leaf(wire.SourceUpdate, l)
		if err := m.tree.Update(l, leaf); err != nil {
			m.t.Fatal(err)
		}
		m.keys[l] = key
	case "remove":
		if l := m.member("member"); len(m.keys) > 1 {
			if err := m.tree.Remove(l); err != nil {
				m.t.Fatal(err)
			}
			delete(m.keys, l)
		}
	case "path":
		l := m.member("member")
		leaf := *m.tree.Leaf(l)
		if _, err := m.tree.NewPath(l, &leaf, m.keys[l], groupID); err != nil {
			m.t.Fatal(err)
		}
	}
}

// TestTreeStaysValid compares the kept hashes of a changing tree with those of
// one read from its encoding, and checks all rules and forms of saving.
func TestTreeStaysValid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt)
		saved := m.tree.Clone()
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			before := m.tree.Clone()
			raw, hash := before.Append(nil), before.Hash()
			m.step()
			if rapid.Bool().Draw(rt, "hash now") {
				m.tree.Hash()
			}
			if !bytes.Equal(before.Append(nil), raw) || !bytes.Equal(before.Hash(), hash) {
				rt.Fatalf("a change of a clone changed the original")
			}
		}
		m.compare(m.tree.Append(nil), saved)
	})
}

func (m *model) compare(raw []byte, saved *Tree) {
	fresh, err := Decode(m.s, raw)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := fresh.Verify(); err != nil {
		m.t.Fatalf("%v", err)
	}
	pages := make([][]byte, m.tree.Pages())
	for i := range pages {
		pages[i] = m.tree.AppendPage(nil, i)
	}
	loaded, err := FromPages(m.s, m.tree.Leaves(), func(i int) []byte { return pages[i] })
	if err != nil {
		m.t.Fatal(err)
	}
	r := codec.NewReader(m.tree.AppendDiff(nil, saved))
	patched := ReadDiff(r, saved)
	if err := r.Done(); err != nil {
		m.t.Fatal(err)
	}
	for name, u := range map[string]*Tree{"decoded": fresh, "loaded": loaded, "patched": patched} {
		if !bytes.Equal(u.Hash(), m.tree.Hash()) || !bytes.Equal(u.Append(nil), raw) || u.Leaves() != m.tree.Leaves() {
			m.t.Fatalf("the %s tree differs", name)
		}
	}
	members := 0
	if err := fresh.EachMember(func(l Leaf, leaf *wire.LeafNode) error {
		return leaf.Verify(m.s, groupID, uint32(l))
	}); err != nil {
		m.t.Fatal(err)
	}
	_ = fresh.Members(func(Leaf, *wire.LeafNode) error { members++; return nil })
	if members != len(m.keys) {
		m.t.Fatalf("%d members, not %d", members, len(m.keys))
	}
}

// TestBrokenTrees changes a valid tree in ways that a joiner must notice.
func TestBrokenTrees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt)
		for range 5 {
			leaf, key := m.leaf(wire.SourceKeyPackage, 0)
			l, err := m.tree.Add(leaf)
			if err != nil {
				rt.Fatal(err)
			}
			m.keys[l] = key
		}
		for _, l := range []Leaf{0, 3, 5} {
			leaf := *m.tree.Leaf(l)
			if _, err := m.tree.NewPath(l, &leaf, m.keys[l], groupID); err != nil {
				rt.Fatal(err)
			}
		}
		extra, _ := m.leaf(wire.SourceKeyPackage, 0)
		if _, err := m.tree.Add(extra); err != nil {
			rt.Fatal(err)
		}
		broken := m.tree.Clone()
		x := Node(rapid.Uint32Range(0, broken.Width()/2-1).Draw(rt, "parent")*2 + 1)
		p := broken.Parent(x)
		if p == nil {
			return
		}
		q := *p
		switch rapid.IntRange(0, 4).Draw(rt, "what") {
		case 0:
			q.EncryptionKey = append([]byte{q.EncryptionKey[0] ^ 1}, q.EncryptionKey[1:]...)
		case 1:
			q.ParentHash = []byte("something else")
		case 2:
			q.Unmerged = append([]Leaf{99}, q.Unmerged...)
		case 3:
			first, _ := x.Span()
			if slices.Contains(q.Unmerged, first) {
				return
			}
			q.Unmerged = append([]Leaf{first}, q.Unmerged...)
		case 4:
			q.EncryptionKey = broken.Leaf(0).EncryptionKey
		}
		broken.setParent(x, &q)
		if err := broken.Verify(); !errors.Is(err, ErrTree) && !errors.Is(err, ErrParentHash) {
			rt.Fatalf("node %d: %v", x, err)
		}
	})
}

func TestDecodeErrors(t *testing.T) {
	s, err := suite.Lookup(suite.X25519AES128)
	if err != nil {
		t.Fatal(err)
	}
	parent := codec.Encode(&Parent{EncryptionKey: make([]byte, 32)})
	for name, b := range map[string][]byte{
		"empty":             {0},
		"blank":             {1, 0},
		"parent at a leaf":  codec.AppendVec(nil, append([]byte{1, nodeParent}, parent...)),
		"unknown node type": {2, 1, 3},
		"trailing":          {1, 0, 0},
		"truncated":         {5, 1},
		"optional":          {1, 2},
	} {
		if _, err := Decode(s, b); !errors.Is(err, ErrTree) {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := codec.AppendVec(nil, make([]byte, 2*MaxLeaves+2))
	if _, err := Decode(s, huge); !errors.Is(err, ErrTooLarge) {
		t.Errorf("huge: %v", err)
	}
	for _, n := range []uint32{0, 3, 2 * MaxLeaves} {
		if _, err := FromPages(s, n, func(int) []byte { return nil }); !errors.Is(err, ErrTree) {
			t.Errorf("%d leaves: %v", n, err)
		}
	}
}

// FuzzDecode reads trees: what can be read is written back the same, and can be
// verified without harm.
func FuzzDecode(f *testing.F) {
	s, err := suite.Lookup(suite.X25519AES128)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{1, 0})
	f.Add(codec.AppendVec(nil, append([]byte{0, 1, nodeParent}, codec.Encode(&Parent{Unmerged: []Leaf{0}})...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := Decode(s, b)
		if err != nil {
			return
		}
		if !bytes.Equal(tree.Append(nil), b) {
			t.Fatal("a tree is written back differently")
		}
		tree.Hash()
		_ = tree.Verify()
		for l := range min(tree.Leaves(), 64) {
			steps := tree.FilteredPath(Leaf(l))
			for _, step := range steps {
				if len(tree.Resolution(step.Copath, nil)) == 0 {
					t.Fatal(fmt.Sprint("an empty resolution in a filtered path of ", l))
				}
			}
		}
	})
}
