package mls_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"quicnprotochat/mls"
)

func TestJoinErrors(t *testing.T) {
	g := newTestGroup(t, suite1, 2, mls.Policy{})
	a, c := g.members[0], g.newClient(t)
	k, other := c.bundle(t), c.bundle(t)
	r := a.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{must2(mls.Add(k.Public()))(t)}, OmitRatchetTree: true})
	refs := must2(mls.WelcomeRefs(r.Welcome))(t)
	if len(refs) != 1 || !bytes.Equal(refs[0], k.Ref()) {
		t.Errorf("refs %x", refs)
	}
	tree := mls.JoinOptions{RatchetTree: r.RatchetTree}
	for _, v := range []struct {
		name    string
		welcome []byte
		k       *mls.KeyPackageBundle
		id      *mls.Identity
		opts    mls.JoinOptions
		want    error
	}{
		{"other package", r.Welcome, other, c.id, tree, mls.ErrNotForUs},
		{"other identity", r.Welcome, k, a.id, tree, mls.ErrWrongIdentity},
		{"no tree", r.Welcome, k, c.id, mls.JoinOptions{}, mls.ErrTreeMissing},
		{"old tree", r.Welcome, k, c.id, mls.JoinOptions{RatchetTree: a.group.RatchetTree()}, mls.ErrTreeHash},
		{"broken tree", r.Welcome, k, c.id, mls.JoinOptions{RatchetTree: []byte{1, 0}}, mls.ErrTree},
		{"not a welcome", r.Commit, k, c.id, tree, mls.ErrMalformed},
		{"credential", r.Welcome, k, c.id, mls.JoinOptions{RatchetTree: r.RatchetTree, Policy: mls.Policy{
			Validate: func(mls.Credential, mls.CredentialContext) error { return errors.New("no") }}}, mls.ErrCredential},
		{"fine", r.Welcome, k, c.id, tree, nil},
	} {
		if _, err := mls.Join(v.welcome, v.k, v.id, v.opts); !errors.Is(err, v.want) || (err == nil) != (v.want == nil) {
			t.Errorf("%s: %v, want %v", v.name, err, v.want)
		}
	}
	for i := 0; i < len(r.Welcome); i += 7 {
		bad := bytes.Clone(r.Welcome)
		bad[i] ^= 0x20
		if _, err := mls.Join(bad, k, c.id, tree); err == nil {
			t.Errorf("byte %d of a welcome can be changed", i)
		}
	}
	k.Wipe()
	if _, err := mls.Join(r.Welcome, k, c.id, tree); err == nil {
		t.Error("a wiped package still joins")
	}
}

func TestLastResortJoinsTwice(t *testing.T) {
	c := newClient(t, suite1, "carol")
	k := must2(mls.NewKeyPackage(c.id, mls.KeyPackageOptions{LastResort: true, LeafOptions: mls.LeafOptions{GREASE: true}}))(t)
	if !must2(mls.InspectKeyPackage(k.Message()))(t).LastResort {
		t.Error("not marked")
	}
	saved := must2(k.MarshalBinary())(t)
	for range 2 {
		g := newTestGroup(t, suite1, 2, mls.Policy{})
		r := g.members[1].commit(t, mls.CommitOptions{Proposals: []mls.Proposal{must2(mls.Add(k.Public()))(t)}})
		g.deliver(t, g.members[1], r)
		var again mls.KeyPackageBundle
		ok(t, again.UnmarshalBinary(saved))
		joined := *c
		joined.disk = map[string][]byte{}
		joined.join(t, r.Welcome, &again)
		again.Wipe()
		g.members = append(g.members, &joined)
		g.deliver(t, &joined, joined.commit(t, mls.CommitOptions{}))
		g.agree(t)
	}
}

func TestDamagedState(t *testing.T) {
	g := newTestGroup(t, suite1, 3, mls.Policy{})
	a := g.members[0]
	must2(a.group.ProposeUpdate())(t)
	a.commit(t, mls.CommitOptions{ByReference: [][]byte{}})
	records := a.records()
	if _, err := mls.LoadGroup(records, g.members[1].id, a.pol); !errors.Is(err, mls.ErrWrongIdentity) {
		t.Errorf("another identity: %v", err)
	}
	for i, r := range records {
		for _, cut := range []int{0, len(r.Value) / 2, len(r.Value) - 1} {
			damaged := append([]mls.Record(nil), records...)
			damaged[i].Value = r.Value[:cut]
			if _, err := mls.LoadGroup(damaged, a.id, a.pol); !errors.Is(err, mls.ErrState) {
				t.Errorf("%s with %d of %d bytes: %v", r.Key, cut, len(r.Value), err)
			}
		}
	}
	if _, err := mls.LoadGroup(nil, a.id, a.pol); !errors.Is(err, mls.ErrState) {
		t.Errorf("nothing: %v", err)
	}
}

