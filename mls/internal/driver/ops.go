package main

import (
	"bytes"
	"errors"
	"fmt"

	"quicnprotochat/mls"
)

func (c *client) newBundle(s mls.Suite) (*mls.KeyPackageBundle, error) {
	id, err := c.identity(s)
	if err != nil {
		return nil, err
	}
	b, err := mls.NewKeyPackage(id, mls.KeyPackageOptions{})
	if err == nil {
		c.bundles = append(c.bundles, b)
	}
	return b, err
}

func keyPackage(_ *driver, c *client, _ *request) (answer, error) {
	b, err := c.newBundle(c.suite)
	if err != nil {
		return nil, err
	}
	return answer{"key_package": hx(b.Public()), "mls_message": hx(b.Message()), "ref": hx(b.Ref())}, nil
}

func createGroup(_ *driver, c *client, r *request) (answer, error) {
	id, err := c.identity(c.suite)
	if err != nil {
		return nil, err
	}
	g, err := mls.NewGroup(r.GroupID, id, mls.GroupOptions{Policy: c.policy(), Extensions: extensions(r.Extensions)})
	if err != nil {
		return nil, err
	}
	return answer{"group": c.keep(g), "epoch": g.Epoch()}, nil
}

// joinWith joins through a Welcome for one of the client's KeyPackages.
func (c *client) joinWith(r *request, parent *mls.Group) (answer, error) {
	tree, err := r.tree()
	if err != nil {
		return nil, err
	}
	refs, err := mls.WelcomeRefs(r.Welcome)
	if err != nil {
		return nil, err
	}
	for i, b := range c.bundles {
		for _, ref := range refs {
			if !bytes.Equal(ref, b.Ref()) {
				continue
			}
			id, err := c.identity(b.Suite())
			if err != nil {
				return nil, err
			}
			g, err := mls.Join(r.Welcome, b, id, mls.JoinOptions{Policy: c.policy(), RatchetTree: tree, Parent: parent})
			if err != nil {
				return nil, err
			}
			b.Wipe()
			c.bundles = append(c.bundles[:i], c.bundles[i+1:]...)
			return answer{"group": c.keep(g), "epoch": g.Epoch(), "leaf": g.OwnLeaf()}, nil
		}
	}
	return nil, errors.New("welcome is for none of my key packages")
}

func join(_ *driver, c *client, r *request) (answer, error) { return c.joinWith(r, nil) }

func groupInfo(_ *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	info, err := g.GroupInfo(mls.GroupInfoOptions{OmitRatchetTree: r.omitTree()})
	if err != nil {
		return nil, err
	}
	out := answer{"group_info": hx(info)}
	if r.omitTree() {
		out["ratchet_tree"] = hx(g.RatchetTree())
	}
	return out, nil
}

func externalJoin(_ *driver, c *client, r *request) (answer, error) {
	tree, err := r.tree()
	if err != nil {
		return nil, err
	}
	id, err := c.identity(c.suite)
	if err != nil {
		return nil, err
	}
	opts := mls.ExternalJoinOptions{Policy: c.policy(), RatchetTree: tree, Resync: r.Resync}
	for _, psk := range r.PSKs {
		opts.PSKs = append(opts.PSKs, mls.ExternalPSK(psk))
	}
	g, commit, err := mls.ExternalJoin(r.GroupInfo, id, opts)
	if err != nil {
		return nil, err
	}
	return answer{"group": c.keep(g), "commit": hx(commit), "epoch": g.Epoch(), "leaf": g.OwnLeaf()}, nil
}

func protect(_ *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	m, err := g.Protect(r.Plaintext, r.AAD)
	return answer{"message": hx(m)}, err
}

func process(_ *driver, c *client, r *request) (answer, error) {
	m, err := mls.PeekMessage(r.Message)
	if err != nil {
		return nil, err
	}
	g := c.groups[string(m.GroupID)]
	if g == nil {
		return nil, errors.New("message for no group of mine")
	}
	p, err := g.Process(r.Message)
	if err != nil {
		return nil, err
	}
	out := answer{"kind": p.Kind.String(), "epoch": p.Epoch, "aad": hx(p.AAD)}
	if p.Kind == mls.KindApplication {
		out["plaintext"] = hx(p.Plaintext)
		return out, nil
	}
	c.keep(g)
	switch {
	case p.SelfRemoved:
		out["group_state"] = "removedFromGroup"
	case p.ReInit:
		out["group_state"] = "suspendedPendingReinit"
	}
	return out, nil
}

