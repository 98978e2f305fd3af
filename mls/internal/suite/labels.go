package suite

import (
	"crypto/ecdh"

	"quicnprotochat/mls/internal/codec"
)

// prefix stands before every label, R §5.1.2.
const prefix = "MLS 1.0 "

// ExpandWithLabel derives n bytes from a secret, R §8. n is at most 255 Nh.
func (s *Suite) ExpandWithLabel(secret []byte, label string, context []byte, n int) []byte {
	var room [160]byte
	info := codec.AppendU16(room[:0], uint16(n))
	info = codec.AppendLength(info, len(prefix)+len(label))
	info = append(append(info, prefix...), label...)
	info = codec.AppendVec(info, context)
	return s.expand(secret, info, n)
}

// DeriveSecret derives a secret of Nh bytes, R §8.
func (s *Suite) DeriveSecret(secret []byte, label string) []byte {
	return s.ExpandWithLabel(secret, label, nil, s.Nh)
}

// DeriveTreeSecret derives n bytes for one generation of a ratchet, R §9.
func (s *Suite) DeriveTreeSecret(secret []byte, label string, generation uint32, n int) []byte {
	var g [4]byte
	codec.AppendU32(g[:0], generation)
	return s.ExpandWithLabel(secret, label, g[:], n)
}

// RefHash names an object by its hash, R §5.2.
func (s *Suite) RefHash(label string, value []byte) []byte {
	head := codec.AppendString(make([]byte, 0, 64), label)
	return s.HashJoined(codec.AppendLength(head, len(value)), value)
}

func labelled(label string, content []byte) []byte {
	b := make([]byte, 0, len(prefix)+len(label)+len(content)+8)
	b = codec.AppendLength(b, len(prefix)+len(label))
	b = append(append(b, prefix...), label...)
	return codec.AppendVec(b, content)
}

// GenerateSignatureKey returns a fresh signature key.
func (s *Suite) GenerateSignatureKey() (*SignatureKey, error) { return s.sig.generate() }

// ParseSignatureKey reads a private signature key: the seed of an EdDSA key or
// seed and public key, the big-endian scalar of an ECDSA key.
func (s *Suite) ParseSignatureKey(raw []byte) (*SignatureKey, error) { return s.sig.parse(raw) }

// CheckSignaturePublic says whether pub is a public signature key of the suite.
func (s *Suite) CheckSignaturePublic(pub []byte) error { return s.sig.check(pub) }

// SignWithLabel signs content, R §5.1.2.
func (s *Suite) SignWithLabel(k *SignatureKey, label string, content []byte) ([]byte, error) {
	return k.sign(labelled(label, content))
}

// VerifyWithLabel verifies a signature, R §5.1.2. The error is ErrSignature.
func (s *Suite) VerifyWithLabel(pub []byte, label string, content, sig []byte) error {
	if !s.sig.verify(pub, labelled(label, content), sig) {
		return ErrSignature
	}
	return nil
}

// GenerateKey returns a fresh HPKE key pair.
func (s *Suite) GenerateKey() (*PrivateKey, error) { return s.kem.generate() }

// GenerateSpare returns a fresh HPKE key pair, which may take less time to make
// and more on first use: good for a key that may never be used.
func (s *Suite) GenerateSpare() (*PrivateKey, error) {
	if m, ok := s.kem.(*dhKEM); ok && m.curve == ecdh.X25519() {
		return generateX25519()
	}
	return s.kem.generate()
}

// DeriveKey returns the HPKE key pair of a node secret: KEM.DeriveKeyPair.
func (s *Suite) DeriveKey(secret []byte) (*PrivateKey, error) { return s.kem.derive(secret) }

// ParseKey reads an HPKE private key.
func (s *Suite) ParseKey(raw []byte) (*PrivateKey, error) { return s.kem.parse(raw) }

// CheckPublic says whether an HPKE public key can be encrypted to.
func (s *Suite) CheckPublic(pub []byte) error { return s.kem.check(pub) }

// EncryptWithLabel encrypts to an HPKE public key, R §5.1.3.
func (s *Suite) EncryptWithLabel(pub []byte, label string, context, plaintext []byte) (kemOutput, ciphertext []byte, err error) {
	return s.kem.seal(pub, s.kem.info(label, context), plaintext)
}

// labelRoom is how much room Label needs before the content, in bytes.
const labelRoom = 64

// Label appends to b, which is best empty, the content that the function
// appends, under a label: what SignLabelled signs. It returns the whole buffer,
// to be used again, and the part that counts.
func Label(b []byte, label string, content func([]byte) []byte) (buffer, labelled []byte) {
	start := len(b)
	buffer = content(append(b, make([]byte, labelRoom)...))
	var room [labelRoom]byte
	head := codec.AppendLength(room[:0], len(prefix)+len(label))
	head = append(append(head, prefix...), label...)
	head = codec.AppendLength(head, len(buffer)-start-labelRoom)
	labelled = buffer[start+labelRoom-len(head):]
	copy(labelled, head)
	return buffer, labelled
}

// SignLabelled signs what Label made, R §5.1.2.
func (s *Suite) SignLabelled(k *SignatureKey, labelled []byte) ([]byte, error) {
	return k.sign(labelled)
}

// VerifyLabelled verifies a signature of what Label made. The error is
// ErrSignature.
func (s *Suite) VerifyLabelled(pub, labelled, sig []byte) error {
	if !s.sig.verify(pub, labelled, sig) {
		return ErrSignature
	}
	return nil
}

// NewInfo prepares a label and context for Encrypt.
func (s *Suite) NewInfo(label string, context []byte) Info { return s.kem.info(label, context) }

// Encrypt is EncryptWithLabel with a prepared label and context.
func (s *Suite) Encrypt(pub []byte, info Info, plaintext []byte) (kemOutput, ciphertext []byte, err error) {
	return s.kem.seal(pub, info, plaintext)
}

// DecryptWithLabel decrypts with an HPKE private key, R §5.1.3.
func (s *Suite) DecryptWithLabel(k *PrivateKey, label string, context, kemOutput, ciphertext []byte) ([]byte, error) {
	return s.kem.open(k, kemOutput, s.kem.info(label, context), ciphertext)
}

// ExternalInit encapsulates to an external public key and returns the KEM
// output and the init secret of the new epoch, R §8.3.
func (s *Suite) ExternalInit(externalPub []byte) (kemOutput, initSecret []byte, err error) {
	return s.kem.exportSend(externalPub, s.Nh)
}

// ExternalInitSecret opens what ExternalInit made.
func (s *Suite) ExternalInitSecret(external *PrivateKey, kemOutput []byte) ([]byte, error) {
	return s.kem.exportReceive(external, kemOutput, s.Nh)
}
