package mls

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/framing"
	"quicnprotochat/mls/internal/wire"
)

// ProposeJoin returns an MLSMessage by which a client that is not a member
// proposes to be added with its own KeyPackage, R §12.1.8. The group info is not
// verified: members decide about the proposal.
func ProposeJoin(groupInfo []byte, bundle *KeyPackageBundle, id *Identity) ([]byte, error) {
	m, err := proposeJoin(groupInfo, bundle, id)
	return m, op("propose to join", err)
}

func proposeJoin(groupInfo []byte, bundle *KeyPackageBundle, id *Identity) ([]byte, error) {
	info, s, err := parseGroupInfo(groupInfo)
	if err != nil {
		return nil, err
	}
	if bundle.suite.ID != s.ID {
		return nil, ErrSuite
	}
	if !bytes.Equal(bundle.pkg.Leaf.SignatureKey, id.key.Public()) {
		return nil, ErrWrongIdentity
	}
	p := &wire.Proposal{Type: wire.ProposalAdd, Add: bundle.pkg}
	return outside(info, id, wire.Sender{Type: wire.SenderNewMemberProposal}, p)
}

// ProposeExternally returns an MLSMessage by which a sender that the group lists
// in its external_senders proposes a change, R §12.1.8.1. The sender is found by
// the identity's signature key; the error is ErrSender when it is not listed.
func ProposeExternally(groupInfo []byte, id *Identity, p Proposal) ([]byte, error) {
	m, err := proposeExternally(groupInfo, id, p)
	return m, op("propose externally", err)
}

func proposeExternally(groupInfo []byte, id *Identity, p Proposal) ([]byte, error) {
	info, s, err := parseGroupInfo(groupInfo)
	if err != nil {
		return nil, err
	}
	w, err := p.withNonce(s)
	if err != nil {
		return nil, err
	}
	if !maySend(wire.SenderExternal, w.Type) {
		return nil, fmt.Errorf("%w: external sender, proposal type %d", ErrSender, w.Type)
	}
	var senders wire.ExternalSenders
	if data, ok := info.Context.Extensions.Find(wire.ExtExternalSenders); ok {
		if err := decode(data, &senders); err != nil {
			return nil, err
		}
	}
	for i, e := range senders {
		if bytes.Equal(e.SignatureKey, id.key.Public()) {
			return outside(info, id, wire.Sender{Type: wire.SenderExternal, Index: uint32(i)}, w)
		}
	}
	return nil, fmt.Errorf("%w: not an external sender of the group", ErrSender)
}

func outside(info *wire.GroupInfo, id *Identity, sender wire.Sender, p *wire.Proposal) ([]byte, error) {
	ac := &wire.AuthenticatedContent{WireFormat: wire.FormatPublicMessage}
	ac.Content = wire.Content{GroupID: info.Context.GroupID, Epoch: info.Context.Epoch, Sender: sender}
	ac.Content.SetProposal(p)
	keys := &framing.Keys{Suite: id.suite}
	if err := keys.Sign(ac, id.key); err != nil {
		return nil, err
	}
	return codec.Encode(&wire.Message{Format: wire.FormatPublicMessage, Public: keys.Public(ac)}), nil
}
