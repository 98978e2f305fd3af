package mls

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/suite"
)

// Identity is a client's signature key with the credential for it. It is
// immutable and may be shared by groups of the same signature scheme.
type Identity struct {
	suite      *suite.Suite
	key        *suite.SignatureKey
	credential Credential
}

// NewBasicIdentity returns an identity with a basic credential. The private key
// is the seed of an EdDSA key (Ed25519: 32 bytes, or 64 with the public key
// after it; Ed448: 57) or the big-endian scalar of an ECDSA key.
func NewBasicIdentity(s Suite, signaturePrivateKey, identity []byte) (*Identity, error) {
	return newIdentity(s, signaturePrivateKey, Credential{Type: CredentialBasic, Identity: bytes.Clone(identity)})
}

// NewX509Identity returns an identity with an x509 credential: DER
// certificates, the client's first, whose key must be that of the private key.
func NewX509Identity(s Suite, signaturePrivateKey []byte, chain [][]byte) (*Identity, error) {
	id, err := newIdentity(s, signaturePrivateKey, Credential{Type: CredentialX509, Chain: cloneAll(chain)})
	if err != nil {
		return nil, err
	}
	if err := checkCertificate(id.credential, id.key.Public()); err != nil {
		return nil, op("identity", err)
	}
	return id, nil
}

// GenerateBasicIdentity returns an identity with a fresh signature key.
func GenerateBasicIdentity(s Suite, identity []byte) (*Identity, error) {
	p, err := suite.Lookup(uint16(s))
	if err != nil {
		return nil, op("identity", err)
	}
	key, err := p.GenerateSignatureKey()
	if err != nil {
		return nil, op("identity", err)
	}
	return &Identity{p, key, Credential{Type: CredentialBasic, Identity: bytes.Clone(identity)}}, nil
}

func newIdentity(s Suite, private []byte, c Credential) (*Identity, error) {
	p, err := suite.Lookup(uint16(s))
	if err != nil {
		return nil, op("identity", err)
	}
	key, err := p.ParseSignatureKey(private)
	if err != nil {
		return nil, op("identity", err)
	}
	return &Identity{p, key, c}, nil
}

// Suite returns the cipher suite that the identity was made for.
func (id *Identity) Suite() Suite { return Suite(id.suite.ID) }

// Credential returns the credential.
func (id *Identity) Credential() Credential { return id.credential }

// SignaturePublicKey returns the public signature key.
func (id *Identity) SignaturePublicKey() []byte { return bytes.Clone(id.key.Public()) }

// SignaturePrivateKey returns the private key in the form that NewBasicIdentity
// takes. It is a secret.
func (id *Identity) SignaturePrivateKey() []byte { return bytes.Clone(id.key.Bytes()) }

// ExternalSender returns the identity as a group lists it in the extension
// [ExternalSenders].
func (id *Identity) ExternalSender() ExternalSender {
	return ExternalSender{id.SignaturePublicKey(), id.credential}
}

// forSuite says whether the identity can sign in a group of suite s.
func (id *Identity) forSuite(s *suite.Suite) error {
	if id == nil {
		return fmt.Errorf("%w: none given", ErrWrongIdentity)
	}
	if id.suite.ID != s.ID {
		if err := s.CheckSignaturePublic(id.key.Public()); err != nil {
			return fmt.Errorf("%w: it is for another cipher suite", ErrWrongIdentity)
		}
	}
	return nil
}

func cloneAll(list [][]byte) [][]byte {
	out := make([][]byte, len(list))
	for i, b := range list {
		out[i] = bytes.Clone(b)
	}
	return out
}
