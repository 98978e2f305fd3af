package wire

import (
	"quicnprotochat/mls/internal/codec"
)

// Content types, R §6.
const (
	ContentApplication uint8 = 1
	ContentProposal    uint8 = 2
	ContentCommit      uint8 = 3
)

// Sender types, R §6.
const (
	SenderMember            uint8 = 1
	SenderExternal          uint8 = 2
	SenderNewMemberProposal uint8 = 3
	SenderNewMemberCommit   uint8 = 4
)

// Sender says who sent a message: Index is a leaf index of a member, or an
// index into external_senders of an external sender.
type Sender struct {
	Type  uint8
	Index uint32
}

// Append encodes the sender.
func (s Sender) Append(b []byte) []byte {
	b = append(b, s.Type)
	if s.Type == SenderMember || s.Type == SenderExternal {
		b = codec.AppendU32(b, s.Index)
	}
	return b
}

// Decode reads a sender.
func (s *Sender) Decode(r *codec.Reader) {
	switch s.Type = r.U8(); s.Type {
	case SenderMember, SenderExternal:
		s.Index = r.U32()
	case SenderNewMemberProposal, SenderNewMemberCommit:
	default:
		r.Fail(codec.ErrEnum)
	}
}

// Content is a FramedContent, R §6. Body is the encoded content, in the same
// bytes that are signed; Application, Proposal or Commit is what it decodes to.
// Body is nil for application data of our own, which may be long.
type Content struct {
	GroupID     []byte
	Epoch       uint64
	Sender      Sender
	AAD         []byte
	Type        uint8
	Body        []byte
	Application []byte
	Proposal    *Proposal
	Commit      *Commit
}

// SetApplication makes the content application data.
func (c *Content) SetApplication(data []byte) {
	c.Type, c.Application, c.Body = ContentApplication, data, nil
}

// SetProposal makes the content a proposal.
func (c *Content) SetProposal(p *Proposal) {
	c.Type, c.Proposal, c.Body = ContentProposal, p, p.Append(nil)
}

// SetCommit makes the content a commit.
func (c *Content) SetCommit(m *Commit) {
	c.Type, c.Commit, c.Body = ContentCommit, m, m.Append(nil)
}

// Append encodes the content.
func (c *Content) Append(b []byte) []byte {
	b = codec.AppendU64(codec.AppendVec(b, c.GroupID), c.Epoch)
	b = codec.AppendVec(c.Sender.Append(b), c.AAD)
	return c.AppendBody(append(b, c.Type))
}

// AppendBody encodes the part that Type selects.
func (c *Content) AppendBody(b []byte) []byte {
	if c.Body == nil && c.Type == ContentApplication {
		return codec.AppendVec(b, c.Application)
	}
	return append(b, c.Body...)
}

// BodySize returns how many bytes AppendBody appends.
func (c *Content) BodySize() int {
	if c.Body == nil && c.Type == ContentApplication {
		return codec.HeaderSize(len(c.Application)) + len(c.Application)
	}
	return len(c.Body)
}

// Decode reads a content.
func (c *Content) Decode(r *codec.Reader) {
	c.GroupID, c.Epoch = r.Vec(), r.U64()
	c.Sender.Decode(r)
	c.AAD, c.Type = r.Vec(), r.U8()
	c.DecodeBody(r)
}

// DecodeBody reads the part that Type selects.
func (c *Content) DecodeBody(r *codec.Reader) {
	mark := r.Rest()
	switch c.Type {
	case ContentApplication:
		c.Application = r.Vec()
	case ContentProposal:
		c.Proposal = new(Proposal)
		c.Proposal.Decode(r)
	case ContentCommit:
		c.Commit = new(Commit)
		c.Commit.Decode(r)
	default:
		r.Fail(codec.ErrEnum)
	}
	c.Body = r.Since(mark)
}

// Auth is FramedContentAuthData, R §6.1.
type Auth struct {
	Signature       []byte
	ConfirmationTag []byte // commits only
}

// Append encodes the data of content type t.
func (a *Auth) Append(b []byte, t uint8) []byte {
	b = codec.AppendVec(b, a.Signature)
	if t == ContentCommit {
		b = codec.AppendVec(b, a.ConfirmationTag)
	}
	return b
}

// Decode reads the data of content type t.
func (a *Auth) Decode(r *codec.Reader, t uint8) {
	a.Signature = r.Vec()
	if t == ContentCommit {
		a.ConfirmationTag = r.Vec()
	}
}

// AuthenticatedContent is a signed content with the wire format that the
// signature covers, R §6.
type AuthenticatedContent struct {
	WireFormat uint16
	Content    Content
	Auth       Auth
}

// Append encodes the content.
func (a *AuthenticatedContent) Append(b []byte) []byte {
	b = a.Content.Append(codec.AppendU16(b, a.WireFormat))
	return a.Auth.Append(b, a.Content.Type)
}

// Decode reads a content.
func (a *AuthenticatedContent) Decode(r *codec.Reader) {
	a.WireFormat = r.U16()
	a.Content.Decode(r)
	a.Auth.Decode(r, a.Content.Type)
}

// AppendToBeSigned encodes FramedContentTBS, R §6.1; context is the encoded
// GroupContext.
func (a *AuthenticatedContent) AppendToBeSigned(b, context []byte) []byte {
	c := &a.Content
	b = codec.AppendU16(codec.AppendU16(b, Version), a.WireFormat)
	b = c.Append(b)
	if c.Sender.Type == SenderMember || c.Sender.Type == SenderNewMemberCommit {
		b = append(b, context...)
	}
	return b
}

// ToBeSignedSize bounds how many bytes AppendToBeSigned appends.
func (a *AuthenticatedContent) ToBeSignedSize(context []byte) int {
	c := &a.Content
	return len(c.GroupID) + len(c.AAD) + c.BodySize() + len(context) + 64
}
