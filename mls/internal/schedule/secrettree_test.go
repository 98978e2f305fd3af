package schedule

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/treemath"
)

func suite1(t interface{ Fatal(...any) }) *suite.Suite {
	s, err := suite.Lookup(suite.X25519AES128)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func secret() []byte { return bytes.Repeat([]byte{7}, 32) }

// TestReceiverFollowsSender draws keys on one tree in order and finds them on
// another in any order, saved and loaded in between.
func TestReceiverFollowsSender(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, limits := suite1(rt), Limits{Forward: 30, Kept: 30}
		leaves := uint32(1) << rapid.IntRange(0, 6).Draw(rt, "log leaves")
		sender := NewSecretTree(s, leaves, secret(), limits)
		receiver := NewSecretTree(s, leaves, secret(), limits)
		type sent struct {
			leaf       treemath.Leaf
			kind       Kind
			generation uint32
			key        Key
		}
		var all []sent
		for range rapid.IntRange(1, 20).Draw(rt, "messages") {
			l := treemath.Leaf(rapid.Uint32Range(0, leaves-1).Draw(rt, "leaf"))
			kind := Kind(rapid.IntRange(0, 1).Draw(rt, "kind"))
			g, k, err := sender.Next(l, kind)
			if err != nil {
				rt.Fatal(err)
			}
			all = append(all, sent{l, kind, g, k})
		}
		order := make([]int, len(all))
		for i := range order {
			order[i] = i
		}
		disk := map[bool]map[uint32][]byte{true: {}, false: {}}
		for _, i := range rapid.Permutation(order).Draw(rt, "order") {
			m := all[i]
			p, err := receiver.Find(m.leaf, m.kind, m.generation)
			if err != nil {
				rt.Fatal(err)
			}
			if !bytes.Equal(p.Key.Key, m.key.Key) || !bytes.Equal(p.Key.Nonce, m.key.Nonce) {
				rt.Fatalf("leaf %d, generation %d: another key", m.leaf, m.generation)
			}
			p.Discard()
			if wiped := make([]byte, s.Nk); !bytes.Equal(p.Key.Key, wiped) {
				rt.Fatal("a discarded key is not wiped")
			}
			again, err := receiver.Find(m.leaf, m.kind, m.generation)
			if err != nil || !bytes.Equal(again.Key.Key, m.key.Key) {
				rt.Fatalf("finding a key spends it: %v", err)
			}
			again.Spend()
			receiver = reload(rt, receiver, disk)
			if _, err := receiver.Find(m.leaf, m.kind, m.generation); !errors.Is(err, ErrKeyGone) {
				rt.Fatalf("a key can be used twice: %v", err)
			}
		}
	})
}

