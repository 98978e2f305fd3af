package certs

import (
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// IdentitySize is the length of an identity in bytes.
const IdentitySize = ed25519.PublicKeySize

// identityPrefix is the human-readable part of a printed identity.
const identityPrefix = "qnp"

// maxClientCertificate bounds the certificate a client may present, in bytes; ours has about 300.
const maxClientCertificate = 4 << 10

var (
	// ErrIdentity says that a string is not an identity: wrong prefix, a typing error, wrong length.
	ErrIdentity = errors.New("not an identity")
	// ErrNoIdentity says that a TLS peer presented no certificate with an Ed25519 key.
	ErrNoIdentity = errors.New("peer has no Ed25519 identity")
)

// Identity is an Ed25519 public key (32 bytes): who somebody is, on the wire and in MLS leaves.
type Identity [IdentitySize]byte

// IdentityOf returns the identity that belongs to a private key.
func IdentityOf(key ed25519.PrivateKey) Identity {
	return Identity(key.Public().(ed25519.PublicKey))
}

// IdentityFromBytes copies a 32-byte key; any other length is ErrIdentity.
func IdentityFromBytes(b []byte) (Identity, error) {
	if len(b) != IdentitySize {
		return Identity{}, fmt.Errorf("%w: %d bytes, want %d", ErrIdentity, len(b), IdentitySize)
	}
	return Identity(b), nil
}

// ParseIdentity reads the printed form, "qnp1..." (62 characters). The checksum catches typing errors; every refusal is ErrIdentity.
func ParseIdentity(s string) (Identity, error) {
	hrp, data, err := bech32Decode(strings.TrimSpace(s))
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %q %w", ErrIdentity, abbreviate(s), err)
	}
	if hrp != identityPrefix {
		return Identity{}, fmt.Errorf("%w: %q starts with %q, want %q", ErrIdentity, abbreviate(s), hrp+"1", identityPrefix+"1")
	}
	return IdentityFromBytes(data)
}

func abbreviate(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}

// String returns the printed form, "qnp1..." (62 characters, bech32 of BIP 173).
func (id Identity) String() string { return bech32Encode(identityPrefix, id[:]) }

// Short returns the first 12 characters of the printed form: for logs and lists, never for decisions.
func (id Identity) Short() string { return id.String()[:12] }

// PeerIdentity returns the identity that the TLS peer proved in the handshake, else ErrNoIdentity. That the peer holds the private
// key is TLS's own proof (CertificateVerify, RFC 8446 section 4.4.3); what else stands in the certificate does not matter.
func PeerIdentity(cs tls.ConnectionState) (Identity, error) {
	if len(cs.PeerCertificates) != 1 {
		return Identity{}, fmt.Errorf("%w: %d certificates, want 1", ErrNoIdentity, len(cs.PeerCertificates))
	}
	leaf := cs.PeerCertificates[0]
	if len(leaf.Raw) > maxClientCertificate {
		return Identity{}, fmt.Errorf("%w: certificate of %d bytes", ErrNoIdentity, len(leaf.Raw))
	}
	key, ok := leaf.PublicKey.(ed25519.PublicKey)
	if !ok {
		return Identity{}, fmt.Errorf("%w: certificate key is %T", ErrNoIdentity, leaf.PublicKey)
	}
	return Identity(key), nil
}
