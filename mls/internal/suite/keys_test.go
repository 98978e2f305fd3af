package suite

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"testing"
)

// TestFirstScalar passes over candidates that are no scalar, which no known
// input makes for a test: the odds are 2^-32 at best.
func TestFirstScalar(t *testing.T) {
	for id, curve := range map[uint16]elliptic.Curve{P256AES128: elliptic.P256(), P384AES256: elliptic.P384(), P521AES256: elliptic.P521()} {
		s := suites[id]
		m := s.kem.(*dhKEM)
		over := curve.Params().N.FillBytes(make([]byte, m.nSk))
		under := bytes.Clone(over)
		under[len(under)-1]--
		candidates := [][]byte{make([]byte, m.nSk), bytes.Clone(over), bytes.Repeat([]byte{0xff}, m.nSk), under}
		k, err := m.firstScalar(func(i byte) []byte { return bytes.Clone(candidates[i]) })
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		equal(t, s.Name, k.Bytes(), under)
		calls := 0
		if k, err := m.firstScalar(func(i byte) []byte {
			if int(i) != calls {
				t.Fatalf("candidate %d after %d", i, calls)
			}
			calls++
			return bytes.Clone(over)
		}); err == nil || calls != 256 {
			t.Errorf("%s: %v after %d candidates", s.Name, k, calls)
		}
	}
	m := suites[P521AES256].kem.(*dhKEM)
	k, err := m.firstScalar(func(byte) []byte { return append([]byte{0xfe}, bytes.Repeat([]byte{1}, m.nSk-1)...) })
	if err != nil || k.Bytes()[0] != 0 {
		t.Errorf("the bits above the order are not masked: %v", err)
	}
}

// TestInvalidPoints gives points off the curve, or at infinity, as public keys
// and as KEM outputs, RFC 9180 §7.1.4.
func TestInvalidPoints(t *testing.T) {
	for _, id := range []uint16{P256AES128, P384AES256, P521AES256, MLKEM768P256AES256, MLKEM1024P384AES256} {
		s := suites[id]
		k, err := s.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		enc, ct, err := s.EncryptWithLabel(k.Public(), "l", nil, []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		off := func(b []byte) []byte {
			b = bytes.Clone(b)
			b[len(b)-1] ^= 1
			return b
		}
		if err := s.CheckPublic(off(k.Public())); err == nil {
			t.Errorf("%s: a key off the curve", s.Name)
		}
		if _, err := s.DecryptWithLabel(k, "l", nil, off(enc), ct); err == nil {
			t.Errorf("%s: a KEM output off the curve", s.Name)
		}
		for _, infinity := range [][]byte{{0}, make([]byte, len(k.Public()))} {
			if err := s.CheckPublic(infinity); err == nil {
				t.Errorf("%s: infinity as a key", s.Name)
			}
		}
	}
}

// TestClamped reads private keys whose bits X25519 and X448 ignore, RFC 9180
// §7.1.2.
func TestClamped(t *testing.T) {
	for id, n := range map[uint16]int{X25519AES128: 32, X448AES256: 56} {
		s := suites[id]
		k, err := s.ParseKey(bytes.Repeat([]byte{0xff}, n))
		if err != nil {
			t.Fatal(err)
		}
		same, err := s.ParseKey(k.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, s.Name, same.Public(), k.Public())
		low, high := k.Bytes()[0], k.Bytes()[n-1]
		if n == 32 && (low != 0xf8 || high != 0x7f) || n == 56 && (low != 0xfc || high != 0xff) {
			t.Errorf("%s: a private key that is not clamped: %x", s.Name, k.Bytes())
		}
		made, err := s.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.ParseKey(made.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, s.Name, again.Bytes(), made.Bytes())
	}
}

// TestMontgomery maps known points, and those whose u-coordinate is short.
func TestMontgomery(t *testing.T) {
	// The base points of RFC 7748 §4.1: y = 4/5 and u = 9.
	y := append([]byte{0x58}, bytes.Repeat([]byte{0x66}, 31)...)
	equal(t, "base point", montgomery(y), append([]byte{9}, make([]byte, 31)...))
	y[31] |= 0x80
	equal(t, "its opposite", montgomery(y), append([]byte{9}, make([]byte, 31)...))
	// Leading zeros must stay: a public key with zero bytes at its end.
	for n := 0; ; n++ {
		if n == 20000 {
			t.Fatal("no short public key")
		}
		k, err := generateX25519()
		if err != nil {
			t.Fatal(err)
		}
		if k.pub[31] != 0 {
			continue
		}
		p, err := ecdh.X25519().NewPrivateKey(k.raw)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "short public key", k.pub, p.PublicKey().Bytes())
		return
	}
}