func TestValidatorSeesContext(t *testing.T) {
	seen := map[mls.Reason]int{}
	pol := mls.Policy{Validate: func(c mls.Credential, ctx mls.CredentialContext) error {
		seen[ctx.Reason]++
		if len(c.Identity) == 0 || string(ctx.GroupID) != "group" || len(ctx.SignatureKey) != 32 {
			t.Errorf("%+v %+v", c, ctx)
		}
		if replaced := ctx.Reason == mls.ReasonUpdate || ctx.Reason == mls.ReasonCommit; replaced != (ctx.Previous != nil) && ctx.Reason != mls.ReasonExternalCommit {
			t.Errorf("previous credential for reason %d: %v", ctx.Reason, ctx.Previous)
		}
		return nil
	}}
	g := newTestGroup(t, suite1, 3, pol)
	a, b := g.members[0], g.members[1]
	m := must2(b.group.ProposeUpdate())(t)
	b.save()
	a.process(t, m)
	g.members[2].process(t, m)
	g.deliver(t, a, a.commit(t, mls.CommitOptions{}))
	info := must2(a.group.GroupInfo(mls.GroupInfoOptions{}))(t)
	joined, commit, err := mls.ExternalJoin(info, b.id, mls.ExternalJoinOptions{Policy: pol, Resync: true})
	ok(t, err)
	b.group = joined
	a.process(t, commit)
	g.members[2].process(t, commit)
	g.agree(t)
	ext := mls.GroupExtensions([]mls.Extension{mls.ExternalSenders(a.id.ExternalSender())})
	g.deliver(t, a, a.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{ext}}))
	for _, r := range []mls.Reason{mls.ReasonJoin, mls.ReasonAdd, mls.ReasonUpdate, mls.ReasonCommit, mls.ReasonExternalCommit, mls.ReasonExternalSender} {
		if seen[r] == 0 {
			t.Errorf("reason %d was never asked for", r)
		}
	}
}

// TestResyncOfAnotherIsRefused lets a client claim somebody else's place.
func TestResyncOfAnotherIsRefused(t *testing.T) {
	g := newTestGroup(t, suite1, 2, mls.Policy{})
	a, b := g.members[0], g.members[1]
	info := must2(a.group.GroupInfo(mls.GroupInfoOptions{}))(t)
	mallory := newClient(t, suite1, "mallory")
	anybody := mls.Policy{SameClient: func(x, y mls.Credential) bool { return string(x.Identity) == b.name }}
	_, commit, err := mls.ExternalJoin(info, mallory.id, mls.ExternalJoinOptions{Policy: anybody, Resync: true})
	ok(t, err)
	refuse(t, a, commit, mls.ErrExternalCommit)
	if _, _, err := mls.ExternalJoin(info, mallory.id, mls.ExternalJoinOptions{Resync: true}); !errors.Is(err, mls.ErrNotMember) {
		t.Errorf("resync of a stranger: %v", err)
	}
	closed := must2(a.group.GroupInfo(mls.GroupInfoOptions{OmitExternalPub: true}))(t)
	if _, _, err := mls.ExternalJoin(closed, mallory.id, mls.ExternalJoinOptions{}); !errors.Is(err, mls.ErrNoExternalPub) {
		t.Errorf("no external key: %v", err)
	}
	if _, _, err := mls.ExternalJoin(info, a.id, mls.ExternalJoinOptions{}); !errors.Is(err, mls.ErrDuplicateKey) {
		t.Errorf("a member joins again: %v", err)
	}
}

