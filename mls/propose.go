package mls

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// ProposeOptions says how a proposal travels.
type ProposeOptions struct {
	Framing Framing
	AAD     []byte
}

// Propose returns an MLSMessage that proposes a change, and caches the
// proposal: it is not to be fed to Process (which recognises it). Any member may
// commit it.
func (g *Group) Propose(p Proposal, opts ProposeOptions) ([]byte, error) {
	w, err := p.withNonce(g.suite)
	if err != nil {
		return nil, op("propose", err)
	}
	m, err := g.propose(w, nil, opts)
	return m, op("propose", err)
}

// ProposeAdd proposes to add the client of a KeyPackage, R §12.1.1.
func (g *Group) ProposeAdd(keyPackage []byte) ([]byte, error) {
	p, err := Add(keyPackage)
	if err != nil {
		return nil, err
	}
	return g.Propose(p, ProposeOptions{})
}

// ProposeRemove proposes to remove the member at a leaf, R §12.1.3.
func (g *Group) ProposeRemove(leaf uint32) ([]byte, error) {
	return g.Propose(Remove(leaf), ProposeOptions{})
}

// ProposeUpdate proposes new keys for this member's leaf, R §12.1.2. The private
// key is kept until the epoch ends.
func (g *Group) ProposeUpdate() ([]byte, error) { return g.ProposeUpdateWith(ProposeOptions{}) }

// ProposeUpdateWith is ProposeUpdate with options.
func (g *Group) ProposeUpdateWith(opts ProposeOptions) ([]byte, error) {
	key, err := g.suite.GenerateSpare()
	if err != nil {
		return nil, op("propose", err)
	}
	leaf := *g.cur.tree.Leaf(g.cur.private.Self)
	leaf.Source, leaf.EncryptionKey = wire.SourceUpdate, key.Public()
	leaf.NotBefore, leaf.NotAfter, leaf.ParentHash = 0, 0, nil
	if err := leaf.Sign(g.suite, g.id.key, g.cur.context.GroupID, g.OwnLeaf()); err != nil {
		return nil, op("propose", err)
	}
	m, err := g.propose(&wire.Proposal{Type: wire.ProposalUpdate, Update: &leaf}, key, opts)
	return m, op("propose", err)
}

func (g *Group) propose(w *wire.Proposal, key *suite.PrivateKey, opts ProposeOptions) ([]byte, error) {
	if err := g.active(); err != nil {
		return nil, err
	}
	ac := g.newContent(opts.Framing, opts.AAD)
	ac.Content.SetProposal(w)
	if err := g.cur.keys().Sign(ac, g.id.key); err != nil {
		return nil, err
	}
	c, err := g.checkProposal(ac, true)
	if err != nil {
		return nil, err
	}
	m, err := g.frame(ac)
	if err != nil {
		return nil, err
	}
	c.message, c.own, c.leafKey = sum(m), true, key
	g.cache(c)
	return m, nil
}

// checkProposal validates a proposal by itself, so that no invalid one is kept
// for a commit, R §12.2. The result shares no memory with ac.
func (g *Group) checkProposal(ac *wire.AuthenticatedContent, own bool) (*cachedProposal, error) {
	if len(g.proposals) >= g.policy.maxProposals() {
		return nil, fmt.Errorf("%w: %d proposals", ErrLimit, len(g.proposals))
	}
	c := &cachedProposal{raw: codec.Encode(ac)}
	if err := g.adopt(c); err != nil {
		return nil, err
	}
	p, err := g.cur.newPlan([]change{c.change}, wire.Sender{Type: wire.SenderMember, Index: ^uint32(0)})
	if err != nil {
		return nil, err
	}
	p.own = own
	_, err = g.cur.apply(p, &g.policy)
	return c, err
}

// adopt fills a cached proposal from its raw form.
func (g *Group) adopt(c *cachedProposal) error {
	var ac wire.AuthenticatedContent
	if err := decode(c.raw, &ac); err != nil {
		return err
	}
	if ac.Content.Proposal == nil {
		return fmt.Errorf("%w: not a proposal", ErrMalformed)
	}
	c.Proposal, c.sender = ac.Content.Proposal, ac.Content.Sender
	c.ref = g.suite.RefHash("MLS 1.0 Proposal Reference", c.raw)
	return nil
}

func (g *Group) cache(c *cachedProposal) {
	if old := g.cachedByRef(c.ref); old != nil {
		return
	}
	if n := len(g.proposals); n > 0 {
		c.seq = g.proposals[n-1].seq + 1
	}
	g.proposals = append(g.proposals, c)
	g.store.addProposal(c)
}

// ProposalRef returns the reference of a cached proposal, by the MLSMessage that
// carried it, for CommitOptions.ByReference.
func (g *Group) ProposalRef(message []byte) ([]byte, bool) {
	if c := g.cachedByMessage(sum(message)); c != nil {
		return bytes.Clone(c.ref), true
	}
	return nil, false
}

// ClearProposals forgets all cached proposals of this epoch; commits of others
// that refer to them will fail.
func (g *Group) ClearProposals() {
	for _, c := range g.proposals {
		g.store.dropProposal(c)
	}
	g.proposals = nil
}

// Protect encrypts application data as an MLSMessage, R §6.3 (aad is
// authenticated and readable). The group's state changes: save it before the
// message is sent.
func (g *Group) Protect(plaintext, aad []byte) ([]byte, error) {
	if err := g.active(); err != nil {
		return nil, op("protect", err)
	}
	ac := &wire.AuthenticatedContent{WireFormat: wire.FormatPrivateMessage}
	ac.Content = wire.Content{GroupID: g.cur.context.GroupID, Epoch: g.cur.context.Epoch, Sender: g.self(), AAD: aad}
	ac.Content.SetApplication(plaintext)
	if err := g.cur.keys().Sign(ac, g.id.key); err != nil {
		return nil, op("protect", err)
	}
	m, err := g.frame(ac)
	return m, op("protect", err)
}
