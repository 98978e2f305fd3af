package suite

import (
	"crypto/ecdh"
	"crypto/hpke"
	"fmt"
	"sync/atomic"

	ckem "github.com/cloudflare/circl/kem"
)

// exportLabel is the exporter context of an external init, R §8.3.
const exportLabel = "MLS 1.0 external init secret"

// kem is an HPKE KEM with the KDF and AEAD of its suite, in base mode.
type kem interface {
	generate() (*PrivateKey, error)
	derive(ikm []byte) (*PrivateKey, error)
	parse(raw []byte) (*PrivateKey, error)
	check(pub []byte) error
	info(label string, context []byte) Info
	seal(pub []byte, info Info, plaintext []byte) (kemOutput, ciphertext []byte, err error)
	open(priv *PrivateKey, kemOutput []byte, info Info, ciphertext []byte) ([]byte, error)
	exportSend(pub []byte, n int) (kemOutput, secret []byte, err error)
	exportReceive(priv *PrivateKey, kemOutput []byte, n int) ([]byte, error)
}

// Info is a label with its context, prepared to encrypt under many times.
type Info struct {
	raw      []byte // info of HPKE
	schedule []byte // key_schedule_context of HPKE, dhKEM only
}

// rawInfo is the Info of KEMs that take it as it is.
func rawInfo(label string, context []byte) Info { return Info{raw: labelled(label, context)} }

// PrivateKey is an HPKE private key, parsed once. It is immutable until wiped.
type PrivateKey struct {
	pub, raw []byte
	dh       atomic.Pointer[ecdh.PrivateKey]
	std      hpke.PrivateKey
	x448     ckem.PrivateKey
}

// Public returns SerializePublicKey of RFC 9180; the caller must not change it.
func (k *PrivateKey) Public() []byte { return k.pub }

// Bytes returns SerializePrivateKey of RFC 9180; the caller must not change it.
func (k *PrivateKey) Bytes() []byte { return k.raw }

// Clone returns a key that outlives the wiping of k.
func (k *PrivateKey) Clone() *PrivateKey {
	c := &PrivateKey{pub: k.pub, raw: append([]byte(nil), k.raw...), std: k.std, x448: k.x448}
	c.dh.Store(k.dh.Load())
	return c
}

// Wipe overwrites the serialized key. The parsed form inside the standard
// library cannot be reached; it is dropped for the collector.
func (k *PrivateKey) Wipe() {
	if k != nil {
		clear(k.raw)
		k.raw, k.std, k.x448 = nil, nil, nil
		k.dh.Store(nil)
	}
}

// stdKEM is a post-quantum KEM of crypto/hpke.
type stdKEM struct {
	kem  hpke.KEM
	kdf  hpke.KDF
	aead hpke.AEAD
	nEnc int // size in bytes of a KEM output

	x25519 bool // whether public keys end with one of X25519
}

func wrapStd(k hpke.PrivateKey, err error) (*PrivateKey, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	raw, err := k.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	return &PrivateKey{pub: k.PublicKey().Bytes(), raw: raw, std: k}, nil
}

func (m *stdKEM) generate() (*PrivateKey, error)         { return wrapStd(m.kem.GenerateKey()) }
func (m *stdKEM) derive(ikm []byte) (*PrivateKey, error) { return wrapStd(m.kem.DeriveKeyPair(ikm)) }

func (m *stdKEM) parse(raw []byte) (*PrivateKey, error) {
	return wrapStd(m.kem.NewPrivateKey(raw))
}

func (m *stdKEM) info(label string, context []byte) Info { return rawInfo(label, context) }

func (m *stdKEM) public(pub []byte) (hpke.PublicKey, error) {
	k, err := m.kem.NewPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	return k, nil
}

func (m *stdKEM) check(pub []byte) error {
	if _, err := m.public(pub); err != nil {
		return err
	}
	if m.x25519 && lowOrder25519(pub[len(pub)-32:]) {
		return fmt.Errorf("%w: point of low order", ErrKey)
	}
	return nil
}

func (m *stdKEM) seal(pub []byte, info Info, plaintext []byte) ([]byte, []byte, error) {
	k, err := m.public(pub)
	if err != nil {
		return nil, nil, err
	}
	out, err := hpke.Seal(k, m.kdf, m.aead, info.raw, plaintext)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	return out[:m.nEnc:m.nEnc], out[m.nEnc:], nil
}

func (m *stdKEM) open(priv *PrivateKey, enc []byte, info Info, ciphertext []byte) ([]byte, error) {
	if len(enc) != m.nEnc || priv.std == nil {
		return nil, ErrDecrypt
	}
	r, err := hpke.NewRecipient(enc, priv.std, m.kdf, m.aead, info.raw)
	if err != nil {
		return nil, ErrDecrypt
	}
	p, err := r.Open(nil, ciphertext)
	if err != nil {
		return nil, ErrDecrypt
	}
	return p, nil
}

func (m *stdKEM) exportSend(pub []byte, n int) ([]byte, []byte, error) {
	k, err := m.public(pub)
	if err != nil {
		return nil, nil, err
	}
	enc, s, err := hpke.NewSender(k, m.kdf, m.aead, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrKey, err)
	}
	secret, err := s.Export(exportLabel, n)
	return enc, secret, err
}

func (m *stdKEM) exportReceive(priv *PrivateKey, enc []byte, n int) ([]byte, error) {
	if len(enc) != m.nEnc || priv.std == nil {
		return nil, ErrDecrypt
	}
	r, err := hpke.NewRecipient(enc, priv.std, m.kdf, m.aead, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return r.Export(exportLabel, n)
}

// lowOrder25519 says whether u is one of the points on which every exchange
// fails: a member with such a key would keep all others from committing.
func lowOrder25519(u []byte) bool {
	var p [32]byte
	copy(p[:], u)
	p[31] &= 0x7f
	for _, q := range lowOrderPoints {
		if p == q {
			return true
		}
	}
	return false
}

var lowOrderPoints = func() [7][32]byte {
	var t [7][32]byte
	t[1][0] = 1
	t[2] = [32]byte{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}
	t[3] = [32]byte{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57}
	for i := range byte(3) { // p-1, p, p+1 with p = 2^255-19
		t[4+i] = [32]byte{0xec + i}
		for j := 1; j < 31; j++ {
			t[4+i][j] = 0xff
		}
		t[4+i][31] = 0x7f
	}
	return t
}()
