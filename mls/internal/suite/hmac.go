package suite

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
)

// Sizes in bytes of SHA-512, the largest hash.
const (
	maxBlock = sha512.BlockSize
	maxSum   = sha512.Size
)

// sum writes the hash of b to dst.
func (s *Suite) sum(dst *[maxSum]byte, b []byte) {
	switch s.Nh {
	case sha256.Size:
		h := sha256.Sum256(b)
		copy(dst[:], h[:])
	case sha512.Size384:
		h := sha512.Sum384(b)
		copy(dst[:], h[:])
	default:
		*dst = sha512.Sum512(b)
	}
}

// Hash returns the hash of b.
func (s *Suite) Hash(b []byte) []byte {
	var h [maxSum]byte
	s.sum(&h, b)
	return append(make([]byte, 0, s.Nh), h[:s.Nh]...)
}

// HashJoined returns the hash of two parts, one behind the other.
func (s *Suite) HashJoined(a, b []byte) []byte {
	h := s.newHash()
	h.Write(a)
	h.Write(b)
	return h.Sum(make([]byte, 0, s.Nh))
}

// shortData bounds what shortMAC takes, in bytes.
const shortData = 384

func (s *Suite) short(key, data []byte) bool { return len(key) <= s.block && len(data) <= shortData }

// The pads of RFC 2104.
var ipad, opad = pad(0x36), pad(0x5c)

func pad(b byte) (p [maxBlock]byte) {
	for i := range p {
		p[i] = b
	}
	return p
}

// shortMAC is HMAC (RFC 2104) of data and end, of one byte at most, where both
// key and data are short. Nearly every key derivation of MLS is: without the
// state of crypto/hmac it takes a third of the time and one allocation.
func (s *Suite) shortMAC(key, data, end []byte) []byte {
	var inner [maxBlock + shortData + 1]byte
	var outer [maxBlock + maxSum]byte
	var h [maxSum]byte
	copy(inner[:s.block], ipad[:])
	subtle.XORBytes(inner[:], inner[:len(key)], key)
	n := s.block + copy(inner[s.block:], data)
	n += copy(inner[n:], end)
	s.sum(&h, inner[:n])
	copy(outer[:s.block], opad[:])
	subtle.XORBytes(outer[:], outer[:len(key)], key)
	n = s.block + copy(outer[s.block:], h[:s.Nh])
	s.sum(&h, outer[:n])
	mac := append(make([]byte, 0, s.Nh), h[:s.Nh]...)
	clear(inner[:])
	clear(outer[:])
	clear(h[:])
	return mac
}

// MAC returns the HMAC of data.
func (s *Suite) MAC(key, data []byte) []byte {
	if s.short(key, data) {
		return s.shortMAC(key, data, nil)
	}
	return s.streamMAC(key, bytes.Clone(data)) // a copy, so that short data can stay on the stack
}

// streamMAC is the HMAC of parts one behind the other.
func (s *Suite) streamMAC(key []byte, parts ...[]byte) []byte {
	m := hmac.New(s.newHash, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(make([]byte, 0, s.Nh))
}

// VerifyMAC compares in constant time.
func (s *Suite) VerifyMAC(key, data, tag []byte) bool {
	return subtle.ConstantTimeCompare(s.MAC(key, data), tag) == 1
}

// Extract is HKDF-Extract, R §8.
func (s *Suite) Extract(salt, ikm []byte) []byte { return s.MAC(salt, ikm) }

// expand is HKDF-Expand. One block, the case of nearly every secret, is one HMAC.
func (s *Suite) expand(prk, info []byte, n int) []byte {
	if n <= s.Nh && s.short(prk, info) {
		return s.shortMAC(prk, info, []byte{1})[:n:n]
	}
	out, err := hkdf.Expand(s.newHash, prk, string(info), n)
	if err != nil {
		panic("mls: HKDF-Expand: " + err.Error()) // n is checked at the API
	}
	return out
}
