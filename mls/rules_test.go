package mls

import (
	"errors"
	"testing"
	"time"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// ruleSet is a group of three and the parts that break rules.
type ruleSet struct {
	*bigGroup
	t *testing.T
}

func newRules(t *testing.T) *ruleSet { return &ruleSet{newBigGroup(t, 3), t} }

func member(i uint32) wire.Sender { return wire.Sender{Type: wire.SenderMember, Index: i} }

func (r *ruleSet) pkg(change func(*KeyPackageBundle, *Identity)) *wire.Proposal {
	r.t.Helper()
	id, b := r.newcomer(r.t)
	if change != nil {
		change(b, id)
		if err := b.pkg.Leaf.Sign(b.suite, id.key, nil, 0); err != nil {
			r.t.Fatal(err)
		}
		if err := b.pkg.Sign(b.suite, id.key); err != nil {
			r.t.Fatal(err)
		}
	}
	return &wire.Proposal{Type: wire.ProposalAdd, Add: b.pkg}
}

// update is a valid update of a member, changed and then signed.
func (r *ruleSet) update(i uint32, change func(*wire.LeafNode)) *wire.Proposal {
	r.t.Helper()
	key, err := r.suite.GenerateKey()
	if err != nil {
		r.t.Fatal(err)
	}
	leaf := *r.cur.tree.Leaf(ratchet.Leaf(i))
	leaf.Source, leaf.EncryptionKey, leaf.ParentHash = wire.SourceUpdate, key.Public(), nil
	if change != nil {
		change(&leaf)
	}
	if err := leaf.Sign(r.suite, r.ids[i].key, r.cur.context.GroupID, i); err != nil {
		r.t.Fatal(err)
	}
	return &wire.Proposal{Type: wire.ProposalUpdate, Update: &leaf}
}

func (r *ruleSet) psk(id string) *wire.Proposal {
	w, err := ExternalPSK([]byte(id)).withNonce(r.suite)
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// check plans and applies a list and returns the error.
func (r *ruleSet) check(committer wire.Sender, list ...change) error {
	p, err := r.cur.newPlan(list, committer)
	if err != nil {
		return err
	}
	p.own = true
	_, err = r.cur.apply(p, &r.policy)
	return err
}

func by(s wire.Sender, p *wire.Proposal) change { return change{Proposal: p, sender: s} }

func TestProposalListRules(t *testing.T) {
	r := newRules(t)
	committer, other, third := member(0), member(1), member(2)
	outside := wire.Sender{Type: wire.SenderNewMemberCommit}
	remove := func(i uint32) *wire.Proposal { return Remove(i).p }
	extensions := GroupExtensions(nil).p
	reinit := ReInit([]byte("new"), benchSuite, nil).p
	external := &wire.Proposal{Type: wire.ProposalExternalInit, ExternalInit: make([]byte, 32)}
	add, psk := r.pkg(nil), r.psk("id")
	resume, err := ResumptionPSK([]byte("bench"), 0).withNonce(r.suite)
	if err != nil {
		t.Fatal(err)
	}
	branch := &wire.Proposal{Type: wire.ProposalPSK, PSK: &wire.PSKID{Type: wire.PSKResumption, Usage: wire.UsageBranch, Nonce: resume.PSK.Nonce}}
	short := &wire.Proposal{Type: wire.ProposalPSK, PSK: &wire.PSKID{Type: wire.PSKExternal, Nonce: []byte{1}}}
	taken := r.pkg(func(b *KeyPackageBundle, id *Identity) { *id = *r.ids[1]; b.pkg.Leaf.SignatureKey = id.key.Public() })
	usedKey := r.pkg(func(b *KeyPackageBundle, _ *Identity) { b.pkg.Leaf.EncryptionKey = r.cur.tree.Leaf(1).EncryptionKey })
	ref := by(outside, remove(1))
	ref.ref = []byte{1}

	for _, c := range []struct {
		name      string
		committer wire.Sender
		list      []change
		want      error
	}{
		{"empty", committer, nil, nil},
		{"all kinds", committer, []change{by(committer, extensions), by(other, r.update(1, nil)), by(committer, remove(2)), by(committer, add), by(committer, psk)}, nil},
		{"update by committer", committer, []change{by(committer, r.update(0, nil))}, ErrUpdateByCommitter},
		{"remove committer", committer, []change{by(other, remove(0))}, ErrRemoveCommitter},
		{"remove twice", committer, []change{by(other, remove(2)), by(committer, remove(2))}, ErrSameTarget},
		{"update twice", committer, []change{by(other, r.update(1, nil)), by(other, r.update(1, nil))}, ErrSameTarget},
		{"update and remove", committer, []change{by(other, r.update(1, nil)), by(committer, remove(1))}, ErrSameTarget},
		{"remove nobody", committer, []change{by(committer, remove(3))}, ErrNotMember},
		{"remove outside the tree", committer, []change{by(committer, remove(1<<30))}, ErrNotMember},
		{"add twice", committer, []change{by(committer, add), by(other, add)}, ErrDuplicateAdd},
		{"add a member", committer, []change{by(committer, taken)}, ErrAlreadyMember},
		{"replace a member", committer, []change{by(committer, remove(1)), by(committer, taken)}, nil},
		{"add a used key", committer, []change{by(committer, usedKey)}, ErrDuplicateKey},
		{"same PSK twice", committer, []change{by(committer, psk), by(other, psk)}, ErrDuplicatePSK},
		{"PSK nonce", committer, []change{by(committer, short)}, ErrPSK},
		{"PSK for a branch", committer, []change{by(committer, branch)}, ErrPSK},
		{"extensions twice", committer, []change{by(committer, extensions), by(other, extensions)}, ErrDuplicateExtensions},
		{"reinit alone", committer, []change{by(committer, reinit)}, nil},
		{"reinit and add", committer, []change{by(committer, reinit), by(committer, add)}, ErrReInitNotAlone},
		{"reinit to itself", committer, []change{by(committer, ReInit([]byte("bench"), benchSuite, nil).p)}, ErrReInit},
		{"reinit to an old version", committer, []change{by(committer, &wire.Proposal{Type: wire.ProposalReInit, ReInit: &wire.ReInit{}})}, ErrReInit},
		{"external init of a member", committer, []change{by(committer, external)}, ErrSender},
		{"external init in a member's commit", committer, []change{by(outside, external)}, ErrExternalInit},
		{"update from outside", committer, []change{by(wire.Sender{Type: wire.SenderExternal}, r.update(1, nil))}, ErrSender},
		{"new member removes", committer, []change{by(wire.Sender{Type: wire.SenderNewMemberProposal}, remove(1))}, ErrSender},
		{"external commit", outside, []change{by(outside, external), by(outside, remove(1)), by(outside, psk)}, nil},
		{"external commit without init", outside, []change{by(outside, remove(1))}, ErrExternalInit},
		{"external commit, two inits", outside, []change{by(outside, external), by(outside, external)}, ErrExternalInit},
		{"external commit, two removes", outside, []change{by(outside, external), by(outside, remove(1)), by(outside, remove(2))}, ErrExternalCommit},
		{"external commit by reference", outside, []change{by(outside, external), ref}, ErrExternalCommit},
		{"external commit adds", outside, []change{by(outside, external), by(outside, add)}, ErrSender},
		{"update of another's leaf", committer, []change{by(third, r.update(1, nil))}, ErrDuplicateKey},
	} {
		if c.name == "update of another's leaf" {
			c.want = ErrSignature
		}
		if err := r.check(c.committer, c.list...); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestLeafRules(t *testing.T) {
	r := newRules(t)
	caps := func(f func(*wire.Capabilities)) func(*wire.LeafNode) {
		return func(n *wire.LeafNode) {
			c := n.Capabilities
			f(&c)
			n.Capabilities = c
		}
	}
	leafCases := []struct {
		name   string
		change func(*wire.LeafNode)
		want   error
	}{
		{"valid", func(*wire.LeafNode) {}, nil},
		{"low order key", func(n *wire.LeafNode) { n.EncryptionKey = make([]byte, 32) }, ErrKey},
		{"short key", func(n *wire.LeafNode) { n.EncryptionKey = []byte{1} }, ErrKey},
		{"no version", caps(func(c *wire.Capabilities) { c.Versions = nil }), ErrCapabilities},
		{"no credential type", caps(func(c *wire.Capabilities) { c.Credentials = nil }), ErrCapabilities},
		{"extension not listed", func(n *wire.LeafNode) { n.Extensions = wire.Extensions{{Type: 0xf123}} }, ErrCapabilities},
		{"default extension", func(n *wire.LeafNode) {
			n.Extensions = wire.Extensions{{Type: wire.ExtApplicationID, Data: []byte("id")}}
		}, nil},
		{"extension twice", func(n *wire.LeafNode) { n.Extensions = wire.Extensions{{Type: 1}, {Type: 1}} }, ErrExtension},
		{"source", func(n *wire.LeafNode) { n.Source = wire.SourceCommit }, ErrLeafSource},
		{"empty chain", func(n *wire.LeafNode) { n.Credential = wire.Credential{Type: CredentialX509} }, ErrCredential},
		{"no certificate", func(n *wire.LeafNode) { n.Credential = wire.Credential{Type: CredentialX509, Chain: [][]byte{{1}}} }, ErrCredential},
	}
	for _, c := range leafCases {
		if err := r.check(member(0), by(member(1), r.update(1, c.change))); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("update, %s: %v, want %v", c.name, err, c.want)
		}
		add := r.pkg(func(b *KeyPackageBundle, _ *Identity) { c.change(&b.pkg.Leaf) })
		if err := r.check(member(0), by(member(0), add)); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("add, %s: %v, want %v", c.name, err, c.want)
		}
		_, err := InspectKeyPackage(add.Add.Raw())
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("inspect, %s: %v, want %v", c.name, err, c.want)
		}
	}
	if err := r.check(member(0), by(member(1), r.update(1, func(n *wire.LeafNode) {
		n.EncryptionKey = r.cur.tree.Leaf(1).EncryptionKey
	}))); !errors.Is(err, ErrDuplicateKey) {
		t.Errorf("an update keeps its key: %v", err)
	}
}

func TestKeyPackageRules(t *testing.T) {
	r := newRules(t)
	for _, c := range []struct {
		name   string
		change func(*KeyPackageBundle, *Identity)
		want   error
	}{
		{"valid", func(*KeyPackageBundle, *Identity) {}, nil},
		{"version", func(b *KeyPackageBundle, _ *Identity) { b.pkg.Version = 2 }, ErrVersion},
		{"suite", func(b *KeyPackageBundle, _ *Identity) { b.pkg.Suite = suite.X25519ChaCha20 }, ErrSuite},
		{"same keys", func(b *KeyPackageBundle, _ *Identity) { b.pkg.InitKey = b.pkg.Leaf.EncryptionKey }, ErrInitKey},
		{"init key", func(b *KeyPackageBundle, _ *Identity) { b.pkg.InitKey = nil }, ErrKey},
		{"extension twice", func(b *KeyPackageBundle, _ *Identity) { b.pkg.Extensions = wire.Extensions{{Type: 9}, {Type: 9}} }, ErrExtension},
		{"expired", func(b *KeyPackageBundle, _ *Identity) { b.pkg.Leaf.NotAfter = b.pkg.Leaf.NotBefore + 1 }, ErrLifetime},
		{"not yet", func(b *KeyPackageBundle, _ *Identity) { b.pkg.Leaf.NotBefore = b.pkg.Leaf.NotAfter }, ErrLifetime},
	} {
		err := r.check(member(0), by(member(0), r.pkg(c.change)))
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for _, at := range []int{200, len(r.pkg(nil).Add.Raw()) - 1} {
		raw := append([]byte(nil), r.pkg(nil).Add.Raw()...)
		raw[at] ^= 1
		if _, err := InspectKeyPackage(raw); err == nil {
			t.Errorf("a package with a wrong byte %d is valid", at)
		}
	}
	if _, err := InspectKeyPackage([]byte{0, 1, 0xff, 0xff}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a broken package: %v", err)
	}
}

func TestGroupRequirements(t *testing.T) {
	r := newRules(t)
	required := func(e, p, c []uint16) []Extension { return []Extension{RequiredCapabilities(e, p, c)} }
	for _, c := range []struct {
		name string
		list []Extension
		want error
	}{
		{"credentials", required(nil, nil, []uint16{CredentialBasic, CredentialX509}), nil},
		{"default types", required([]uint16{1, 2, 3, 4, 5}, []uint16{1, 2, 3, 4, 5, 6, 7}, nil), nil},
		{"unknown credential", required(nil, nil, []uint16{99}), ErrCapabilities},
		{"unknown extension", required([]uint16{99}, nil, nil), ErrCapabilities},
		{"unknown proposal", required(nil, []uint16{99}, nil), ErrCapabilities},
		{"unsupported extension", []Extension{{Type: 99}}, ErrCapabilities},
		{"twice", []Extension{{Type: 10}, {Type: 10}}, ErrExtension},
		{"garbage", []Extension{{Type: ExtensionRequiredCapabilities, Data: []byte{9}}}, ErrExtension},
		{"senders garbage", []Extension{{Type: ExtensionExternalSenders, Data: []byte{9}}}, ErrExtension},
		{"a tree", []Extension{{Type: ExtensionRatchetTree}}, ErrExtension},
		{"no senders", []Extension{ExternalSenders()}, nil},
	} {
		err := r.check(member(0), by(member(0), GroupExtensions(c.list).p))
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		_, err = NewGroup([]byte("x"), r.ids[0], GroupOptions{Extensions: c.list})
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("new group, %s: %v, want %v", c.name, err, c.want)
		}
	}
}

// forge frames a commit that this package would not make, with all that a
// member can sign.
func (r *ruleSet) forge(g *Group, c *wire.Commit, change func(*wire.AuthenticatedContent)) []byte {
	r.t.Helper()
	ac := g.newContent(FramingPublic, nil)
	ac.Content.SetCommit(c)
	keys := g.cur.keys()
	if err := keys.Sign(ac, g.id.key); err != nil {
		r.t.Fatal(err)
	}
	ac.Auth.ConfirmationTag = make([]byte, r.suite.Nh)
	if change != nil {
		change(ac)
	}
	return codec.Encode(&wire.Message{Format: wire.FormatPublicMessage, Public: keys.Public(ac)})
}

func TestForgedCommits(t *testing.T) {
	r := newRules(t)
	bob := r.as(1)
	byValue := func(list ...*wire.Proposal) (out []wire.ProposalOrRef) {
		for _, p := range list {
			out = append(out, wire.ProposalOrRef{Proposal: p})
		}
		return out
	}
	path := func() *wire.UpdatePath {
		res, err := bob.Commit(CommitOptions{ForcePath: true, Framing: FramingPublic})
		if err != nil {
			t.Fatal(err)
		}
		bob.DiscardPending()
		var m wire.Message
		if err := decode(res.Commit, &m); err != nil {
			t.Fatal(err)
		}
		return m.Public.Content.Commit.Path
	}
	fewer, noLeaf, samekeys := path(), path(), path()
	fewer.Nodes = fewer.Nodes[:len(fewer.Nodes)-1]
	noLeaf.Leaf = *r.cur.tree.Leaf(1)
	samekeys.Nodes[0].EncryptionKey = samekeys.Leaf.EncryptionKey
	wrongHash, used, oneSecret := path(), path(), path()
	wrongHash.Nodes[0].EncryptionKey = path().Nodes[0].EncryptionKey
	used.Nodes[0].EncryptionKey = r.cur.tree.Leaf(2).EncryptionKey
	for i := range oneSecret.Nodes {
		oneSecret.Nodes[i].Secrets = nil
	}
	for _, c := range []struct {
		name   string
		commit *wire.Commit
		want   error
	}{
		{"no path", &wire.Commit{}, ErrPathRequired},
		{"remove without path", &wire.Commit{Proposals: byValue(Remove(2).p)}, ErrPathRequired},
		{"unknown reference", &wire.Commit{Proposals: []wire.ProposalOrRef{{Ref: []byte("x")}}}, ErrUnknownProposal},
		{"unknown PSK", &wire.Commit{Proposals: byValue(r.psk("unknown"))}, ErrPSKMissing},
		{"tag", &wire.Commit{Path: path()}, ErrConfirmationTag},
		{"fewer nodes", &wire.Commit{Path: fewer}, ErrPath},
		{"leaf of another source", &wire.Commit{Path: noLeaf}, ErrLeafSource},
		{"one key twice", &wire.Commit{Path: samekeys}, ErrDuplicateKey},
		{"a used key", &wire.Commit{Path: used}, ErrDuplicateKey},
		{"parent hash", &wire.Commit{Path: wrongHash}, ErrParentHash},
		{"secrets missing", &wire.Commit{Path: oneSecret}, ErrPath},
		{"removes us without path", &wire.Commit{Proposals: byValue(Remove(0).p)}, ErrPathRequired},
	} {
		before := snapshot(r.Group)
		if _, err := r.Process(r.forge(bob, c.commit, nil)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if snapshot(r.Group) != before {
			t.Errorf("%s: a failed call changed the group", c.name)
		}
	}
	m := r.forge(bob, &wire.Commit{Path: path()}, func(ac *wire.AuthenticatedContent) { ac.Auth.Signature[3] ^= 1 })
	if _, err := r.Process(m); !errors.Is(err, ErrSignature) {
		t.Errorf("signature: %v", err)
	}
	m[len(m)-1] ^= 1
	if _, err := r.Process(m); !errors.Is(err, ErrMembershipTag) {
		t.Errorf("membership tag: %v", err)
	}
}

func TestLifetimePolicies(t *testing.T) {
	r := newRules(t)
	expired := r.pkg(func(b *KeyPackageBundle, _ *Identity) { b.pkg.Leaf.NotAfter = 10; b.pkg.Leaf.NotBefore = 0 })
	for policy, want := range map[LifetimePolicy]error{LifetimeOwn: ErrLifetime, LifetimeStrict: ErrLifetime, LifetimeIgnore: nil} {
		r.policy.Lifetime = policy
		if err := r.check(member(0), by(member(0), expired)); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("own add, policy %d: %v", policy, err)
		}
		r.policy.Now = func() time.Time { return time.Unix(5, 0) }
		if err := r.check(member(0), by(member(0), expired)); err != nil {
			t.Errorf("in time, policy %d: %v", policy, err)
		}
		r.policy.Now = nil
	}
	// A group with an expired member can be joined, unless asked otherwise.
	r.policy.Lifetime = LifetimeIgnore
	id, k := r.newcomer(t)
	r.Group.policy.Lifetime = LifetimeIgnore
	res, err := r.Commit(CommitOptions{Proposals: []Proposal{{expired}, {&wire.Proposal{Type: wire.ProposalAdd, Add: k.pkg}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Join(res.Welcome, k, id, JoinOptions{}); err != nil {
		t.Errorf("an expired leaf keeps others from joining: %v", err)
	}
	if _, err := Join(res.Welcome, k, id, JoinOptions{Policy: Policy{Lifetime: LifetimeStrict}}); !errors.Is(err, ErrLifetime) {
		t.Errorf("strict join: %v", err)
	}
}
