package mls

import (
	"errors"
	"testing"

	"quicnprotochat/mls/internal/suite"
)

// wiped counts the keys of a list that are overwritten.
func wiped(keys []*suite.PrivateKey) int {
	n := 0
	for _, k := range keys {
		if len(k.Bytes()) == 0 {
			n++
		}
	}
	return n
}

func pathKeys(e *epoch) []*suite.PrivateKey {
	keys := []*suite.PrivateKey{e.private.Leaf}
	for _, k := range e.private.Path {
		keys = append(keys, k)
	}
	return keys
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return len(b) > 0
}

// TestKeysAreWiped follows the private keys of a full tree through a commit of
// our own, one that is discarded, and another's.
func TestKeysAreWiped(t *testing.T) {
	b := newBigGroup(t, 8).populate(t)
	g := b.as(0)
	commit := func(g *Group) []byte {
		t.Helper()
		r, err := g.Commit(CommitOptions{ForcePath: true})
		if err != nil {
			t.Fatal(err)
		}
		return r.Commit
	}
	other := commit(b.as(7))
	mine := pathKeys(g.cur)

	commit(g)
	lost := g.pending.next
	g.DiscardPending()
	if n := wiped(pathKeys(lost)); n != 4 || !zero(lost.secrets.Init) {
		t.Errorf("discarded: %d of 4 keys wiped, init secret %x", n, lost.secrets.Init)
	}
	if n := wiped(mine); n != 0 {
		t.Errorf("discarding a commit wipes %d keys of the current epoch", n)
	}

	commit(g)
	lost = g.pending.next
	if _, err := g.Process(other); err != nil {
		t.Fatal(err)
	}
	if n := wiped(pathKeys(lost)); n != 4 {
		t.Errorf("lost to another: %d of 4 keys wiped", n)
	}
	// The other is in the other half: its path meets ours at the root alone.
	if n := wiped(mine); n != 1 {
		t.Errorf("processed: %d keys wiped, not that of the root alone", n)
	}
	if n := wiped(pathKeys(g.cur)); n != 0 {
		t.Errorf("%d keys in use are wiped", n)
	}

	mine = pathKeys(g.cur)
	commit(g)
	if n := wiped(mine); n != 0 {
		t.Errorf("staging a commit wipes %d keys", n)
	}
	if err := g.MergePending(); err != nil {
		t.Fatal(err)
	}
	if n := wiped(mine); n != 4 {
		t.Errorf("merged: %d of 4 keys wiped", n)
	}
	if n := wiped(pathKeys(g.cur)); n != 0 {
		t.Errorf("%d keys in use are wiped", n)
	}
}

// TestRefusedCommitKeepsUpdate refuses a commit that covers an own update after
// its path secrets are known, and then takes the same message: neither the key
// of the update nor that of the message may be gone.
func TestRefusedCommitKeepsUpdate(t *testing.T) {
	b := newBigGroup(t, 4)
	g, other := b.as(0), b.as(3)
	update, err := g.ProposeUpdate()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Process(update); err != nil {
		t.Fatal(err)
	}
	r, err := other.Commit(CommitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before, old, key := snapshot(g), g.cur.private.Leaf, g.proposals[0].leafKey
	g.policy.Validate = func(_ Credential, ctx CredentialContext) error {
		if ctx.Reason == ReasonCommit {
			return errors.New("not today")
		}
		return nil
	}
	if _, err := g.Process(r.Commit); !errors.Is(err, ErrCredential) {
		t.Fatalf("%v, want %v", err, ErrCredential)
	}
	if snapshot(g) != before {
		t.Error("a refused commit changes the state")
	}
	g.policy.Validate = nil
	if _, err := g.Process(r.Commit); err != nil {
		t.Fatal(err)
	}
	if err := other.MergePending(); err != nil {
		t.Fatal(err)
	}
	if string(g.EpochAuthenticator()) != string(other.EpochAuthenticator()) {
		t.Error("no agreement")
	}
	if g.cur.private.Leaf != key || len(key.Bytes()) == 0 || len(old.Bytes()) != 0 {
		t.Error("the updated key is not in use, or the old one not wiped")
	}
}

// TestDroppedUpdateIsWiped proposes an update that no commit covers.
func TestDroppedUpdateIsWiped(t *testing.T) {
	b := newBigGroup(t, 2)
	g, other := b.as(0), b.as(1)
	if _, err := g.ProposeUpdate(); err != nil {
		t.Fatal(err)
	}
	key := g.proposals[0].leafKey
	r, err := other.Commit(CommitOptions{ForcePath: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Process(r.Commit); err != nil {
		t.Fatal(err)
	}
	if len(key.Bytes()) != 0 || len(g.cur.private.Leaf.Bytes()) == 0 {
		t.Error("the key of the dropped update is there, or the own one is not")
	}
}

// TestFailedCommitKeepsKeys makes a commit that fails after its path is made, and
// wipes that: the keys in use must not go with it.
func TestFailedCommitKeepsKeys(t *testing.T) {
	b := newBigGroup(t, 4).populate(t)
	g := b.as(0)
	keys := pathKeys(g.cur)
	leaf := LeafOptions{Extensions: []Extension{{Type: 0x7777}, {Type: 0x7777}}}
	if _, err := g.Commit(CommitOptions{Leaf: &leaf}); err == nil {
		t.Fatal("a leaf with an extension twice is committed")
	}
	if n := wiped(keys); n != 0 || g.HasPending() {
		t.Errorf("a failed commit wipes %d keys", n)
	}
	if _, err := g.Commit(CommitOptions{ForcePath: true}); err != nil {
		t.Error(err)
	}
}

// TestKnownLeafOnly changes the signature of a leaf that a joiner knows: only the
// very leaf whose signature was found good is not verified again.
func TestKnownLeafOnly(t *testing.T) {
	b := newBigGroup(t, 2)
	v := b.cur.public
	known := &b.bundles[1].pkg.Leaf
	rules, err := newRequirements(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.checkTree(rules, &Policy{}, known); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{len(known.Raw()) - 1, 8} { // the signature, the encryption key
		raw := append([]byte(nil), known.Raw()...)
		raw[at] ^= 1
		bad := *known
		if err := decode(raw, &bad); err != nil {
			t.Fatal(err)
		}
		v.tree = b.cur.tree.Clone()
		v.tree.SetLeaf(1, &bad)
		if err := v.checkTree(rules, &Policy{}, known); !errors.Is(err, ErrSignature) {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}
}
