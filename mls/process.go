package mls

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/framing"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/wire"
)

// Kind says what a processed message was.
type Kind int

// The kinds.
const (
	KindApplication Kind = iota + 1
	KindProposal
	KindCommit
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindApplication:
		return "application"
	case KindProposal:
		return "proposal"
	case KindCommit:
		return "commit"
	}
	return "unknown"
}

// Processed is what Process found in a message. It shares no memory with it.
type Processed struct {
	Kind Kind
	// Epoch is the epoch that a commit began; of other messages, the one that they
	// were sent in.
	Epoch uint64
	// Own says that the message is this member's own commit or proposal, come back
	// from the delivery service.
	Own bool

	SenderType       SenderType
	SenderLeaf       uint32 // of a member; where a client that joined by itself now is; number of an external sender
	SenderCredential Credential
	SenderKey        []byte // signature key
	Generation       uint32 // of an encrypted message, counted by sender and epoch (requirement 6)
	AAD              []byte
	Plaintext        []byte // of application data

	Proposal *ProposalInfo // of a proposal

	// Of a commit:
	Added, Removed, Updated []Member
	Proposals               []ProposalInfo // that it covers, in order
	SelfRemoved             bool           // this member is out; the group stays in its last epoch
	ReInit                  bool           // the group has ended, see Group.Reinitialized
}

// Process takes any MLSMessage of the group: application data is decrypted, a
// proposal is checked and kept, a commit is checked and moves the group to its
// next epoch. An own commit that comes back merges the pending one; when another
// member's commit comes, a pending one is discarded. The order of application
// messages does not matter within the bounds of the policy; commits must come in
// order, after the proposals that they refer to.
func (g *Group) Process(message []byte) (*Processed, error) {
	p, err := g.process(message)
	if err != nil {
		return nil, op("process", err)
	}
	return p, nil
}

func (g *Group) process(message []byte) (*Processed, error) {
	var m wire.Message
	if err := decode(message, &m); err != nil {
		return nil, err
	}
	if own, err := g.echo(message, &m); own != nil || err != nil {
		return own, err
	}
	switch m.Format {
	case wire.FormatPrivateMessage:
		return g.processPrivate(message, m.Private)
	case wire.FormatPublicMessage:
		return g.processPublic(message, m.Public)
	}
	return nil, fmt.Errorf("%w: wire format %d is not for a group", ErrUnsupported, m.Format)
}

// echo recognises messages of ours that come back.
func (g *Group) echo(message []byte, m *wire.Message) (*Processed, error) {
	if m.Private != nil && m.Private.Type == wire.ContentApplication {
		return nil, nil
	}
	s := sum(message)
	own := &Processed{Own: true, SenderType: SenderMember, SenderLeaf: g.OwnLeaf(),
		SenderCredential: g.id.credential, SenderKey: g.id.SignaturePublicKey()}
	if g.pending != nil && g.pending.message == s {
		p := g.pending
		if err := g.MergePending(); err != nil {
			return nil, err
		}
		own.fill(p.info, g.Epoch())
		own.ReInit = g.status == statusReInit
		return own, nil
	}
	if g.lastOwn == s {
		own.fill(commitInfo{}, g.Epoch())
		return own, nil
	}
	if c := g.cachedByMessage(s); c != nil && c.own {
		info := c.info()
		own.Kind, own.Epoch, own.Proposal = KindProposal, g.Epoch(), &info
		return own, nil
	}
	return nil, nil
}

func (p *Processed) fill(i commitInfo, epoch uint64) {
	p.Kind, p.Epoch = KindCommit, epoch
	p.Added, p.Removed, p.Updated = members(i.added), members(i.removed), members(i.updated)
	for _, c := range i.changes {
		p.Proposals = append(p.Proposals, c.info())
	}
}

func (g *Group) processPrivate(message []byte, m *wire.PrivateMessage) (*Processed, error) {
	keys, leafAt, err := g.keysFor(m)
	if err != nil {
		return nil, err
	}
	index, generation, guard, err := keys.Sender(m)
	if err != nil {
		return nil, err
	}
	if index == g.OwnLeaf() {
		return nil, ErrOwnMessage
	}
	leaf := leafAt(ratchet.Leaf(index))
	if leaf == nil {
		return nil, fmt.Errorf("%w: leaf %d", ErrNotMember, index)
	}
	opened, err := keys.Open(m, index, generation, guard)
	if err != nil {
		return nil, err
	}
	spent := false
	spend := func() {
		spent = true
		opened.Key.Spend()
	}
	defer func() {
		if !spent {
			opened.Key.Discard()
		}
	}()
	if err := keys.Verify(&opened.AuthenticatedContent, leaf.SignatureKey); err != nil {
		return nil, err
	}
	p := &Processed{Epoch: m.Epoch, SenderType: SenderMember, SenderLeaf: index, Generation: generation}
	p.setSender(leaf.Credential, leaf.SignatureKey)
	p.AAD = bytes.Clone(m.AAD)
	if m.Type == wire.ContentApplication {
		p.Kind, p.Plaintext = KindApplication, opened.Content.Application
		spend()
		return p, nil
	}
	return p, g.handshake(message, &opened.AuthenticatedContent, p, spend)
}

