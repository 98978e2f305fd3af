package mls

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/wire"
)

// Wire formats, R §17.2.
const (
	FormatPublicMessage  uint16 = wire.FormatPublicMessage
	FormatPrivateMessage uint16 = wire.FormatPrivateMessage
	FormatWelcome        uint16 = wire.FormatWelcome
	FormatGroupInfo      uint16 = wire.FormatGroupInfo
	FormatKeyPackage     uint16 = wire.FormatKeyPackage
)

// Content types, R §6.
const (
	ContentApplication uint8 = wire.ContentApplication
	ContentProposal    uint8 = wire.ContentProposal
	ContentCommit      uint8 = wire.ContentCommit
)

// SenderType says what kind of party sent a message, R §6.
type SenderType uint8

// The sender types. SenderUnknown is that of an encrypted message before it is
// opened.
const (
	SenderUnknown           SenderType = 0
	SenderMember            SenderType = SenderType(wire.SenderMember)
	SenderExternal          SenderType = SenderType(wire.SenderExternal)
	SenderNewMemberProposal SenderType = SenderType(wire.SenderNewMemberProposal)
	SenderNewMemberCommit   SenderType = SenderType(wire.SenderNewMemberCommit)
)

// MessageInfo is what anybody can read of a message. The slices are views into
// the message that was given.
type MessageInfo struct {
	Format      uint16
	GroupID     []byte // of a PublicMessage, PrivateMessage or GroupInfo
	Epoch       uint64
	ContentType uint8 // of a PublicMessage or PrivateMessage
	AAD         []byte
	SenderType  SenderType // of a PublicMessage
	SenderIndex uint32     // leaf of a member, or number of an external sender
}

// PeekMessage reads the cleartext header of an MLSMessage. It verifies nothing
// and allocates nothing; what follows the header is not looked at.
func PeekMessage(raw []byte) (MessageInfo, error) {
	var m MessageInfo
	r := codec.NewReader(raw)
	if v := r.U16(); r.Err() == nil && v != wire.Version {
		return m, op("peek", ErrVersion)
	}
	m.Format = r.U16()
	switch m.Format {
	case FormatPublicMessage:
		m.GroupID, m.Epoch = r.Vec(), r.U64()
		var s wire.Sender
		s.Decode(r)
		m.SenderType, m.SenderIndex = SenderType(s.Type), s.Index
		m.AAD, m.ContentType = r.Vec(), r.U8()
	case FormatPrivateMessage:
		m.GroupID, m.Epoch, m.ContentType, m.AAD = r.Vec(), r.U64(), r.U8(), r.Vec()
	case FormatGroupInfo:
		r.U16()
		r.U16()
		m.GroupID, m.Epoch = r.Vec(), r.U64()
	case FormatWelcome, FormatKeyPackage:
	default:
		r.Fail(ErrUnsupported)
	}
	if m.Format <= FormatPrivateMessage && (m.ContentType < ContentApplication || m.ContentType > ContentCommit) {
		r.Fail(codec.ErrEnum)
	}
	if err := r.Err(); err != nil {
		return MessageInfo{}, op("peek", fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	return m, nil
}

// WelcomeRefs returns the KeyPackageRefs that a Welcome is for.
func WelcomeRefs(welcome []byte) ([][]byte, error) {
	var m wire.Message
	if err := decode(welcome, &m); err != nil {
		return nil, op("welcome", err)
	}
	if m.Welcome == nil {
		return nil, op("welcome", fmt.Errorf("%w: not a welcome", ErrMalformed))
	}
	refs := make([][]byte, len(m.Welcome.Secrets))
	for i, s := range m.Welcome.Secrets {
		refs[i] = bytes.Clone(s.NewMember)
	}
	return refs, nil
}
