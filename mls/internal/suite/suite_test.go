package suite

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"testing"
)

func each(t *testing.T, f func(*testing.T, *Suite)) {
	standard, postQuantum := All()
	for _, id := range append(standard, postQuantum...) {
		s, err := Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(s.Name, func(t *testing.T) { f(t, s) })
	}
}

func TestHPKE(t *testing.T) {
	each(t, func(t *testing.T, s *Suite) {
		k, err := s.DeriveKey(bytes.Repeat([]byte{1}, s.Nh))
		if err != nil {
			t.Fatal(err)
		}
		same, err := s.DeriveKey(bytes.Repeat([]byte{1}, s.Nh))
		if err != nil || !bytes.Equal(same.Public(), k.Public()) {
			t.Errorf("key derivation is not deterministic: %v", err)
		}
		parsed, err := s.ParseKey(k.Bytes())
		if err != nil || !bytes.Equal(parsed.Public(), k.Public()) {
			t.Errorf("a private key does not survive its encoding: %v", err)
		}
		if err := s.CheckPublic(k.Public()); err != nil {
			t.Error(err)
		}
		enc, ct, err := s.EncryptWithLabel(k.Public(), "label", []byte("context"), []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.DecryptWithLabel(parsed, "label", []byte("context"), enc, ct)
		if err != nil || string(p) != "secret" {
			t.Errorf("%q, %v", p, err)
		}
		for name, f := range map[string]func() ([]byte, error){
			"label":      func() ([]byte, error) { return s.DecryptWithLabel(k, "other", []byte("context"), enc, ct) },
			"context":    func() ([]byte, error) { return s.DecryptWithLabel(k, "label", nil, enc, ct) },
			"kem output": func() ([]byte, error) { return s.DecryptWithLabel(k, "label", []byte("context"), enc[1:], ct) },
			"ciphertext": func() ([]byte, error) { return s.DecryptWithLabel(k, "label", []byte("context"), enc, ct[1:]) },
			"nothing":    func() ([]byte, error) { return s.DecryptWithLabel(k, "label", []byte("context"), nil, nil) },
		} {
			if _, err := f(); !errors.Is(err, ErrDecrypt) {
				t.Errorf("wrong %s: %v", name, err)
			}
		}
		out, secret, err := s.ExternalInit(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.ExternalInitSecret(k, out)
		if err != nil || !bytes.Equal(got, secret) || len(got) != s.Nh {
			t.Errorf("external init: %v", err)
		}
		kept := k.Clone()
		k.Wipe()
		if _, err := s.DecryptWithLabel(k, "label", []byte("context"), enc, ct); err == nil {
			t.Error("a wiped key still decrypts")
		}
		if _, err := s.DecryptWithLabel(kept, "label", []byte("context"), enc, ct); err != nil {
			t.Errorf("a clone was wiped too: %v", err)
		}
	})
}

func TestBadPublicKeys(t *testing.T) {
	each(t, func(t *testing.T, s *Suite) {
		k, err := s.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		for name, pub := range map[string][]byte{
			"empty": nil, "short": k.Public()[1:], "long": append(bytes.Clone(k.Public()), 0),
		} {
			if err := s.CheckPublic(pub); !errors.Is(err, ErrKey) {
				t.Errorf("%s key: %v", name, err)
			}
			if _, _, err := s.EncryptWithLabel(pub, "l", nil, nil); !errors.Is(err, ErrKey) {
				t.Errorf("encrypting to a %s key: %v", name, err)
			}
		}
	})
	if err := suites[X448AES256].CheckPublic(make([]byte, 56)); !errors.Is(err, ErrKey) {
		t.Errorf("zero on X448: %v", err)
	}
}

func TestSignatures(t *testing.T) {
	each(t, func(t *testing.T, s *Suite) {
		k, err := s.GenerateSignatureKey()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := s.ParseSignatureKey(k.Bytes())
		if err != nil || !bytes.Equal(parsed.Public(), k.Public()) {
			t.Fatalf("a private key does not survive its encoding: %v", err)
		}
		if err := s.CheckSignaturePublic(k.Public()); err != nil {
			t.Error(err)
		}
		sig, err := s.SignWithLabel(parsed, "label", []byte("content"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.VerifyWithLabel(k.Public(), "label", []byte("content"), sig); err != nil {
			t.Error(err)
		}
		other, err := s.GenerateSignatureKey()
		if err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"label":     s.VerifyWithLabel(k.Public(), "other", []byte("content"), sig),
			"content":   s.VerifyWithLabel(k.Public(), "label", []byte("Content"), sig),
			"key":       s.VerifyWithLabel(other.Public(), "label", []byte("content"), sig),
			"no key":    s.VerifyWithLabel(nil, "label", []byte("content"), sig),
			"signature": s.VerifyWithLabel(k.Public(), "label", []byte("content"), sig[1:]),
			"nothing":   s.VerifyWithLabel(k.Public(), "label", []byte("content"), nil),
		} {
			if !errors.Is(err, ErrSignature) {
				t.Errorf("wrong %s: %v", name, err)
			}
		}
		for _, raw := range [][]byte{nil, make([]byte, 200)} {
			if _, err := s.ParseSignatureKey(raw); !errors.Is(err, ErrKey) {
				t.Errorf("private key of %d bytes: %v", len(raw), err)
			}
		}
		if err := s.CheckSignaturePublic(nil); !errors.Is(err, ErrKey) {
			t.Errorf("empty public key: %v", err)
		}
	})
}

// TestLowOrderPoints gives members X25519 keys, alone and as part of X-Wing's,
// to which nobody can encrypt: they must not get into a tree. As KEM outputs
// they make shared secrets of zero, which are refused, RFC 9180 §7.1.4.
func TestLowOrderPoints(t *testing.T) {
	for _, id := range []uint16{X25519AES128, X25519ChaCha20, XWingAES128, XWingAES256} {
		s := suites[id]
		k, err := s.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		pub := bytes.Clone(k.Public())
		enc, ct, err := s.EncryptWithLabel(pub, "l", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range lowOrderPoints {
			for _, top := range []byte{0, 0x80} {
				q := pub[len(pub)-32:]
				copy(q, p[:])
				q[31] |= top
				if err := s.CheckPublic(pub); !errors.Is(err, ErrKey) {
					t.Errorf("%s, low order point %d: %v", s.Name, i, err)
				}
				if _, _, err := s.EncryptWithLabel(pub, "l", nil, nil); !errors.Is(err, ErrKey) {
					t.Errorf("%s: point %d is not of low order: %v", s.Name, i, err)
				}
				copy(enc[len(enc)-32:], q)
				if _, err := s.DecryptWithLabel(k, "l", nil, enc, ct); !errors.Is(err, ErrDecrypt) {
					t.Errorf("%s: low order point %d as KEM output: %v", s.Name, i, err)
				}
			}
		}
	}
}

// TestCompressedPoints reads the keys of implementations that compress them.
func TestCompressedPoints(t *testing.T) {
	for id, curve := range map[uint16]elliptic.Curve{P256AES128: elliptic.P256(), P384AES256: elliptic.P384(), P521AES256: elliptic.P521()} {
		s := suites[id]
		k, err := s.GenerateSignatureKey()
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.SignWithLabel(k, "l", nil)
		if err != nil {
			t.Fatal(err)
		}
		size := (curve.Params().BitSize + 7) / 8
		pub := k.Public()
		compressed := append([]byte{2 + pub[len(pub)-1]&1}, pub[1:1+size]...)
		if err := s.VerifyWithLabel(compressed, "l", nil, sig); err != nil {
			t.Errorf("suite %d: %v", id, err)
		}
		if err := s.CheckPublic(compressed); !errors.Is(err, ErrKey) {
			t.Errorf("%s: a compressed HPKE key: %v", s.Name, err)
		}
		compressed[0] ^= 1
		if err := s.VerifyWithLabel(compressed, "l", nil, sig); !errors.Is(err, ErrSignature) {
			t.Errorf("suite %d, the opposite point: %v", id, err)
		}
		if err := s.CheckSignaturePublic(append([]byte{2}, bytes.Repeat([]byte{0xff}, size)...)); !errors.Is(err, ErrKey) {
			t.Errorf("suite %d, no point: %v", id, err)
		}
	}
}

func TestExpandLengths(t *testing.T) {
	each(t, func(t *testing.T, s *Suite) {
		long := s.ExpandWithLabel(s.Zero(), "l", nil, 255*s.Nh)
		if len(long) != 255*s.Nh {
			t.Errorf("%d bytes", len(long))
		}
		for _, n := range []int{0, 1, s.Nh, s.Nh + 1} {
			if got := s.ExpandWithLabel(s.Zero(), "l", nil, n); len(got) != n {
				t.Errorf("%d bytes, not %d", len(got), n)
			}
		}
	})
	if _, err := Lookup(0x0a0a); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
}