func (p *Processed) setSender(c wire.Credential, key []byte) {
	p.SenderCredential = Credential{c.Type, bytes.Clone(c.Identity), cloneAll(c.Chain)}
	p.SenderKey = bytes.Clone(key)
}

// keysFor finds the keys of a message's epoch, and who was a member then.
func (g *Group) keysFor(m *wire.PrivateMessage) (*framing.Keys, func(ratchet.Leaf) *wire.LeafNode, error) {
	if !bytes.Equal(m.GroupID, g.cur.context.GroupID) {
		return nil, nil, ErrWrongGroup
	}
	if m.Epoch == g.cur.context.Epoch {
		return g.cur.keys(), g.cur.tree.Leaf, nil
	}
	if i, ok := g.pastIndex(m.Epoch); ok && m.Type == wire.ContentApplication {
		return g.pastKeys(i), func(l ratchet.Leaf) *wire.LeafNode { return g.leafAt(i, l) }, nil
	}
	return nil, nil, &EpochError{m.Epoch, g.cur.context.Epoch}
}

func (g *Group) processPublic(message []byte, m *wire.PublicMessage) (*Processed, error) {
	c := &m.Content
	if !bytes.Equal(c.GroupID, g.cur.context.GroupID) {
		return nil, ErrWrongGroup
	}
	if c.Type == wire.ContentApplication {
		return nil, ErrPublicApplication
	}
	if c.Epoch != g.cur.context.Epoch {
		return nil, &EpochError{c.Epoch, g.cur.context.Epoch}
	}
	ac, err := g.cur.keys().OpenPublic(m)
	if err != nil {
		return nil, err
	}
	p := &Processed{Epoch: c.Epoch, SenderType: SenderType(c.Sender.Type), SenderLeaf: c.Sender.Index}
	key, credential, err := g.publicSender(c)
	if err != nil {
		return nil, err
	}
	if err := g.cur.keys().Verify(ac, key); err != nil {
		return nil, err
	}
	p.setSender(credential, key)
	p.AAD = bytes.Clone(c.AAD)
	return p, g.handshake(message, ac, p, func() {})
}

// publicSender returns the signature key that a PublicMessage must verify with,
// R §6.1.
func (g *Group) publicSender(c *wire.Content) ([]byte, wire.Credential, error) {
	none := wire.Credential{}
	switch c.Sender.Type {
	case wire.SenderMember:
		if g.policy.RequirePrivate {
			return nil, none, fmt.Errorf("%w: handshake messages must be encrypted", ErrPolicy)
		}
		if c.Sender.Index == g.OwnLeaf() {
			return nil, none, ErrOwnMessage
		}
		leaf, err := leafOf(g.cur.tree, c.Sender.Index)
		if err != nil {
			return nil, none, err
		}
		return leaf.SignatureKey, leaf.Credential, nil
	case wire.SenderExternal:
		if c.Type != wire.ContentProposal {
			return nil, none, fmt.Errorf("%w: external sender", ErrSender)
		}
		s, err := g.cur.externalSender(c.Sender.Index)
		if err != nil {
			return nil, none, err
		}
		return s.SignatureKey, s.Credential, nil
	case wire.SenderNewMemberProposal:
		if c.Type != wire.ContentProposal || c.Proposal.Type != wire.ProposalAdd {
			return nil, none, fmt.Errorf("%w: new member proposes something else than itself", ErrSender)
		}
		return c.Proposal.Add.Leaf.SignatureKey, c.Proposal.Add.Leaf.Credential, nil
	}
	if c.Type != wire.ContentCommit {
		return nil, none, fmt.Errorf("%w: new member's commit is none", ErrSender)
	}
	if c.Commit.Path == nil {
		return nil, none, ErrPathRequired
	}
	return c.Commit.Path.Leaf.SignatureKey, c.Commit.Path.Leaf.Credential, nil
}

func (v *public) externalSender(i uint32) (*wire.ExternalSender, error) {
	var senders wire.ExternalSenders
	data, ok := v.context.Extensions.Find(wire.ExtExternalSenders)
	if ok {
		if err := decode(data, &senders); err != nil {
			return nil, err
		}
	}
	if uint64(i) >= uint64(len(senders)) {
		return nil, fmt.Errorf("%w: no external sender %d", ErrSender, i)
	}
	return &senders[i], nil
}

// handshake handles a proposal or commit whose signature was verified. spend
// deletes its message key once it is accepted.
func (g *Group) handshake(message []byte, ac *wire.AuthenticatedContent, p *Processed, spend func()) error {
	if err := g.active(); err != nil {
		return err
	}
	if ac.Content.Type == wire.ContentProposal {
		c, err := g.checkProposal(ac, false)
		if err != nil {
			return err
		}
		c.message = sum(message)
		spend()
		g.cache(c)
		info := c.info()
		p.Kind, p.Proposal = KindProposal, &info
		return nil
	}
	return g.receiveCommit(ac, p, spend)
}
