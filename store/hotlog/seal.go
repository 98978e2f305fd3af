package hotlog

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"quicnprotochat/store"
)

// KeySize is the length of Options.Key, bytes.
const KeySize = 32

// sealer encrypts values with XAES-256-GCM (C2SP): AES-256-GCM under a key that is derived from the first half of a random nonce of 24
// bytes, so that any number of values may be sealed under one key. A nil sealer leaves values as they are. Safe for concurrent use.
type sealer struct {
	block cipher.Block
	k1    [aes.BlockSize]byte
}

const (
	sealNonce = 24
	sealExtra = sealNonce + 16
)

// deriveKey returns the key for one purpose.
func deriveKey(key []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, "quicnprotochat store "+purpose, KeySize)
}

func newSealer(key []byte) (*sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	s := &sealer{block: block}
	block.Encrypt(s.k1[:], s.k1[:])
	carry := byte(0)
	for i := len(s.k1) - 1; i >= 0; i-- {
		s.k1[i], carry = s.k1[i]<<1|carry, s.k1[i]>>7
	}
	s.k1[len(s.k1)-1] ^= carry * 0x87
	return s, nil
}

// aead is the cipher for one nonce.
func (s *sealer) aead(nonce []byte) cipher.AEAD {
	var key [KeySize]byte
	for i := range 2 {
		half := key[i*aes.BlockSize : (i+1)*aes.BlockSize]
		half[1], half[2] = byte(i+1), 'X'
		copy(half[4:], nonce[:12])
		for j := range half {
			half[j] ^= s.k1[j]
		}
		s.block.Encrypt(half, half)
	}
	defer clear(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // the block has the right size
	}
	return aead
}

// size is the length of a sealed value of n bytes.
func (s *sealer) size(n int) int {
	if s == nil {
		return n
	}
	return n + sealExtra
}

// seal appends value, sealed for key, to dst.
func (s *sealer) seal(dst, key, value []byte) []byte {
	if s == nil {
		return append(dst, value...)
	}
	var nonce [sealNonce]byte
	rand.Read(nonce[:])
	dst = append(dst, nonce[:]...)
	return s.aead(nonce[:]).Seal(dst, nonce[12:], value, key)
}

// open returns what was sealed for key, in new memory. Without a sealer it returns value itself.
func (s *sealer) open(key, value []byte) ([]byte, error) {
	if s == nil {
		return value, nil
	}
	if len(value) < sealExtra {
		return nil, fmt.Errorf("%w: sealed value of %d bytes", store.ErrCorrupt, len(value))
	}
	plain, err := s.aead(value[:12]).Open(nil, value[12:sealNonce], value[sealNonce:], key)
	if err != nil {
		return nil, fmt.Errorf("%w: value under a key of kind %q does not open", store.ErrCorrupt, key[:min(len(key), 1)])
	}
	return plain, nil
}
