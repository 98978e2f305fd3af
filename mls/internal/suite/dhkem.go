package suite

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"quicnprotochat/mls/internal/codec"
)

// dhKEM is HPKE in base mode (RFC 9180) with a DHKEM of crypto/ecdh. The
// package crypto/hpke does the same, but hashes info anew for each recipient: a
// Welcome for a thousand members, whose info holds the whole tree, is a
// thousand times the same hash.
type dhKEM struct {
	suite *Suite // for hash and AEAD
	curve ecdh.Curve
	nSk   int  // size in bytes of a private key
	mask  byte // for the first byte of a candidate scalar; NIST curves

	kemID  []byte // suite_id of the KEM, RFC 9180 §4.1
	hpkeID []byte // suite_id of HPKE, §5.1
	pskID  []byte // psk_id_hash of no PSK
}

// Code points of RFC 9180 §7.
const (
	kemP256   = 0x0010
	kemP384   = 0x0011
	kemP521   = 0x0012
	kemX25519 = 0x0020

	kdfSHA256 = 1
	kdfSHA384 = 2
	kdfSHA512 = 3

	aeadAES128GCM = 1
	aeadAES256GCM = 2
	aeadChaCha20  = 3
)

func newDHKEM(s *Suite, curve ecdh.Curve, kemID, kdfID, aeadID uint16, nSk int) *dhKEM {
	m := &dhKEM{suite: s, curve: curve, nSk: nSk, mask: 0xff}
	if kemID == kemP521 {
		m.mask = 0x01
	}
	m.kemID = binary.BigEndian.AppendUint16([]byte("KEM"), kemID)
	for _, id := range []uint16{kemID, kdfID, aeadID} {
		m.hpkeID = binary.BigEndian.AppendUint16(m.hpkeID, id)
	}
	m.hpkeID = append([]byte("HPKE"), m.hpkeID...)
	m.pskID = m.extract(m.hpkeID, nil, "psk_id_hash", nil)
	return m
}

const hpkeVersion = "HPKE-v1"

// extract is LabeledExtract, RFC 9180 §4.
func (m *dhKEM) extract(id, salt []byte, label string, ikm []byte) []byte {
	var room [shortData]byte
	b := append(append(append(append(room[:0], hpkeVersion...), id...), label...), ikm...)
	prk := m.suite.MAC(salt, b)
	clear(b)
	return prk
}

// expand is LabeledExpand, RFC 9180 §4.
func (m *dhKEM) expand(id, prk []byte, label string, info []byte, n int) []byte {
	var room [shortData]byte
	b := codec.AppendU16(room[:0], uint16(n))
	b = append(append(append(append(b, hpkeVersion...), id...), label...), info...)
	return m.suite.expand(prk, b, n)
}

func (m *dhKEM) wrap(k *ecdh.PrivateKey, err error) (*PrivateKey, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	p := &PrivateKey{pub: k.PublicKey().Bytes(), raw: m.clamp(k.Bytes())}
	p.dh.Store(k)
	return p, nil
}

// clamp makes SerializePrivateKey of a scalar, RFC 9180 §7.1.2.
func (m *dhKEM) clamp(raw []byte) []byte {
	if m.curve == ecdh.X25519() {
		raw[0] &= 248
		raw[31] = raw[31]&127 | 64
	}
	return raw
}

func (m *dhKEM) generate() (*PrivateKey, error) { return m.wrap(m.curve.GenerateKey(rand.Reader)) }

// derive is DeriveKeyPair, RFC 9180 §7.1.3.
func (m *dhKEM) derive(ikm []byte) (*PrivateKey, error) {
	prk := m.extract(m.kemID, nil, "dkp_prk", ikm)
	defer clear(prk)
	if m.curve == ecdh.X25519() {
		raw := m.expand(m.kemID, prk, "sk", nil, m.nSk)
		defer clear(raw)
		return m.wrap(m.curve.NewPrivateKey(raw))
	}
	return m.wrap(m.firstScalar(func(counter byte) []byte {
		return m.expand(m.kemID, prk, "candidate", []byte{counter}, m.nSk)
	}))
}

