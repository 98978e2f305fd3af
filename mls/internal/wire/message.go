package wire

import "quicnprotochat/mls/internal/codec"

// Wire formats, R §17.2.
const (
	FormatPublicMessage  uint16 = 1
	FormatPrivateMessage uint16 = 2
	FormatWelcome        uint16 = 3
	FormatGroupInfo      uint16 = 4
	FormatKeyPackage     uint16 = 5
)

// PublicMessage is a signed, unencrypted message, R §6.2.
type PublicMessage struct {
	Content       Content
	Auth          Auth
	MembershipTag []byte // members only
}

// Append encodes the message.
func (m *PublicMessage) Append(b []byte) []byte {
	b = m.Auth.Append(m.Content.Append(b), m.Content.Type)
	if m.Content.Sender.Type == SenderMember {
		b = codec.AppendVec(b, m.MembershipTag)
	}
	return b
}

// Decode reads a message.
func (m *PublicMessage) Decode(r *codec.Reader) {
	m.Content.Decode(r)
	m.Auth.Decode(r, m.Content.Type)
	if m.Content.Sender.Type == SenderMember {
		m.MembershipTag = r.Vec()
	}
}

// PrivateMessage is an encrypted message, R §6.3.
type PrivateMessage struct {
	GroupID    []byte
	Epoch      uint64
	Type       uint8 // of the content
	AAD        []byte
	SenderData []byte // encrypted
	Ciphertext []byte
}

// Append encodes the message.
func (m *PrivateMessage) Append(b []byte) []byte {
	return append(m.AppendHead(b), m.Ciphertext...)
}

// AppendHead encodes all that comes before the bytes of the ciphertext.
func (m *PrivateMessage) AppendHead(b []byte) []byte {
	b = append(codec.AppendU64(codec.AppendVec(b, m.GroupID), m.Epoch), m.Type)
	b = codec.AppendVec(b, m.AAD)
	b = codec.AppendVec(b, m.SenderData)
	return codec.AppendLength(b, len(m.Ciphertext))
}

// Decode reads a message.
func (m *PrivateMessage) Decode(r *codec.Reader) {
	m.GroupID, m.Epoch, m.Type = r.Vec(), r.U64(), r.U8()
	if m.Type < ContentApplication || m.Type > ContentCommit {
		r.Fail(codec.ErrEnum)
	}
	m.AAD, m.SenderData, m.Ciphertext = r.Vec(), r.Vec(), r.Vec()
}

// Message is an MLSMessage, R §6: Format tells which field is set.
type Message struct {
	Format     uint16
	Public     *PublicMessage
	Private    *PrivateMessage
	Welcome    *Welcome
	GroupInfo  *GroupInfo
	KeyPackage *KeyPackage
}

// Append encodes the message.
func (m *Message) Append(b []byte) []byte {
	b = codec.AppendU16(codec.AppendU16(b, Version), m.Format)
	switch m.Format {
	case FormatPublicMessage:
		return m.Public.Append(b)
	case FormatPrivateMessage:
		return m.Private.Append(b)
	case FormatWelcome:
		return m.Welcome.Append(b)
	case FormatGroupInfo:
		return m.GroupInfo.Append(b)
	}
	return m.KeyPackage.Append(b)
}

// Decode reads a message.
func (m *Message) Decode(r *codec.Reader) {
	if r.U16() != Version {
		r.Fail(ErrUnsupported)
	}
	switch m.Format = r.U16(); m.Format {
	case FormatPublicMessage:
		m.Public = new(PublicMessage)
		m.Public.Decode(r)
	case FormatPrivateMessage:
		m.Private = new(PrivateMessage)
		m.Private.Decode(r)
	case FormatWelcome:
		m.Welcome = new(Welcome)
		m.Welcome.Decode(r)
	case FormatGroupInfo:
		m.GroupInfo = new(GroupInfo)
		m.GroupInfo.Decode(r)
	case FormatKeyPackage:
		m.KeyPackage = new(KeyPackage)
		m.KeyPackage.Decode(r)
	default:
		r.Fail(ErrUnsupported)
	}
}
