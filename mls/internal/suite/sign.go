package suite

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"hash"

	"github.com/cloudflare/circl/sign/ed448"
)

// signature is a signature scheme with keys in the encodings of R §5.1.1.
type signature interface {
	generate() (*SignatureKey, error)
	parse(raw []byte) (*SignatureKey, error)
	check(pub []byte) error
	verify(pub, message, sig []byte) bool
}

// SignatureKey is a private signature key.
type SignatureKey struct {
	pub, raw []byte
	sign     func(message []byte) ([]byte, error)
}

// Public returns the public key; the caller must not change it.
func (k *SignatureKey) Public() []byte { return k.pub }

// Bytes returns the private key: the seed of an EdDSA key, the big-endian
// scalar of an ECDSA key. The caller must not change it.
func (k *SignatureKey) Bytes() []byte { return k.raw }

type ed25519Scheme struct{}

func (ed25519Scheme) generate() (*SignatureKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	return ed25519Scheme{}.parse(seed)
}

func (ed25519Scheme) parse(raw []byte) (*SignatureKey, error) {
	if len(raw) != ed25519.SeedSize && len(raw) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("%w: Ed25519 private key of %d bytes", ErrKey, len(raw))
	}
	k := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if len(raw) == ed25519.PrivateKeySize && string(k) != string(raw) {
		return nil, fmt.Errorf("%w: Ed25519 private key with a foreign public half", ErrKey)
	}
	return &SignatureKey{
		pub:  []byte(k[ed25519.SeedSize:]),
		raw:  append([]byte(nil), k[:ed25519.SeedSize]...),
		sign: func(m []byte) ([]byte, error) { return ed25519.Sign(k, m), nil },
	}, nil
}

func (ed25519Scheme) check(pub []byte) error {
	if len(pub) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: Ed25519 public key of %d bytes", ErrKey, len(pub))
	}
	return nil
}

func (ed25519Scheme) verify(pub, message, sig []byte) bool {
	return len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, message, sig)
}

type ed448Scheme struct{}

func (ed448Scheme) generate() (*SignatureKey, error) {
	seed := make([]byte, ed448.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	return ed448Scheme{}.parse(seed)
}

func (ed448Scheme) parse(raw []byte) (*SignatureKey, error) {
	if len(raw) != ed448.SeedSize && len(raw) != ed448.PrivateKeySize {
		return nil, fmt.Errorf("%w: Ed448 private key of %d bytes", ErrKey, len(raw))
	}
	k := ed448.NewKeyFromSeed(raw[:ed448.SeedSize])
	if len(raw) == ed448.PrivateKeySize && string(k) != string(raw) {
		return nil, fmt.Errorf("%w: Ed448 private key with a foreign public half", ErrKey)
	}
	return &SignatureKey{
		pub:  []byte(k[ed448.SeedSize:]),
		raw:  k.Seed(),
		sign: func(m []byte) ([]byte, error) { return ed448.Sign(k, m, ""), nil },
	}, nil
}

func (ed448Scheme) check(pub []byte) error {
	if len(pub) != ed448.PublicKeySize {
		return fmt.Errorf("%w: Ed448 public key of %d bytes", ErrKey, len(pub))
	}
	return nil
}

func (ed448Scheme) verify(pub, message, sig []byte) bool {
	return len(pub) == ed448.PublicKeySize && ed448.Verify(pub, message, sig, "")
}

// ecdsaScheme is ECDSA with ASN.1 signatures and uncompressed points.
type ecdsaScheme struct {
	curve   elliptic.Curve
	newHash func() hash.Hash
	size    int // of a scalar, in bytes
}

func (s ecdsaScheme) digest(m []byte) []byte {
	h := s.newHash()
	h.Write(m)
	return h.Sum(nil)
}

func (s ecdsaScheme) generate() (*SignatureKey, error) {
	k, err := ecdsa.GenerateKey(s.curve, rand.Reader)
	if err != nil {
		return nil, err
	}
	return s.wrap(k)
}

func (s ecdsaScheme) parse(raw []byte) (*SignatureKey, error) {
	if len(raw) > s.size || len(raw) == 0 {
		return nil, fmt.Errorf("%w: ECDSA private key of %d bytes", ErrKey, len(raw))
	}
	// Some implementations drop leading zero bytes of a scalar.
	padded := make([]byte, s.size)
	copy(padded[s.size-len(raw):], raw)
	k, err := ecdsa.ParseRawPrivateKey(s.curve, padded)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	return s.wrap(k)
}

func (s ecdsaScheme) wrap(k *ecdsa.PrivateKey) (*SignatureKey, error) {
	raw, err := k.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	pub, err := k.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	return &SignatureKey{pub: pub, raw: raw, sign: func(m []byte) ([]byte, error) {
		return ecdsa.SignASN1(rand.Reader, k, s.digest(m))
	}}, nil
}

// public parses a public key. R §5.1.1 asks for uncompressed points, which is
// what we write; compressed ones are understood, because some implementations
// send them (ts-mls 1.6.4).
func (s ecdsaScheme) public(pub []byte) (*ecdsa.PublicKey, error) {
	if len(pub) == s.size+1 && (pub[0] == 2 || pub[0] == 3) {
		x, y := elliptic.UnmarshalCompressed(s.curve, pub)
		if x == nil {
			return nil, fmt.Errorf("%w: not a point of the curve", ErrKey)
		}
		pub = append([]byte{4}, make([]byte, 2*s.size)...)
		x.FillBytes(pub[1 : 1+s.size])
		y.FillBytes(pub[1+s.size:])
	}
	k, err := ecdsa.ParseUncompressedPublicKey(s.curve, pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	return k, nil
}

func (s ecdsaScheme) check(pub []byte) error {
	_, err := s.public(pub)
	return err
}

func (s ecdsaScheme) verify(pub, message, sig []byte) bool {
	k, err := s.public(pub)
	return err == nil && ecdsa.VerifyASN1(k, s.digest(message), sig)
}