func TestReInitAndBranch(t *testing.T) {
	g := newTestGroup(t, suite1, 3, mls.Policy{})
	a, b, c := g.members[0], g.members[1], g.members[2]
	if _, _, err := a.group.Reinitialize(a.id, nil, mls.SubgroupOptions{}); !errors.Is(err, mls.ErrReInit) {
		t.Errorf("no reinit yet: %v", err)
	}
	k := b.bundle(t)
	n, res, err := a.group.Branch([]byte("branch"), a.id, [][]byte{k.Public()}, mls.SubgroupOptions{})
	ok(t, err)
	if _, err := mls.Join(res.Welcome, k, b.id, mls.JoinOptions{}); !errors.Is(err, mls.ErrPSKMissing) {
		t.Errorf("branch without its parent: %v", err)
	}
	sub := must2(mls.Join(res.Welcome, k, b.id, mls.JoinOptions{Parent: b.group}))(t)
	if !bytes.Equal(sub.EpochAuthenticator(), n.EpochAuthenticator()) || sub.Epoch() != 1 {
		t.Error("the branch differs")
	}
	unrelated := must2(mls.NewGroup([]byte("unrelated"), a.id, mls.GroupOptions{}))(t)
	k = b.bundle(t)
	add := must2(mls.Add(k.Public()))(t)
	other := must2(unrelated.Commit(mls.CommitOptions{Proposals: []mls.Proposal{add}}))(t)
	if _, err := mls.Join(other.Welcome, k, b.id, mls.JoinOptions{Parent: b.group}); !errors.Is(err, mls.ErrSubgroup) {
		t.Errorf("an unrelated group passed off as a branch: %v", err)
	}
	stranger := newClient(t, suite1, "stranger")
	if _, _, err := a.group.Branch([]byte("x"), a.id, [][]byte{stranger.bundle(t).Public()}, mls.SubgroupOptions{}); !errors.Is(err, mls.ErrSubgroup) {
		t.Errorf("branch with a stranger: %v", err)
	}

	p := mls.ReInit([]byte("successor"), mls.P256_AES128GCM_SHA256_P256, nil)
	g.deliver(t, a, a.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{p}}))
	g.agree(t)
	b.reload(t)
	for _, m := range []*client{a, b, c} {
		if _, s, ended := m.group.Reinitialized(); !ended || s != mls.P256_AES128GCM_SHA256_P256 {
			t.Errorf("%s: %v %v", m.name, s, ended)
		}
		if _, err := m.group.Commit(mls.CommitOptions{}); !errors.Is(err, mls.ErrReinitialized) {
			t.Errorf("commit after reinit: %v", err)
		}
	}
	ids, ks := map[*client]*mls.Identity{}, map[*client]*mls.KeyPackageBundle{}
	for _, m := range []*client{a, b, c} {
		ids[m] = must2(mls.GenerateBasicIdentity(mls.P256_AES128GCM_SHA256_P256, []byte(m.name)))(t)
		ks[m] = must2(mls.NewKeyPackage(ids[m], mls.KeyPackageOptions{}))(t)
	}
	if _, _, err := b.group.Reinitialize(ids[b], [][]byte{ks[a].Public()}, mls.SubgroupOptions{}); !errors.Is(err, mls.ErrSubgroup) {
		t.Errorf("somebody is missing: %v", err)
	}
	n, res, err = b.group.Reinitialize(ids[b], [][]byte{ks[a].Public(), ks[c].Public()}, mls.SubgroupOptions{ForcePath: true})
	ok(t, err)
	for _, m := range []*client{a, c} {
		joined := must2(mls.Join(res.Welcome, ks[m], ids[m], mls.JoinOptions{Parent: m.group}))(t)
		if !bytes.Equal(joined.EpochAuthenticator(), n.EpochAuthenticator()) {
			t.Errorf("%s is elsewhere", m.name)
		}
	}
}

func certificate(t *testing.T, key ed25519.PrivateKey) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<32, 0)}
	return must2(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
}

func TestX509Credentials(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	ok(t, err)
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	ok(t, err)
	if _, err := mls.NewX509Identity(suite1, key, [][]byte{certificate(t, foreign)}); !errors.Is(err, mls.ErrCredential) {
		t.Errorf("a certificate for another key: %v", err)
	}
	id := must2(mls.NewX509Identity(suite1, key, [][]byte{certificate(t, key)}))(t)
	g := newTestGroup(t, suite1, 2, mls.Policy{})
	c := &client{name: "x509", id: id, disk: map[string][]byte{}}
	g.add(t, g.members[0], c)
	g.deliver(t, c, c.commit(t, mls.CommitOptions{}))
	g.agree(t)
	if m := must2(g.members[0].group.Member(2))(t); m.Credential.Type != mls.CredentialX509 || len(m.Credential.Chain) != 1 {
		t.Errorf("%+v", m)
	}
}

