// Package suite gathers what a cipher suite of MLS is made of, R §5.1: a hash,
// an AEAD, a signature scheme and an HPKE KEM, with the labelled operations of
// R §5.1.2, §5.1.3, §5.2 and §8 on top.
//
// A Suite is immutable and safe for concurrent use.
package suite

import (
	"crypto/cipher"
	"errors"
	"hash"
)

var (
	// ErrUnknown says that a cipher suite is not implemented.
	ErrUnknown = errors.New("unknown cipher suite")
	// ErrSignature says that a signature does not verify.
	ErrSignature = errors.New("signature does not verify")
	// ErrDecrypt says that a ciphertext does not authenticate.
	ErrDecrypt = errors.New("ciphertext does not authenticate")
	// ErrKey says that a public or private key is malformed or degenerate.
	ErrKey = errors.New("malformed key")
)

// Suite is one cipher suite.
type Suite struct {
	// ID is the code point, R §17.1.
	ID uint16
	// Name is the registered name.
	Name string
	// Nh is the size in bytes of a hash and of every secret.
	Nh int
	// Nk and Nn are the sizes in bytes of an AEAD key and nonce.
	Nk, Nn int

	block   int // of the hash, in bytes
	newHash func() hash.Hash
	newAEAD func(key []byte) (cipher.AEAD, error)
	kem     kem
	sig     signature
}

// AEAD returns the suite's AEAD under a key of Nk bytes.
func (s *Suite) AEAD(key []byte) cipher.AEAD {
	a, err := s.newAEAD(key)
	if err != nil {
		panic("mls: AEAD key of a wrong size: " + err.Error())
	}
	return a
}

// Seal encrypts under a one-time key and nonce.
func (s *Suite) Seal(key, nonce, aad, plaintext []byte) []byte {
	return s.AEAD(key).Seal(nil, nonce, plaintext, aad)
}

// Open decrypts under a one-time key and nonce.
func (s *Suite) Open(key, nonce, aad, ciphertext []byte) ([]byte, error) {
	p, err := s.AEAD(key).Open(nil, nonce, ciphertext, aad)
	if err != nil {
		return nil, ErrDecrypt
	}
	return p, nil
}

// Zero returns Nh zero bytes.
func (s *Suite) Zero() []byte { return make([]byte, s.Nh) }
