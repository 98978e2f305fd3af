package main

import (
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

type messagesCase struct {
	Welcome           hx `json:"mls_welcome"`
	GroupInfo         hx `json:"mls_group_info"`
	KeyPackage        hx `json:"mls_key_package"`
	RatchetTree       hx `json:"ratchet_tree"`
	GroupSecrets      hx `json:"group_secrets"`
	Add               hx `json:"add_proposal"`
	Update            hx `json:"update_proposal"`
	Remove            hx `json:"remove_proposal"`
	PSK               hx `json:"pre_shared_key_proposal"`
	ReInit            hx `json:"re_init_proposal"`
	ExternalInit      hx `json:"external_init_proposal"`
	Extensions        hx `json:"group_context_extensions_proposal"`
	Commit            hx `json:"commit"`
	PublicApplication hx `json:"public_message_application"`
	PublicProposal    hx `json:"public_message_proposal"`
	PublicCommit      hx `json:"public_message_commit"`
	Private           hx `json:"private_message"`
}

// object decodes, rebuilds and encodes.
type object interface {
	wire.Decoder
	codec.Encoder
}

func messages(c *messagesCase) error {
	for _, m := range []struct {
		name string
		raw  hx
		v    object
	}{
		{"welcome", c.Welcome, new(wire.Message)},
		{"group info", c.GroupInfo, new(wire.Message)},
		{"key package", c.KeyPackage, new(wire.Message)},
		{"group secrets", c.GroupSecrets, new(wire.GroupSecrets)},
		{"commit", c.Commit, new(wire.Commit)},
		{"public application", c.PublicApplication, new(wire.Message)},
		{"public proposal", c.PublicProposal, new(wire.Message)},
		{"public commit", c.PublicCommit, new(wire.Message)},
		{"private message", c.Private, new(wire.Message)},
	} {
		if err := wire.Decode(m.raw, m.v); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if err := compare(pair{m.name, codec.Encode(m.v), m.raw}); err != nil {
			return err
		}
	}
	for t, raw := range map[uint16]hx{
		wire.ProposalAdd: c.Add, wire.ProposalUpdate: c.Update, wire.ProposalRemove: c.Remove,
		wire.ProposalPSK: c.PSK, wire.ProposalReInit: c.ReInit, wire.ProposalExternalInit: c.ExternalInit,
		wire.ProposalGroupContextExtensions: c.Extensions,
	} {
		if err := proposal(t, raw); err != nil {
			return fmt.Errorf("proposal type %d: %w", t, err)
		}
	}
	s, err := suite.Lookup(suite.X25519AES128)
	if err != nil {
		return err
	}
	tree, err := ratchet.Decode(s, c.RatchetTree)
	if err != nil {
		return err
	}
	return compare(pair{"ratchet tree", tree.Append(nil), c.RatchetTree})
}

// proposal checks a proposal that is given without its type.
func proposal(t uint16, raw []byte) error {
	b := append(codec.AppendU16(nil, t), raw...)
	var p wire.Proposal
	if err := wire.Decode(b, &p); err != nil {
		return err
	}
	fields := []byte(nil) // leaves and packages from their fields, not as kept
	switch t {
	case wire.ProposalAdd:
		fields = p.Add.Append(nil)
	case wire.ProposalUpdate:
		fields = p.Update.Append(nil)
	default:
		fields = raw
	}
	return compare(pair{"proposal", codec.Encode(&p), b}, pair{"fields", fields, raw})
}
