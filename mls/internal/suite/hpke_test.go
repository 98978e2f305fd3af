package suite

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// TestMAC compares both ways of HMAC and HKDF with the standard library.
func TestMAC(t *testing.T) {
	each(t, func(t *testing.T, s *Suite) {
		rapid.Check(t, func(t *rapid.T) {
			key := rapid.SliceOfN(rapid.Byte(), 0, 2*maxBlock).Draw(t, "key")
			data := rapid.SliceOfN(rapid.Byte(), 0, shortData+64).Draw(t, "data")
			m := hmac.New(s.newHash, key)
			m.Write(data)
			if got := s.MAC(key, data); !bytes.Equal(got, m.Sum(nil)) {
				t.Fatalf("MAC: %x", got)
			}
			n := rapid.IntRange(1, 3*s.Nh).Draw(t, "n")
			want, err := hkdf.Expand(s.newHash, key, string(data), n)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.expand(key, data, n); !bytes.Equal(got, want) {
				t.Fatalf("expand: %x, not %x", got, want)
			}
			prk, err := hkdf.Extract(s.newHash, data, key)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Extract(key, data); !bytes.Equal(got, prk) {
				t.Fatalf("extract: %x, not %x", got, prk)
			}
			h := s.newHash()
			h.Write(key)
			h.Write(data)
			if want := h.Sum(nil); !bytes.Equal(s.HashJoined(key, data), want) || !bytes.Equal(s.Hash(append(key, data...)), want) {
				t.Fatal("hash")
			}
		})
	})
}

// standard is what crypto/hpke calls the KEM, KDF and AEAD of a suite.
func standard(t *testing.T, id uint16) (hpke.KEM, hpke.KDF, hpke.AEAD) {
	t.Helper()
	switch id {
	case X25519AES128:
		return hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.AES128GCM()
	case P256AES128:
		return hpke.DHKEM(ecdh.P256()), hpke.HKDFSHA256(), hpke.AES128GCM()
	case X25519ChaCha20:
		return hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305()
	case P521AES256:
		return hpke.DHKEM(ecdh.P521()), hpke.HKDFSHA512(), hpke.AES256GCM()
	case P384AES256:
		return hpke.DHKEM(ecdh.P384()), hpke.HKDFSHA384(), hpke.AES256GCM()
	}
	t.Fatalf("suite %d", id)
	return nil, nil, nil
}

// TestStandardHPKE crosses our HPKE with crypto/hpke: keys, both directions,
// exports.
func TestStandardHPKE(t *testing.T) {
	for _, id := range []uint16{X25519AES128, P256AES128, X25519ChaCha20, P521AES256, P384AES256} {
		s, err := Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		kem, kdf, aead := standard(t, id)
		t.Run(s.Name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				ikm := rapid.SliceOfN(rapid.Byte(), s.Nh, s.Nh).Draw(t, "ikm")
				context := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "context")
				must := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				ours, err := s.DeriveKey(ikm)
				must(err)
				theirs, err := kem.DeriveKeyPair(ikm)
				must(err)
				raw, err := theirs.Bytes()
				must(err)
				if !bytes.Equal(ours.Bytes(), raw) || !bytes.Equal(ours.Public(), theirs.PublicKey().Bytes()) {
					t.Fatal("derived keys differ")
				}
				info := labelled("label", context)
				enc, ct, err := s.EncryptWithLabel(ours.Public(), "label", context, []byte("to them"))
				must(err)
				p, err := hpke.Open(theirs, kdf, aead, info, append(bytes.Clone(enc), ct...))
				if err != nil || string(p) != "to them" {
					t.Fatalf("%q, %v", p, err)
				}
				out, err := hpke.Seal(theirs.PublicKey(), kdf, aead, info, []byte("to us"))
				must(err)
				p, err = s.DecryptWithLabel(ours, "label", context, out[:len(enc)], out[len(enc):])
				if err != nil || string(p) != "to us" {
					t.Fatalf("%q, %v", p, err)
				}
				enc, sender, err := hpke.NewSender(theirs.PublicKey(), kdf, aead, nil)
				must(err)
				want, err := sender.Export(exportLabel, s.Nh)
				must(err)
				got, err := s.ExternalInitSecret(ours, enc)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("export: %v", err)
				}
			})
		})
	}
}

// TestGenerateX25519 compares generated keys with those of crypto/ecdh.
func TestGenerateX25519(t *testing.T) {
	for range 200 {
		k, err := generateX25519()
		if err != nil {
			t.Fatal(err)
		}
		p, err := ecdh.X25519().NewPrivateKey(k.Bytes())
		if err != nil || !bytes.Equal(p.PublicKey().Bytes(), k.Public()) {
			t.Fatalf("public key %x of %x, %v", k.Public(), k.Bytes(), err)
		}
	}
}

// TestSpareKeys encrypts to keys that were not parsed when they were made.
func TestSpareKeys(t *testing.T) {
	each(t, func(t *testing.T, s *Suite) {
		k, err := s.GenerateSpare()
		if err != nil {
			t.Fatal(err)
		}
		enc, ct, err := s.EncryptWithLabel(k.Public(), "l", nil, []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		clone := k.Clone()
		if p, err := s.DecryptWithLabel(k, "l", nil, enc, ct); err != nil || string(p) != "secret" {
			t.Errorf("%q, %v", p, err)
		}
		k.Wipe()
		if p, err := s.DecryptWithLabel(clone, "l", nil, enc, ct); err != nil || string(p) != "secret" {
			t.Errorf("clone: %q, %v", p, err)
		}
		clone = clone.Clone()
		clone.Wipe()
		if _, err := s.DecryptWithLabel(clone, "l", nil, enc, ct); !errors.Is(err, ErrDecrypt) {
			t.Errorf("wiped: %v", err)
		}
	})
}

func BenchmarkHPKE(b *testing.B) {
	s, err := Lookup(X25519AES128)
	if err != nil {
		b.Fatal(err)
	}
	k, err := s.GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	info := s.NewInfo("label", make([]byte, 300))
	enc, ct, err := s.Encrypt(k.Public(), info, make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"generate": func() error { _, err := s.GenerateKey(); return err },
		"spare":    func() error { _, err := s.GenerateSpare(); return err },
		"derive":   func() error { _, err := s.DeriveKey(ct[:32]); return err },
		"seal":     func() error { _, _, err := s.Encrypt(k.Public(), info, ct[:32]); return err },
		"open":     func() error { _, err := s.kem.open(k, enc, info, ct); return err },
		"mac":      func() error { s.MAC(ct[:32], ct); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
