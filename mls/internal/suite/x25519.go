package suite

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"math/big"
	"slices"
)

// generateX25519 returns a fresh X25519 key pair in half the time of
// crypto/ecdh, which computes public keys by the Montgomery ladder. Ed25519
// multiplies the same base point by a scalar from tables: its key of a random
// seed, brought to the other form of the curve, is the public key of the same
// scalar, RFC 7748 §4.1 and RFC 8032 §5.1.5. But the ladder comes when the key
// is first used, for crypto/ecdh takes no public key with a private one.
func generateX25519() (*PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	scalar := sha512.Sum512(seed)
	point := ed25519.NewKeyFromSeed(seed)
	k := &PrivateKey{pub: montgomery(point[ed25519.SeedSize:])}
	k.raw = append(k.raw, scalar[:32]...)
	k.raw[0] &= 248
	k.raw[31] = k.raw[31]&127 | 64
	clear(seed)
	clear(scalar[:])
	clear(point)
	return k, nil
}

var p25519 = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// montgomery returns the u-coordinate (1+y)/(1-y) of an encoded point of
// edwards25519. It is public, so the time may depend on it.
func montgomery(point []byte) []byte {
	b := slices.Clone(point)
	b[31] &= 127 // the sign of x
	slices.Reverse(b)
	y, one := new(big.Int).SetBytes(b), big.NewInt(1)
	u := new(big.Int).Sub(one, y)
	u.ModInverse(u.Mod(u, p25519), p25519)
	u.Mod(u.Mul(u, y.Add(y, one)), p25519)
	u.FillBytes(b)
	slices.Reverse(b)
	return b
}
