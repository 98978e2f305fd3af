package wire

import (
	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
)

// KeyPackage lets others add a client to a group, R §10.
type KeyPackage struct {
	Version, Suite uint16
	InitKey        []byte
	Leaf           LeafNode
	Extensions     Extensions
	Signature      []byte

	raw    []byte
	signed int
}

func (k *KeyPackage) appendSigned(b []byte) []byte {
	b = codec.AppendU16(codec.AppendU16(b, k.Version), k.Suite)
	b = k.Leaf.Append(codec.AppendVec(b, k.InitKey))
	return k.Extensions.Append(b)
}

// Append encodes the package.
func (k *KeyPackage) Append(b []byte) []byte {
	return codec.AppendVec(k.appendSigned(b), k.Signature)
}

// Decode reads a package.
func (k *KeyPackage) Decode(r *codec.Reader) {
	mark := r.Rest()
	k.Version, k.Suite = r.U16(), r.U16()
	k.InitKey = r.Vec()
	k.Leaf.Decode(r)
	k.Extensions.Decode(r)
	k.signed = len(mark) - r.Len()
	k.Signature = r.Vec()
	k.raw = r.Since(mark)
}

// Raw returns the encoding; the caller must not change it.
func (k *KeyPackage) Raw() []byte { return k.raw }

// Sign signs and completes the package, whose leaf is signed already.
func (k *KeyPackage) Sign(s *suite.Suite, key *suite.SignatureKey) error {
	raw := k.appendSigned(make([]byte, 0, 1024))
	sig, err := s.SignWithLabel(key, "KeyPackageTBS", raw)
	if err != nil {
		return err
	}
	k.Signature, k.signed = sig, len(raw)
	k.raw = codec.AppendVec(raw, sig)
	return nil
}

// Verify checks the package's own signature, not that of the leaf.
func (k *KeyPackage) Verify(s *suite.Suite) error {
	return s.VerifyWithLabel(k.Leaf.SignatureKey, "KeyPackageTBS", k.raw[:k.signed], k.Signature)
}

// Ref is the KeyPackageRef, R §5.2.
func (k *KeyPackage) Ref(s *suite.Suite) []byte {
	return s.RefHash("MLS 1.0 KeyPackage Reference", k.raw)
}