// firstScalar returns the first candidate that is a private key: neither zero
// nor as large as the order of the group.
func (m *dhKEM) firstScalar(candidate func(counter byte) []byte) (*ecdh.PrivateKey, error) {
	for counter := range 256 {
		raw := candidate(byte(counter))
		raw[0] &= m.mask
		k, err := m.curve.NewPrivateKey(raw)
		clear(raw)
		if err == nil {
			return k, nil
		}
	}
	return nil, errors.New("no candidate is a scalar")
}

func (m *dhKEM) parse(raw []byte) (*PrivateKey, error) {
	if len(raw) < m.nSk && m.curve != ecdh.X25519() {
		// Some implementations drop leading zero bytes of a scalar.
		raw = append(make([]byte, m.nSk-len(raw), m.nSk), raw...)
	}
	return m.wrap(m.curve.NewPrivateKey(raw))
}

func (m *dhKEM) check(pub []byte) error {
	if _, err := m.curve.NewPublicKey(pub); err != nil {
		return fmt.Errorf("%w: %v", ErrKey, err)
	}
	if m.curve == ecdh.X25519() && lowOrder25519(pub) {
		return fmt.Errorf("%w: point of low order", ErrKey)
	}
	return nil
}

// encap is Encap, RFC 9180 §4.1.
func (m *dhKEM) encap(pub []byte) (enc, shared []byte, err error) {
	ephemeral, err := m.curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	return m.encapBy(ephemeral, pub)
}

// encapBy is Encap with a given ephemeral key. crypto/ecdh refuses public keys
// that are no point of the curve, and shared secrets that are zero, as RFC 9180
// §7.1.4 asks.
func (m *dhKEM) encapBy(ephemeral *ecdh.PrivateKey, pub []byte) (enc, shared []byte, err error) {
	k, err := m.curve.NewPublicKey(pub)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	dh, err := ephemeral.ECDH(k)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	enc = ephemeral.PublicKey().Bytes()
	return enc, m.shared(dh, enc, pub), nil
}

// decap is Decap, RFC 9180 §4.1.
func (m *dhKEM) decap(priv *PrivateKey, enc []byte) ([]byte, error) {
	k, err := priv.exchanger(m.curve)
	if err != nil {
		return nil, ErrDecrypt
	}
	ephemeral, err := m.curve.NewPublicKey(enc)
	if err != nil {
		return nil, ErrDecrypt
	}
	dh, err := k.ECDH(ephemeral)
	if err != nil {
		return nil, ErrDecrypt
	}
	return m.shared(dh, enc, priv.pub), nil
}

// shared is ExtractAndExpand, RFC 9180 §4.1, with the hash of the suite, which is
// that of the KEM too: Nsecret is Nh. It wipes dh.
func (m *dhKEM) shared(dh, enc, pub []byte) []byte {
	var room [2 * 133]byte // two keys of P-521
	prk := m.extract(m.kemID, nil, "eae_prk", dh)
	clear(dh)
	secret := m.expand(m.kemID, prk, "shared_secret", append(append(room[:0], enc...), pub...), m.suite.Nh)
	clear(prk)
	return secret
}

// exchanger returns the parsed key. A key that was generated is parsed when it
// is first used, by several goroutines at once if need be.
func (k *PrivateKey) exchanger(curve ecdh.Curve) (*ecdh.PrivateKey, error) {
	if p := k.dh.Load(); p != nil {
		return p, nil
	}
	p, err := curve.NewPrivateKey(k.raw) // fails when k was wiped
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(p.PublicKey().Bytes(), k.pub) {
		return nil, ErrKey
	}
	k.dh.Store(p)
	return p, nil
}
