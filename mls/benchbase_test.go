package mls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"testing"

	"quicnprotochat/mls/internal/suite"
)

// BenchmarkBaseline measures the standard library's primitives, on which all of
// suite 1 stands: a slower machine shows here.
func BenchmarkBaseline(b *testing.B) {
	var (
		x       = ecdh.X25519()
		mine    = mustBench(x.GenerateKey(rand.Reader))(b)
		yours   = mustBench(x.GenerateKey(rand.Reader))(b).PublicKey()
		kem     = hpke.DHKEM(x)
		key     = mustBench(kem.GenerateKey())(b)
		kdf     = hpke.HKDFSHA256()
		aead    = hpke.AES128GCM()
		message = make([]byte, 300)
		large   = make([]byte, 64<<10)
		gcm     = mustBench(cipher.NewGCM(mustBench(aes.NewCipher(message[:16]))(b)))(b)
		out     = make([]byte, 0, len(large)+16)
	)
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sig := ed25519.Sign(priv, message)
	sealed := mustBench(hpke.Seal(key.PublicKey(), kdf, aead, message, message[:32]))(b)
	for _, p := range []struct {
		name string
		size int
		run  func()
	}{
		{"x25519-keygen", 0, func() { mustBench(x.GenerateKey(rand.Reader))(b) }},
		{"x25519", 0, func() { mustBench(mine.ECDH(yours))(b) }},
		{"ed25519-sign", 0, func() { ed25519.Sign(priv, message) }},
		{"ed25519-verify", 0, func() { ed25519.Verify(pub, message, sig) }},
		{"hpke-seal", 0, func() { mustBench(hpke.Seal(key.PublicKey(), kdf, aead, message, message[:32]))(b) }},
		{"hpke-open", 0, func() { mustBench(hpke.Open(key, kdf, aead, message, sealed))(b) }},
		{"aes128gcm", len(large), func() { gcm.Seal(out, message[:12], large, nil) }},
		{"sha256", len(large), func() { sha256.Sum256(large) }},
		{"sha512", len(large), func() { sha512.Sum512(large) }},
	} {
		b.Run(p.name, func(b *testing.B) {
			b.SetBytes(int64(p.size))
			for b.Loop() {
				p.run()
			}
		})
	}
}

func BenchmarkXWing(b *testing.B) {
	s, err := suite.Lookup(suite.XWingAES128)
	if err != nil {
		b.Fatal(err)
	}
	k := mustBench(s.GenerateKey())(b)
	secret := make([]byte, 32)
	enc, ct, err := s.EncryptWithLabel(k.Public(), "bench", nil, secret)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.EncryptWithLabel(k.Public(), "bench", nil, secret); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.DecryptWithLabel(k, "bench", nil, enc, ct); err != nil {
				b.Fatal(err)
			}
		}
	})
}