// TestCredentialTypesMustBeShared keeps out a client that members do not
// understand, and one that does not understand a member.
func TestCredentialTypesMustBeShared(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	ok(t, err)
	a := newClient(t, suite1, "a")
	basicOnly := mls.DefaultCapabilities(suite1)
	basicOnly.Credentials = []uint16{mls.CredentialBasic}
	a.create(t, mls.GroupOptions{Leaf: mls.LeafOptions{Capabilities: &basicOnly}})
	id := must2(mls.NewX509Identity(suite1, key, [][]byte{certificate(t, key)}))(t)
	k := must2(mls.NewKeyPackage(id, mls.KeyPackageOptions{}))(t)
	if _, err := a.group.Commit(mls.CommitOptions{Proposals: []mls.Proposal{must2(mls.Add(k.Public()))(t)}}); !errors.Is(err, mls.ErrCapabilities) {
		t.Errorf("%v", err)
	}
}

func TestExternalSenders(t *testing.T) {
	g := newTestGroup(t, suite1, 2, mls.Policy{})
	a, b := g.members[0], g.members[1]
	service := must2(mls.GenerateBasicIdentity(suite1, []byte("service")))(t)
	info := func() []byte { return must2(a.group.GroupInfo(mls.GroupInfoOptions{}))(t) }
	if _, err := mls.ProposeExternally(info(), service, mls.Remove(1)); !errors.Is(err, mls.ErrSender) {
		t.Errorf("not listed: %v", err)
	}
	ext := mls.GroupExtensions([]mls.Extension{mls.ExternalSenders(a.id.ExternalSender(), service.ExternalSender())})
	g.deliver(t, a, a.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{ext}}))
	m := must2(mls.ProposeExternally(info(), service, mls.Remove(1)))(t)
	bad := bytes.Clone(m)
	bad[len(bad)-1] ^= 1
	refuse(t, a, bad, mls.ErrSignature)
	if p := a.process(t, m); p.SenderType != mls.SenderExternal || p.SenderLeaf != 1 || p.Proposal.Removed != 1 {
		t.Errorf("%+v", p)
	}
	b.process(t, m)
	r := a.commit(t, mls.CommitOptions{})
	if p := b.process(t, r.Commit); !p.SelfRemoved || len(p.Removed) != 1 {
		t.Errorf("%+v", p)
	}
	a.merge(t)

	c := g.newClient(t)
	k := c.bundle(t)
	m = must2(mls.ProposeJoin(info(), k, c.id))(t)
	if p := a.process(t, m); p.SenderType != mls.SenderNewMemberProposal || p.Proposal.Type != mls.ProposalAdd {
		t.Errorf("%+v", p)
	}
	r = a.commit(t, mls.CommitOptions{})
	a.merge(t)
	c.join(t, r.Welcome, k)
	g.members = []*client{a, c}
	g.agree(t)
	d := must2(mls.InspectGroupInfo(info(), nil, mls.Policy{}))(t)
	if len(d.Members) != 2 || !d.ExternalPub || d.Epoch != a.group.Epoch() || !bytes.Equal(d.TreeHash, c.group.TreeHash()) {
		t.Errorf("%+v", d)
	}
}

func TestIdentityRotation(t *testing.T) {
	g := newTestGroup(t, suite1, 2, mls.Policy{})
	a := g.members[0]
	old := a.id
	next := must2(mls.GenerateBasicIdentity(suite1, []byte(a.name)))(t)
	r := a.commit(t, mls.CommitOptions{Identity: next})
	a.reload(t) // the pending commit carries the new identity
	g.deliver(t, a, r)
	if !bytes.Equal(a.group.Identity().SignaturePublicKey(), next.SignaturePublicKey()) {
		t.Error("the identity did not change")
	}
	if _, err := mls.LoadGroup(a.records(), old, a.pol); !errors.Is(err, mls.ErrWrongIdentity) {
		t.Errorf("the old identity still loads: %v", err)
	}
	a.id = next
	a.reload(t)
	g.deliver(t, a, a.commit(t, mls.CommitOptions{}))
	g.agree(t)
}

func TestIdentityForms(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	ok(t, err)
	for _, raw := range [][]byte{key, key.Seed()} {
		id := must2(mls.NewBasicIdentity(suite1, raw, []byte("x")))(t)
		if !bytes.Equal(id.SignaturePublicKey(), pub) || !bytes.Equal(id.SignaturePrivateKey(), key.Seed()) {
			t.Error("keys differ")
		}
	}
	wrong := bytes.Clone(key)
	wrong[40] ^= 1
	for _, raw := range [][]byte{nil, key[:31], wrong} {
		if _, err := mls.NewBasicIdentity(suite1, raw, nil); !errors.Is(err, mls.ErrKey) {
			t.Errorf("%d bytes: %v", len(raw), err)
		}
	}
	if _, err := mls.GenerateBasicIdentity(99, nil); !errors.Is(err, mls.ErrUnknown) {
		t.Errorf("suite 99: %v", err)
	}
}
