package main

import (
	"errors"
	"fmt"
	"slices"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/framing"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

type messageProtectionCase struct {
	Suite           uint16 `json:"cipher_suite"`
	GroupID         hx     `json:"group_id"`
	Epoch           uint64 `json:"epoch"`
	TreeHash        hx     `json:"tree_hash"`
	ConfirmedHash   hx     `json:"confirmed_transcript_hash"`
	SignaturePriv   hx     `json:"signature_priv"`
	SignaturePub    hx     `json:"signature_pub"`
	Encryption      hx     `json:"encryption_secret"`
	SenderData      hx     `json:"sender_data_secret"`
	Membership      hx     `json:"membership_key"`
	Proposal        hx     `json:"proposal"`
	ProposalPub     hx     `json:"proposal_pub"`
	ProposalPriv    hx     `json:"proposal_priv"`
	Commit          hx     `json:"commit"`
	CommitPub       hx     `json:"commit_pub"`
	CommitPriv      hx     `json:"commit_priv"`
	Application     hx     `json:"application"`
	ApplicationPriv hx     `json:"application_priv"`
}

// keys returns fresh keys of a two-leaf tree.
func (c *messageProtectionCase) keys(s *suite.Suite) *framing.Keys {
	context := codec.Encode(&wire.GroupContext{Version: wire.Version, Suite: s.ID, GroupID: c.GroupID,
		Epoch: c.Epoch, TreeHash: c.TreeHash, ConfirmedTranscriptHash: c.ConfirmedHash})
	return &framing.Keys{Suite: s, Context: context, SenderData: c.SenderData, Membership: c.Membership,
		Secrets: schedule.NewSecretTree(s, 2, slices.Clone(c.Encryption), limits)}
}

func messageProtection(c *messageProtectionCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	key, err := s.ParseSignatureKey(c.SignaturePriv)
	if err != nil {
		return err
	}
	if err := compare(pair{"signature key", key.Public(), c.SignaturePub}); err != nil {
		return err
	}
	for _, k := range []struct {
		kind      uint8
		raw       []byte
		pub, priv hx
	}{
		{wire.ContentProposal, c.Proposal, c.ProposalPub, c.ProposalPriv},
		{wire.ContentCommit, c.Commit, c.CommitPub, c.CommitPriv},
		{wire.ContentApplication, codec.AppendVec(nil, c.Application), nil, c.ApplicationPriv},
	} {
		for _, m := range []hx{k.pub, k.priv} {
			if m == nil {
				continue
			}
			if err := c.open(s, m, k.kind, k.raw); err != nil {
				return fmt.Errorf("content type %d: %w", k.kind, err)
			}
		}
		for _, format := range []uint16{wire.FormatPublicMessage, wire.FormatPrivateMessage} {
			if err := c.roundTrip(s, key, format, k.kind, k.raw); err != nil {
				return fmt.Errorf("own, content type %d: %w", k.kind, err)
			}
		}
	}
	return nil
}

// open unprotects a message of leaf 1 and compares its content.
func (c *messageProtectionCase) open(s *suite.Suite, message []byte, kind uint8, raw []byte) error {
	var m wire.Message
	if err := wire.Decode(message, &m); err != nil {
		return err
	}
	keys := c.keys(s)
	var ac *wire.AuthenticatedContent
	if m.Public != nil {
		var err error
		if ac, err = keys.OpenPublic(m.Public); err != nil {
			return err
		}
	} else {
		leaf, generation, guard, err := keys.Sender(m.Private)
		if err != nil {
			return err
		}
		o, err := keys.Open(m.Private, leaf, generation, guard)
		if err != nil {
			return err
		}
		o.Key.Spend()
		if _, err := keys.Open(m.Private, leaf, generation, guard); !errors.Is(err, schedule.ErrKeyGone) {
			return fmt.Errorf("the second opening gives %v", err)
		}
		ac = &o.AuthenticatedContent
	}
	if ac.Content.Type != kind || ac.Content.Sender.Index != 1 {
		return fmt.Errorf("content type %d from leaf %d", ac.Content.Type, ac.Content.Sender.Index)
	}
	return first(keys.Verify(ac, c.SignaturePub), compare(pair{"content", ac.Content.Body, raw}))
}

// roundTrip protects a content and opens it again.
func (c *messageProtectionCase) roundTrip(s *suite.Suite, key *suite.SignatureKey, format uint16, kind uint8, raw []byte) error {
	ac := &wire.AuthenticatedContent{WireFormat: format}
	ac.Content = wire.Content{GroupID: c.GroupID, Epoch: c.Epoch, Type: kind,
		Sender: wire.Sender{Type: wire.SenderMember, Index: 1}}
	r := codec.NewReader(raw)
	ac.Content.DecodeBody(r)
	if err := r.Done(); err != nil {
		return err
	}
	keys := c.keys(s)
	if err := keys.Sign(ac, key); err != nil {
		return err
	}
	if kind == wire.ContentCommit {
		ac.Auth.ConfirmationTag = s.Zero()
	}
	m := &wire.Message{Format: format}
	if format == wire.FormatPublicMessage {
		m.Public = keys.Public(ac)
		err := c.open(s, codec.Encode(m), kind, raw)
		if kind == wire.ContentApplication {
			if !errors.Is(err, framing.ErrPublicApplication) {
				return fmt.Errorf("application data as PublicMessage gives %v", err)
			}
			return nil
		}
		return err
	}
	sealed, err := keys.Seal(ac, func(n int) int { return n + 19 })
	if err != nil {
		return err
	}
	return c.open(s, sealed, kind, raw)
}
