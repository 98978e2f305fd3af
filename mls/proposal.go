package mls

import (
	"bytes"
	"crypto/rand"
	"fmt"

	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// ProposalType is the type of a proposal, R §17.4.
type ProposalType uint16

// The proposal types.
const (
	ProposalAdd                    ProposalType = ProposalType(wire.ProposalAdd)
	ProposalUpdate                 ProposalType = ProposalType(wire.ProposalUpdate)
	ProposalRemove                 ProposalType = ProposalType(wire.ProposalRemove)
	ProposalPSK                    ProposalType = ProposalType(wire.ProposalPSK)
	ProposalReInit                 ProposalType = ProposalType(wire.ProposalReInit)
	ProposalExternalInit           ProposalType = ProposalType(wire.ProposalExternalInit)
	ProposalGroupContextExtensions ProposalType = ProposalType(wire.ProposalGroupContextExtensions)
)

// Proposal is a change that a member can propose or commit: made by the
// functions Add, Remove, ExternalPSK, ResumptionPSK, GroupExtensions and ReInit.
type Proposal struct {
	p *wire.Proposal
}

// Type returns the type of the proposal.
func (p Proposal) Type() ProposalType {
	if p.p == nil {
		return 0
	}
	return ProposalType(p.p.Type)
}

// Add proposes to add the client of a KeyPackage, raw or in an MLSMessage, R
// §12.1.1. The package is validated when it is proposed or committed.
func Add(keyPackage []byte) (Proposal, error) {
	p, _, err := parseKeyPackage(keyPackage)
	if err != nil {
		return Proposal{}, op("add", err)
	}
	return Proposal{&wire.Proposal{Type: wire.ProposalAdd, Add: p}}, nil
}

// Remove proposes to remove the member at a leaf, R §12.1.3.
func Remove(leaf uint32) Proposal {
	return Proposal{&wire.Proposal{Type: wire.ProposalRemove, Remove: leaf}}
}

// ExternalPSK proposes to mix in an external pre-shared key, R §12.1.4.
func ExternalPSK(id []byte) Proposal {
	return Proposal{&wire.Proposal{Type: wire.ProposalPSK,
		PSK: &wire.PSKID{Type: wire.PSKExternal, ID: bytes.Clone(id)}}}
}

// ResumptionPSK proposes to mix in the resumption PSK of an earlier epoch of a
// group, R §8.6.
func ResumptionPSK(groupID []byte, epoch uint64) Proposal {
	return Proposal{&wire.Proposal{Type: wire.ProposalPSK, PSK: &wire.PSKID{Type: wire.PSKResumption,
		Usage: wire.UsageApplication, GroupID: bytes.Clone(groupID), Epoch: epoch}}}
}

// GroupExtensions proposes to replace the extensions of the group context, R
// §12.1.7.
func GroupExtensions(list []Extension) Proposal {
	return Proposal{&wire.Proposal{Type: wire.ProposalGroupContextExtensions, Extensions: wireExtensions(list)}}
}

// ReInit proposes to end the group in favour of a new one, R §12.1.5.
func ReInit(groupID []byte, s Suite, extensions []Extension) Proposal {
	return Proposal{&wire.Proposal{Type: wire.ProposalReInit, ReInit: &wire.ReInit{GroupID: bytes.Clone(groupID),
		Version: wire.Version, Suite: uint16(s), Extensions: wireExtensions(extensions)}}}
}

// withNonce gives a PSK proposal a fresh nonce, R §8.4.
func (p Proposal) withNonce(s *suite.Suite) (*wire.Proposal, error) {
	if p.p == nil {
		return nil, fmt.Errorf("%w: empty proposal", ErrMalformed)
	}
	w := *p.p
	if w.Type == wire.ProposalPSK {
		id := *w.PSK
		id.Nonce = make([]byte, s.Nh)
		if _, err := rand.Read(id.Nonce); err != nil {
			return nil, err
		}
		w.PSK = &id
	}
	return &w, nil
}

// change is a proposal with where it comes from.
type change struct {
	*wire.Proposal
	sender wire.Sender
	ref    []byte // nil: by value
	cached *cachedProposal
}

// cachedProposal is a proposal that was sent or received in this epoch.
type cachedProposal struct {
	change
	seq     uint32   // counts up in the order of arrival
	message [32]byte // SHA-256 of the MLSMessage
	own     bool
	raw     []byte            // AuthenticatedContent
	leafKey *suite.PrivateKey // of an own update
}

// ProposalInfo describes a proposal.
type ProposalInfo struct {
	Ref           []byte // ProposalRef; nil: by value
	Type          ProposalType
	Sender        SenderType
	SenderIndex   uint32
	KeyPackage    []byte      // add: the raw package
	Removed       uint32      // remove: the leaf
	PSKID         []byte      // psk: the id of an external one
	Extensions    []Extension // group_context_extensions and reinit
	NewGroupID    []byte      // reinit
	NewSuite      Suite       // reinit
	NewSignature  []byte      // update: the leaf's signature key
	NewCredential Credential  // add and update
}

func (c change) info() ProposalInfo {
	i := ProposalInfo{Ref: bytes.Clone(c.ref), Type: ProposalType(c.Type),
		Sender: SenderType(c.sender.Type), SenderIndex: c.sender.Index}
	switch c.Type {
	case wire.ProposalAdd:
		i.KeyPackage = bytes.Clone(c.Add.Raw())
		i.NewCredential = newMember(0, &c.Add.Leaf).Credential
	case wire.ProposalUpdate:
		m := newMember(0, c.Update)
		i.NewSignature, i.NewCredential = m.SignatureKey, m.Credential
	case wire.ProposalRemove:
		i.Removed = c.Remove
	case wire.ProposalPSK:
		i.PSKID = bytes.Clone(c.PSK.ID)
	case wire.ProposalReInit:
		i.NewGroupID, i.NewSuite = bytes.Clone(c.ReInit.GroupID), Suite(c.ReInit.Suite)
		i.Extensions = fromWireExtensions(c.ReInit.Extensions)
	case wire.ProposalGroupContextExtensions:
		i.Extensions = fromWireExtensions(c.Extensions)
	}
	return i
}

// Proposals returns the proposals of this epoch that are not yet committed.
func (g *Group) Proposals() []ProposalInfo {
	out := make([]ProposalInfo, len(g.proposals))
	for i, c := range g.proposals {
		out[i] = c.info()
	}
	return out
}

func (g *Group) cachedByRef(ref []byte) *cachedProposal {
	for _, c := range g.proposals {
		if bytes.Equal(c.ref, ref) {
			return c
		}
	}
	return nil
}

func (g *Group) cachedByMessage(sum [32]byte) *cachedProposal {
	for _, c := range g.proposals {
		if c.message == sum {
			return c
		}
	}
	return nil
}

// leafOf returns the leaf at l.
func leafOf(t *ratchet.Tree, l uint32) (*wire.LeafNode, error) {
	if leaf := t.Leaf(ratchet.Leaf(l)); leaf != nil {
		return leaf, nil
	}
	return nil, fmt.Errorf("%w: leaf %d", ErrNotMember, l)
}