// reload stores the changes and reads everything back.
func reload(t *rapid.T, tree *SecretTree, disk map[bool]map[uint32][]byte) *SecretTree {
	put := func(kind bool) func(uint32, []byte) {
		return func(i uint32, v []byte) {
			if v == nil {
				delete(disk[kind], i)
			} else {
				disk[kind][i] = bytes.Clone(v)
			}
		}
	}
	tree.Changes(put(true), put(false))
	tree.Saved()
	out := EmptySecretTree(tree.suite, tree.leaves, tree.limits)
	for x, v := range disk[true] {
		if err := out.RestoreNode(x, v); err != nil {
			t.Fatal(err)
		}
	}
	for l, v := range disk[false] {
		if err := out.RestoreRatchet(l, v); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestBounds(t *testing.T) {
	s := suite1(t)
	tree := NewSecretTree(s, 4, secret(), Limits{Forward: 100, Kept: 10})
	for _, g := range []uint32{101, 1 << 31, 1<<32 - 1} {
		if n := testing.AllocsPerRun(10, func() {
			if _, err := tree.Find(1, Application, g); !errors.Is(err, ErrTooFar) {
				t.Errorf("generation %d: %v", g, err)
			}
		}); n > 1 {
			t.Errorf("refusing generation %d allocates %v times", g, n)
		}
	}
	if _, err := tree.Find(4, Application, 0); !errors.Is(err, ErrLeaf) {
		t.Errorf("leaf 4: %v", err)
	}
	p, err := tree.Find(1, Application, 100)
	if err != nil {
		t.Fatal(err)
	}
	p.Spend()
	if n := len(tree.chains[1][Application].kept); n != 10 {
		t.Errorf("%d keys are kept", n)
	}
	for g := range uint32(101) {
		_, err := tree.Find(1, Application, g)
		if kept := g >= 90 && g < 100; kept != (err == nil) {
			t.Errorf("generation %d: %v", g, err)
		}
	}
	tree.chains[1][Application].next = 1<<32 - 1
	if _, _, err := tree.Next(1, Application); !errors.Is(err, ErrExhausted) {
		t.Errorf("the last generation: %v", err)
	}
}

// TestSecretsAreSpent checks that no held secret leads to one that was used.
func TestSecretsAreSpent(t *testing.T) {
	tree := NewSecretTree(suite1(t), 8, secret(), Limits{Forward: 10, Kept: 10})
	for l := range treemath.Leaf(8) {
		if _, _, err := tree.Next(l, Application); err != nil {
			t.Fatal(err)
		}
		for x := range tree.nodes {
			for m := range l + 1 {
				if x.Covers(m.Node()) {
					t.Fatalf("node %d above the used leaf %d is still held", x, m)
				}
			}
		}
	}
	if len(tree.nodes) != 0 {
		t.Errorf("%d node secrets are left", len(tree.nodes))
	}
	held := tree.chains[3][Handshake].secret
	tree.Wipe()
	if !bytes.Equal(held, make([]byte, len(held))) {
		t.Error("secrets survive Wipe")
	}
	if _, _, err := tree.Next(3, Application); !errors.Is(err, ErrKeyGone) {
		t.Errorf("a wiped tree gives keys: %v", err)
	}
	entry := func(x uint32, _ []byte) { t.Errorf("a wiped tree has entry %d to save", x) }
	tree.Changes(entry, entry)
}

// TestWipedBeforeUse checks that what was wiped is empty, not a tree of zeros.
func TestWipedBeforeUse(t *testing.T) {
	tree := NewSecretTree(suite1(t), 4, secret(), Limits{Forward: 10, Kept: 10})
	tree.Wipe()
	if _, _, err := tree.Next(1, Application); !errors.Is(err, ErrKeyGone) {
		t.Errorf("sender: %v", err)
	}
	if _, err := tree.Find(2, Handshake, 0); !errors.Is(err, ErrKeyGone) {
		t.Errorf("receiver: %v", err)
	}
}

func TestRestoreRefusesDamage(t *testing.T) {
	tree := EmptySecretTree(suite1(t), 4, Limits{})
	for _, err := range []error{
		tree.RestoreNode(3, nil), tree.RestoreNode(7, secret()),
		tree.RestoreRatchet(0, nil), tree.RestoreRatchet(0, make([]byte, 12)),
	} {
		if err == nil {
			t.Error("damage is not noticed")
		}
	}
	s := suite1(t)
	key := func(g uint32, nk, nn int) keptKey { return keptKey{g, Key{make([]byte, nk), make([]byte, nn)}} }
	good := chain{secret: secret(), next: 9, kept: []keptKey{key(3, s.Nk, s.Nn), key(8, s.Nk, s.Nn)}}
	for name, kept := range map[string][]keptKey{
		"key":          {key(3, s.Nk-1, s.Nn)},
		"nonce":        {key(3, s.Nk, s.Nn+1)},
		"order":        {key(8, s.Nk, s.Nn), key(3, s.Nk, s.Nn)},
		"twice":        {key(3, s.Nk, s.Nn), key(3, s.Nk, s.Nn)},
		"not yet come": {key(9, s.Nk, s.Nn)},
	} {
		bad := chain{secret: secret(), next: 9, kept: kept}
		if err := tree.RestoreRatchet(0, good.append(bad.append(nil))); !errors.Is(err, ErrSaved) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := tree.RestoreRatchet(0, good.append(good.append(nil))); err != nil {
		t.Error(err)
	}
}

// TestLastGeneration walks both ends of a ratchet to the last generation.
func TestLastGeneration(t *testing.T) {
	s := suite1(t)
	const last = 1<<32 - 2
	sender := chain{secret: secret(), next: last}
	receiver := chain{secret: secret(), next: last}
	limits := Limits{Forward: 1<<32 - 1, Kept: 10}
	g, k, err := sender.take(s)
	if err != nil || g != last {
		t.Fatalf("generation %d: %v", g, err)
	}
	if _, _, err := sender.take(s); !errors.Is(err, ErrExhausted) {
		t.Errorf("after the last generation: %v", err)
	}
	a, err := receiver.find(s, last, limits)
	if err != nil || !bytes.Equal(a.key.Key, k.Key) {
		t.Fatalf("%v", err)
	}
	receiver.apply(a, limits)
	if _, err := receiver.find(s, last, limits); !errors.Is(err, ErrKeyGone) {
		t.Errorf("the last generation twice: %v", err)
	}
	if _, err := receiver.find(s, last+1, limits); !errors.Is(err, ErrTooFar) {
		t.Errorf("a generation that cannot be: %v", err)
	}
}

// FuzzRestoreRatchet reads saved ratchets.
func FuzzRestoreRatchet(f *testing.F) {
	tree := NewSecretTree(suite1(f), 2, secret(), Limits{Forward: 10, Kept: 10})
	if p, err := tree.Find(0, Application, 3); err == nil {
		p.Spend()
	}
	tree.Changes(func(uint32, []byte) {}, func(_ uint32, v []byte) { f.Add(v) })
	f.Fuzz(func(t *testing.T, b []byte) {
		tree := EmptySecretTree(suite1(t), 2, Limits{Forward: 10, Kept: 10})
		if tree.RestoreRatchet(0, b) == nil {
			_, _ = tree.Find(0, Application, 3)
		}
	})
}
