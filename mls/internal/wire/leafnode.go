package wire

import (
	"bytes"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
)

// Leaf node sources, R §7.2.
const (
	SourceKeyPackage uint8 = 1
	SourceUpdate     uint8 = 2
	SourceCommit     uint8 = 3
)

// LeafNode is one member's leaf, R §7.2. It is immutable once it was decoded
// or signed.
type LeafNode struct {
	EncryptionKey, SignatureKey []byte
	Credential                  Credential
	Capabilities                Capabilities
	Source                      uint8
	NotBefore, NotAfter         uint64 // seconds since 1970; source key_package
	ParentHash                  []byte // source commit
	Extensions                  Extensions
	Signature                   []byte

	raw    []byte // the whole encoding
	signed int    // how much of raw the signature covers
}

func (n *LeafNode) appendSigned(b []byte) []byte {
	b = codec.AppendVec(b, n.EncryptionKey)
	b = codec.AppendVec(b, n.SignatureKey)
	b = n.Capabilities.Append(n.Credential.Append(b))
	b = append(b, n.Source)
	switch n.Source {
	case SourceKeyPackage:
		b = codec.AppendU64(codec.AppendU64(b, n.NotBefore), n.NotAfter)
	case SourceCommit:
		b = codec.AppendVec(b, n.ParentHash)
	}
	return n.Extensions.Append(b)
}

// Append encodes the leaf from its fields.
func (n *LeafNode) Append(b []byte) []byte {
	return codec.AppendVec(n.appendSigned(b), n.Signature)
}

// Decode reads a leaf.
func (n *LeafNode) Decode(r *codec.Reader) {
	mark := r.Rest()
	n.EncryptionKey, n.SignatureKey = r.Vec(), r.Vec()
	n.Credential.Decode(r)
	n.Capabilities.Decode(r)
	switch n.Source = r.U8(); n.Source {
	case SourceKeyPackage:
		n.NotBefore, n.NotAfter = r.U64(), r.U64()
	case SourceUpdate:
	case SourceCommit:
		n.ParentHash = r.Vec()
	default:
		r.Fail(codec.ErrEnum)
	}
	n.Extensions.Decode(r)
	n.signed = len(mark) - r.Len()
	n.Signature = r.Vec()
	n.raw = r.Since(mark)
}

// Raw returns the encoding; the caller must not change it.
func (n *LeafNode) Raw() []byte { return n.raw }

// Equal says whether both leaves are the same, byte for byte.
func (n *LeafNode) Equal(m *LeafNode) bool { return bytes.Equal(n.raw, m.raw) }

// Detach returns a copy that shares no memory with the message it came from.
func (n *LeafNode) Detach() *LeafNode {
	var m LeafNode
	m.Decode(codec.NewReader(bytes.Clone(n.raw)))
	return &m
}

// toBeSigned is LeafNodeTBS, R §7.2.
func (n *LeafNode) toBeSigned(signed, groupID []byte, leaf uint32) []byte {
	if n.Source == SourceKeyPackage {
		return signed
	}
	b := make([]byte, 0, len(signed)+len(groupID)+8)
	b = codec.AppendVec(append(b, signed...), groupID)
	return codec.AppendU32(b, leaf)
}

// Sign signs the leaf for its place and completes it.
func (n *LeafNode) Sign(s *suite.Suite, key *suite.SignatureKey, groupID []byte, leaf uint32) error {
	raw := n.appendSigned(make([]byte, 0, 512))
	sig, err := s.SignWithLabel(key, "LeafNodeTBS", n.toBeSigned(raw, groupID, leaf))
	if err != nil {
		return err
	}
	n.Signature, n.signed = sig, len(raw)
	n.raw = codec.AppendVec(raw, sig)
	return nil
}

// Verify checks the signature; groupID and leaf count for sources update and
// commit only.
func (n *LeafNode) Verify(s *suite.Suite, groupID []byte, leaf uint32) error {
	return s.VerifyWithLabel(n.SignatureKey, "LeafNodeTBS",
		n.toBeSigned(n.raw[:n.signed], groupID, leaf), n.Signature)
}
