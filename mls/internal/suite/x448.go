package suite

import (
	"crypto/rand"
	"fmt"

	"github.com/cloudflare/circl/dh/x448"
	chpke "github.com/cloudflare/circl/hpke"
	ckem "github.com/cloudflare/circl/kem"
)

// x448KEM is DHKEM(X448, HKDF-SHA512) of circl. Its key derivation is written
// here, because circl's takes seeds of 56 bytes only and MLS derives from 64.
type x448KEM struct {
	suite  chpke.Suite
	scheme ckem.Scheme
}

func newX448(chacha bool) *x448KEM {
	aead := chpke.AEAD_AES256GCM
	if chacha {
		aead = chpke.AEAD_ChaCha20Poly1305
	}
	return &x448KEM{
		chpke.NewSuite(chpke.KEM_X448_HKDF_SHA512, chpke.KDF_HKDF_SHA512, aead),
		chpke.KEM_X448_HKDF_SHA512.Scheme(),
	}
}

func (m *x448KEM) generate() (*PrivateKey, error) {
	raw := make([]byte, x448.Size)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	defer clear(raw)
	return m.parse(raw)
}

func (m *x448KEM) derive(ikm []byte) (*PrivateKey, error) {
	suiteID := []byte{'K', 'E', 'M', 0x00, 0x21}
	h := suites[X448AES256]
	in := append([]byte(hpkeVersion), suiteID...)
	in = append(append(in, "dkp_prk"...), ikm...)
	prk := h.Extract(nil, in)
	info := append([]byte{0, x448.Size}, hpkeVersion...)
	info = append(append(info, suiteID...), "sk"...)
	raw := h.expand(prk, info, x448.Size)
	defer clear(raw)
	clear(in)
	clear(prk)
	return m.parse(raw)
}

func (m *x448KEM) parse(raw []byte) (*PrivateKey, error) {
	k, err := m.scheme.UnmarshalBinaryPrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	pub, err := k.Public().MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	p := &PrivateKey{pub: pub, raw: append([]byte(nil), raw...), x448: k}
	p.raw[0] &= 252 // SerializePrivateKey clamps, RFC 9180 §7.1.2
	p.raw[x448.Size-1] |= 128
	return p, nil
}

func (m *x448KEM) check(pub []byte) error {
	var shared, secret, public x448.Key
	if copy(public[:], pub) != len(pub) || len(pub) != x448.Size {
		return fmt.Errorf("%w: X448 key of %d bytes", ErrKey, len(pub))
	}
	secret[1] = 1
	if !x448.Shared(&shared, &secret, &public) {
		return fmt.Errorf("%w: point of low order", ErrKey)
	}
	return nil
}

func (m *x448KEM) send(pub, info []byte) ([]byte, chpke.Sealer, error) {
	k, err := m.scheme.UnmarshalBinaryPublicKey(pub)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	s, err := m.suite.NewSender(k, info)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	enc, sealer, err := s.Setup(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	return enc, sealer, nil
}

func (m *x448KEM) receive(priv *PrivateKey, enc, info []byte) (chpke.Opener, error) {
	if priv.x448 == nil || len(enc) != x448.Size {
		return nil, ErrDecrypt
	}
	r, err := m.suite.NewReceiver(priv.x448, info)
	if err != nil {
		return nil, ErrDecrypt
	}
	o, err := r.Setup(enc)
	if err != nil {
		return nil, ErrDecrypt
	}
	return o, nil
}

func (m *x448KEM) info(label string, context []byte) Info { return rawInfo(label, context) }

func (m *x448KEM) seal(pub []byte, info Info, plaintext []byte) ([]byte, []byte, error) {
	enc, s, err := m.send(pub, info.raw)
	if err != nil {
		return nil, nil, err
	}
	ct, err := s.Seal(plaintext, nil)
	return enc, ct, err
}

func (m *x448KEM) open(priv *PrivateKey, enc []byte, info Info, ciphertext []byte) ([]byte, error) {
	o, err := m.receive(priv, enc, info.raw)
	if err != nil {
		return nil, err
	}
	p, err := o.Open(ciphertext, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return p, nil
}

func (m *x448KEM) exportSend(pub []byte, n int) ([]byte, []byte, error) {
	enc, s, err := m.send(pub, nil)
	if err != nil {
		return nil, nil, err
	}
	return enc, s.Export([]byte(exportLabel), uint(n)), nil
}

func (m *x448KEM) exportReceive(priv *PrivateKey, enc []byte, n int) ([]byte, error) {
	o, err := m.receive(priv, enc, nil)
	if err != nil {
		return nil, err
	}
	return o.Export([]byte(exportLabel), uint(n)), nil
}
