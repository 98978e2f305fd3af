package mls

import (
	"bytes"
	"fmt"
	"math/bits"
	"testing"

	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

const benchSuite = X25519_AES128GCM_SHA256_Ed25519

// bigGroup is a group of n members as its first one sees it, with the keys of
// all others: a member's group is put together from both when it is needed, in
// the place of n groups that process every message.
type bigGroup struct {
	*Group
	ids     []*Identity
	bundles []*KeyPackageBundle
}

func (b *bigGroup) newcomer(tb testing.TB) (*Identity, *KeyPackageBundle) {
	id, err := GenerateBasicIdentity(benchSuite, fmt.Append(nil, "member ", len(b.ids)))
	if err != nil {
		tb.Fatal(err)
	}
	k, err := NewKeyPackage(id, KeyPackageOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return id, k
}

// newBigGroup adds n-1 members in commits of up to a thousand, which leaves the
// tree blank.
func newBigGroup(tb testing.TB, n int) *bigGroup {
	tb.Helper()
	b := &bigGroup{}
	id, k := b.newcomer(tb)
	g, err := NewGroup([]byte("bench"), id, GroupOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	b.Group, b.ids, b.bundles = g, append(b.ids, id), append(b.bundles, k)
	for len(b.ids) < n {
		opts := CommitOptions{OmitRatchetTree: true}
		for len(b.ids) < n && len(opts.Proposals) < 1000 {
			id, k := b.newcomer(tb)
			b.ids, b.bundles = append(b.ids, id), append(b.bundles, k)
			opts.Proposals = append(opts.Proposals, Proposal{&wire.Proposal{Type: wire.ProposalAdd, Add: k.pkg}})
		}
		if _, err := g.Commit(opts); err != nil {
			tb.Fatal(err)
		}
		if err := g.MergePending(); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

// as returns the group in the current epoch as a member sees it, without past
// epochs. Others than the first lack the keys of their path, which only who
// decrypts a path needs. b must not have used its message keys.
func (b *bigGroup) as(i int) *Group {
	e := *b.cur
	// A group wipes the keys that it replaces, so each has its own.
	e.private = &ratchet.Private{Self: ratchet.Leaf(i), Leaf: b.bundles[i].leaf.Clone(), Path: make(map[ratchet.Node]*suite.PrivateKey)}
	if i == 0 {
		e.private.Leaf = b.cur.private.Leaf.Clone()
		for x, k := range b.cur.private.Path {
			e.private.Path[x] = k.Clone()
		}
	}
	secrets := *b.cur.secrets
	for _, s := range []*[]byte{&secrets.SenderData, &secrets.Exporter, &secrets.External, &secrets.Confirmation,
		&secrets.Membership, &secrets.Resumption, &secrets.Authenticator, &secrets.Init} {
		*s = bytes.Clone(*s)
	}
	e.secrets = &secrets
	e.messages = schedule.NewSecretTree(b.suite, e.tree.Leaves(), bytes.Clone(b.cur.messages.Root()), b.policy.limits())
	return newGroup(b.ids[i], b.policy, &e)
}

// populate lets every member commit a path, so that every leaf is from a commit
// and no node is blank; the first member processes them all. The order, by
// reversed bits of the index, spreads the first commits over the tree: to fill
// it then takes n log n encryptions in the place of n².
func (b *bigGroup) populate(tb testing.TB) *bigGroup {
	tb.Helper()
	n := len(b.ids)
	width := bits.Len(uint(n - 1))
	for k := range 1 << width {
		i := int(bits.Reverse(uint(k)) >> (bits.UintSize - width))
		if i >= n {
			continue
		}
		g := b.as(i)
		r, err := g.Commit(CommitOptions{ForcePath: true, Framing: FramingPublic})
		if err != nil {
			tb.Fatal(err)
		}
		b.bundles[i].leaf = g.pending.next.private.Leaf
		if i == 0 {
			b.Group = g
			err = b.MergePending()
		} else {
			_, err = b.Process(r.Commit)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	b.Group = b.as(0)
	return b
}

// checkPopulated fails unless every member has committed and nothing is blank.
func (b *bigGroup) checkPopulated(tb testing.TB) {
	tb.Helper()
	t := b.cur.tree
	steps := 0
	for i := range b.ids {
		if leaf := t.Leaf(ratchet.Leaf(i)); leaf == nil || leaf.Source != wire.SourceCommit {
			tb.Fatalf("member %d has not committed", i)
		}
		for _, s := range t.FilteredPath(ratchet.Leaf(i)) {
			if p := t.Parent(s.Node); p == nil || len(p.Unmerged) > 0 {
				tb.Fatalf("node %d is blank or has unmerged leaves", s.Node)
			}
			steps++
		}
	}
	if keys := len(b.cur.private.Path); steps < len(b.ids)-1 || keys != len(t.FilteredPath(0)) {
		tb.Fatalf("%d steps, %d private keys", steps, keys)
	}
}

func mustBench[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