func pskRegister(_ *driver, c *client, r *request) (answer, error) {
	c.psks[string(r.PSKID)] = r.PSK
	return answer{}, nil
}

// build makes a proposal for a group.
func (p *proposal) build(groupID []byte, members []mls.Member) (mls.Proposal, error) {
	switch p.Type {
	case "add":
		return mls.Add(p.KeyPackage)
	case "remove":
		leaf, err := p.target(members)
		return mls.Remove(leaf), err
	case "psk":
		return mls.ExternalPSK(p.PSKID), nil
	case "resumption_psk":
		return mls.ResumptionPSK(groupID, p.Epoch), nil
	case "group_context_extensions":
		return mls.GroupExtensions(extensions(p.Extensions)), nil
	case "reinit":
		return mls.ReInit(p.GroupID, mls.Suite(p.Suite), extensions(p.Extensions)), nil
	}
	return mls.Proposal{}, fmt.Errorf("no proposal type %q", p.Type)
}

func (p *proposal) target(members []mls.Member) (uint32, error) {
	if p.Leaf != nil {
		return *p.Leaf, nil
	}
	name := []byte(p.Name)
	if p.IdentityHex != nil {
		name = *p.IdentityHex
	}
	for _, m := range members {
		if bytes.Equal(m.Credential.Identity, name) {
			return m.Leaf, nil
		}
	}
	return 0, errors.New("no such member")
}

func propose(kind string) func(*driver, *client, *request) (answer, error) {
	return func(_ *driver, c *client, r *request) (answer, error) {
		g, err := c.group(r)
		if err != nil {
			return nil, err
		}
		r.Type = kind
		p, err := r.build(g.GroupID(), g.Members())
		if err != nil {
			return nil, err
		}
		m, err := g.Propose(p, mls.ProposeOptions{Framing: r.framing()})
		return answer{"message": hx(m)}, err
	}
}

func proposeUpdate(_ *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	m, err := g.ProposeUpdateWith(mls.ProposeOptions{Framing: r.framing()})
	return answer{"message": hx(m)}, err
}

func proposeExternalSender(_ *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	var sender mls.ExternalSender
	if err := sender.UnmarshalBinary(r.ExternalSender); err != nil {
		return nil, err
	}
	var senders []mls.ExternalSender
	var list []mls.Extension
	for _, e := range g.Extensions() {
		if e.Type != mls.ExtensionExternalSenders {
			list = append(list, e)
		} else if senders, err = mls.ParseExternalSenders(e.Data); err != nil {
			return nil, err
		}
	}
	list = append(list, mls.ExternalSenders(append(senders, sender)...))
	m, err := g.Propose(mls.GroupExtensions(list), mls.ProposeOptions{Framing: r.framing()})
	return answer{"message": hx(m)}, err
}

func export(_ *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	secret, err := g.Export(r.Label, r.Context, r.Length)
	return answer{"secret": hx(secret)}, err
}

func state(_ *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	var roster []answer
	for _, m := range g.Members() {
		roster = append(roster, answer{"leaf": m.Leaf, "identity": hx(m.Credential.Identity), "signature_key": hx(m.SignatureKey)})
	}
	var list []extension
	for _, e := range g.Extensions() {
		list = append(list, extension{e.Type, e.Data})
	}
	_, _, reinit := g.Reinitialized()
	return answer{"group": hx(g.GroupID()), "epoch": g.Epoch(), "epoch_authenticator": hx(g.EpochAuthenticator()),
		"tree_hash": hx(g.TreeHash()), "confirmed_transcript_hash": hx(g.ConfirmedTranscriptHash()),
		"extensions": list, "members": len(roster), "leaf": g.OwnLeaf(), "active": !g.Removed() && !reinit,
		"roster": roster}, nil
}
