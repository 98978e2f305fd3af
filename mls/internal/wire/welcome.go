package wire

import (
	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
)

// GroupContext is what all members agree on, R §8.1.
type GroupContext struct {
	Version, Suite          uint16
	GroupID                 []byte
	Epoch                   uint64
	TreeHash                []byte
	ConfirmedTranscriptHash []byte
	Extensions              Extensions
}

// Append encodes the context.
func (c *GroupContext) Append(b []byte) []byte {
	b = codec.AppendU16(codec.AppendU16(b, c.Version), c.Suite)
	b = codec.AppendU64(codec.AppendVec(b, c.GroupID), c.Epoch)
	b = codec.AppendVec(b, c.TreeHash)
	b = codec.AppendVec(b, c.ConfirmedTranscriptHash)
	return c.Extensions.Append(b)
}

// Decode reads a context.
func (c *GroupContext) Decode(r *codec.Reader) {
	c.Version, c.Suite = r.U16(), r.U16()
	c.GroupID, c.Epoch = r.Vec(), r.U64()
	c.TreeHash, c.ConfirmedTranscriptHash = r.Vec(), r.Vec()
	c.Extensions.Decode(r)
}

// GroupInfo describes a group to those outside, R §12.4.3.
type GroupInfo struct {
	Context         GroupContext
	Extensions      Extensions
	ConfirmationTag []byte
	Signer          uint32
	Signature       []byte

	raw    []byte
	signed int
}

func (g *GroupInfo) appendSigned(b []byte) []byte {
	b = g.Extensions.Append(g.Context.Append(b))
	return codec.AppendU32(codec.AppendVec(b, g.ConfirmationTag), g.Signer)
}

// Append encodes the info.
func (g *GroupInfo) Append(b []byte) []byte {
	return codec.AppendVec(g.appendSigned(b), g.Signature)
}

// Decode reads an info.
func (g *GroupInfo) Decode(r *codec.Reader) {
	mark := r.Rest()
	g.Context.Decode(r)
	g.Extensions.Decode(r)
	g.ConfirmationTag, g.Signer = r.Vec(), r.U32()
	g.signed = len(mark) - r.Len()
	g.Signature = r.Vec()
	g.raw = r.Since(mark)
}

// Raw returns the encoding of a decoded or signed info.
func (g *GroupInfo) Raw() []byte { return g.raw }

// Sign signs and completes the info.
func (g *GroupInfo) Sign(s *suite.Suite, key *suite.SignatureKey) error {
	size := 512
	for _, e := range g.Extensions {
		size += len(e.Data) // may be a whole tree
	}
	raw := g.appendSigned(make([]byte, 0, size))
	sig, err := s.SignWithLabel(key, "GroupInfoTBS", raw)
	if err != nil {
		return err
	}
	g.Signature, g.signed = sig, len(raw)
	g.raw = codec.AppendVec(raw, sig)
	return nil
}

// Verify checks the signature of the signer's key.
func (g *GroupInfo) Verify(s *suite.Suite, signer []byte) error {
	return s.VerifyWithLabel(signer, "GroupInfoTBS", g.raw[:g.signed], g.Signature)
}

// Welcome brings new members into a group, R §12.4.3.1.
type Welcome struct {
	Suite     uint16
	Secrets   []EncryptedGroupSecrets
	GroupInfo []byte // encrypted
}

// EncryptedGroupSecrets is the part of a Welcome for one new member.
type EncryptedGroupSecrets struct {
	NewMember []byte // KeyPackageRef
	Secrets   Ciphertext
}

// Append encodes the welcome.
func (w *Welcome) Append(b []byte) []byte {
	b = codec.AppendList(codec.AppendU16(b, w.Suite), w.Secrets)
	return codec.AppendVec(b, w.GroupInfo)
}

// Decode reads a welcome.
func (w *Welcome) Decode(r *codec.Reader) {
	w.Suite = r.U16()
	w.Secrets = decodeList[EncryptedGroupSecrets](r)
	w.GroupInfo = r.Vec()
}

// Append encodes the part.
func (e EncryptedGroupSecrets) Append(b []byte) []byte {
	return e.Secrets.Append(codec.AppendVec(b, e.NewMember))
}

// Decode reads a part.
func (e *EncryptedGroupSecrets) Decode(r *codec.Reader) {
	e.NewMember = r.Vec()
	e.Secrets.Decode(r)
}

// GroupSecrets is what EncryptedGroupSecrets decrypts to.
type GroupSecrets struct {
	JoinerSecret []byte
	PathSecret   []byte // nil: none
	PSKs         []PSKID
}

// Append encodes the secrets.
func (g *GroupSecrets) Append(b []byte) []byte {
	b = codec.AppendVec(b, g.JoinerSecret)
	b = codec.AppendOptional(b, g.PathSecret != nil)
	if g.PathSecret != nil {
		b = codec.AppendVec(b, g.PathSecret)
	}
	return codec.AppendNested(b, func(b []byte) []byte {
		for i := range g.PSKs {
			b = g.PSKs[i].Append(b)
		}
		return b
	})
}

// Decode reads the secrets.
func (g *GroupSecrets) Decode(r *codec.Reader) {
	g.JoinerSecret = r.Vec()
	if r.Optional() {
		if g.PathSecret = r.Vec(); g.PathSecret == nil {
			g.PathSecret = []byte{}
		}
	}
	g.PSKs = decodeList[PSKID](r)
}
