package suite

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
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

func (m *dhKEM) generate() (*PrivateKey, error) {
	if m.curve == ecdh.X25519() {
		return generateX25519()
	}
	return m.wrap(m.curve.GenerateKey(rand.Reader))
}

// derive is DeriveKeyPair, RFC 9180 §7.1.3.
func (m *dhKEM) derive(ikm []byte) (*PrivateKey, error) {
	prk := m.extract(m.kemID, nil, "dkp_prk", ikm)
	if m.curve == ecdh.X25519() {
		return m.wrap(m.curve.NewPrivateKey(m.expand(m.kemID, prk, "sk", nil, m.nSk)))
	}
	for counter := range 256 {
		raw := m.expand(m.kemID, prk, "candidate", []byte{byte(counter)}, m.nSk)
		raw[0] &= m.mask
		if k, err := m.curve.NewPrivateKey(raw); err == nil {
			return m.wrap(k, nil)
		}
	}
	return nil, fmt.Errorf("%w: no candidate is a scalar", ErrKey)
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
	k, err := m.curve.NewPublicKey(pub)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	ephemeral, err := m.curve.GenerateKey(rand.Reader)
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

// shared is ExtractAndExpand, RFC 9180 §4.1. It wipes dh.
func (m *dhKEM) shared(dh, enc, pub []byte) []byte {
	var room [2 * 133]byte // two keys of P-521
	prk := m.extract(m.kemID, nil, "eae_prk", dh)
	clear(dh)
	secret := m.expand(m.kemID, prk, "shared_secret", append(append(room[:0], enc...), pub...), m.suite.Nh)
	clear(prk)
	return secret
}

// info begins KeySchedule, RFC 9180 §5.1, as far as it is the same for all
// recipients.
func (m *dhKEM) info(label string, context []byte) Info {
	head := make([]byte, 0, 64)
	head = codec.AppendLength(head, len(prefix)+len(label))
	head = append(append(head, prefix...), label...)
	return m.schedule(codec.AppendLength(head, len(context)), context)
}

func (m *dhKEM) schedule(head, rest []byte) Info {
	hash := m.suite.streamMAC(nil, []byte(hpkeVersion), m.hpkeID, []byte("info_hash"), head, rest)
	return Info{schedule: append(append([]byte{0}, m.pskID...), hash...)}
}

func (m *dhKEM) seal(pub []byte, info Info, plaintext []byte) ([]byte, []byte, error) {
	enc, shared, err := m.encap(pub)
	if err != nil {
		return nil, nil, err
	}
	key, nonce := m.keys(shared, info)
	ct := m.suite.Seal(key, nonce, nil, plaintext)
	clear(key)
	return enc, ct, nil
}

func (m *dhKEM) open(priv *PrivateKey, enc []byte, info Info, ciphertext []byte) ([]byte, error) {
	shared, err := m.decap(priv, enc)
	if err != nil {
		return nil, err
	}
	key, nonce := m.keys(shared, info)
	p, err := m.suite.Open(key, nonce, nil, ciphertext)
	clear(key)
	return p, err
}

// keys ends KeySchedule for one message. It wipes the shared secret.
func (m *dhKEM) keys(shared []byte, info Info) (key, nonce []byte) {
	secret := m.extract(m.hpkeID, shared, "secret", nil)
	clear(shared)
	key = m.expand(m.hpkeID, secret, "key", info.schedule, m.suite.Nk)
	nonce = m.expand(m.hpkeID, secret, "base_nonce", info.schedule, m.suite.Nn)
	clear(secret)
	return key, nonce
}

// export ends KeySchedule for one exported secret, RFC 9180 §5.3.
func (m *dhKEM) export(shared []byte, n int) []byte {
	secret := m.extract(m.hpkeID, shared, "secret", nil)
	exporter := m.expand(m.hpkeID, secret, "exp", m.schedule(nil, nil).schedule, m.suite.Nh)
	return m.expand(m.hpkeID, exporter, "sec", []byte(exportLabel), n)
}

func (m *dhKEM) exportSend(pub []byte, n int) ([]byte, []byte, error) {
	enc, shared, err := m.encap(pub)
	if err != nil {
		return nil, nil, err
	}
	return enc, m.export(shared, n), nil
}

func (m *dhKEM) exportReceive(priv *PrivateKey, enc []byte, n int) ([]byte, error) {
	shared, err := m.decap(priv, enc)
	if err != nil {
		return nil, err
	}
	return m.export(shared, n), nil
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
