package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/sha512"

	"golang.org/x/crypto/chacha20poly1305"
)

// The suites of R §17.1, then the post-quantum ones, with the pairings and names
// of draft-ietf-mls-pq-ciphersuites-06 and default numbers of our own.
const (
	X25519AES128          uint16 = 1
	P256AES128            uint16 = 2
	X25519ChaCha20        uint16 = 3
	X448AES256            uint16 = 4
	P521AES256            uint16 = 5
	X448ChaCha20          uint16 = 6
	P384AES256            uint16 = 7
	privateUse            uint16 = 0xf000
	XWingAES128                  = privateUse + 0x31
	XWingAES256                  = privateUse + 0x32
	MLKEM768P256AES256           = privateUse + 0x33
	MLKEM1024P384AES256          = privateUse + 0x34
	MLKEM768AES256               = privateUse + 0x35
	MLKEM1024AES256              = privateUse + 0x36
	MLKEM768P256AES128           = privateUse + 0x37
	MLKEM768Ed25519AES256        = privateUse + 0x38
)

// suites holds every suite under its default code point. It does not change.
var suites = map[uint16]*Suite{}

func gcm(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

func sha256Suite(nk int) *Suite {
	return &Suite{Nh: sha256.Size, block: sha256.BlockSize, Nk: nk, Nn: 12, newHash: sha256.New, newAEAD: gcm}
}

func sha384Suite() *Suite {
	return &Suite{Nh: sha512.Size384, block: sha512.BlockSize, Nk: 32, Nn: 12, newHash: sha512.New384, newAEAD: gcm}
}

func sha512Suite() *Suite {
	return &Suite{Nh: sha512.Size, block: sha512.BlockSize, Nk: 32, Nn: 12, newHash: sha512.New, newAEAD: gcm}
}

func register(id uint16, name string, s *Suite, k kem, sig signature) {
	s.ID, s.Name, s.kem, s.sig = id, name, k, sig
	suites[id] = s
	if id >= privateUse {
		postQuantum.table[id] = s
	}
}

func init() {
	p256 := ecdsaScheme{elliptic.P256(), sha256.New, 32}
	p384 := ecdsaScheme{elliptic.P384(), sha512.New384, 48}
	p521 := ecdsaScheme{elliptic.P521(), sha512.New, 66}

	s := sha256Suite(16)
	register(X25519AES128, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", s,
		newDHKEM(s, ecdh.X25519(), kemX25519, kdfSHA256, aeadAES128GCM, 32), ed25519Scheme{})
	s = sha256Suite(16)
	register(P256AES128, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256", s,
		newDHKEM(s, ecdh.P256(), kemP256, kdfSHA256, aeadAES128GCM, 32), p256)
	s = sha256Suite(32)
	s.newAEAD = chacha20poly1305.New
	register(X25519ChaCha20, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519", s,
		newDHKEM(s, ecdh.X25519(), kemX25519, kdfSHA256, aeadChaCha20, 32), ed25519Scheme{})
	register(X448AES256, "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
		sha512Suite(), newX448(false), ed448Scheme{})
	s = sha512Suite()
	register(P521AES256, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521", s,
		newDHKEM(s, ecdh.P521(), kemP521, kdfSHA512, aeadAES256GCM, 66), p521)
	s = sha512Suite()
	s.newAEAD = chacha20poly1305.New
	register(X448ChaCha20, "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
		s, newX448(true), ed448Scheme{})
	s = sha384Suite()
	register(P384AES256, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384", s,
		newDHKEM(s, ecdh.P384(), kemP384, kdfSHA384, aeadAES256GCM, 48), p384)

	aes128, aes256 := hpke.AES128GCM(), hpke.AES256GCM()
	k256, k384 := hpke.HKDFSHA256(), hpke.HKDFSHA384()
	register(XWingAES128, "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519",
		sha256Suite(16), &stdKEM{hpke.MLKEM768X25519(), k256, aes128, mlkem768Ct + 32, true}, ed25519Scheme{})
	register(XWingAES256, "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519",
		sha384Suite(), &stdKEM{hpke.MLKEM768X25519(), k384, aes256, mlkem768Ct + 32, true}, ed25519Scheme{})
	register(MLKEM768P256AES256, "MLS_128_MLKEM768P256_AES256GCM_SHA384_P256",
		sha384Suite(), &stdKEM{hpke.MLKEM768P256(), k384, aes256, mlkem768Ct + 65, false}, p256)
	register(MLKEM1024P384AES256, "MLS_192_MLKEM1024P384_AES256GCM_SHA384_P384",
		sha384Suite(), &stdKEM{hpke.MLKEM1024P384(), k384, aes256, mlkem1024Ct + 97, false}, p384)
	register(MLKEM768AES256, "MLS_128_MLKEM768_AES256GCM_SHA384_P256",
		sha384Suite(), &stdKEM{hpke.MLKEM768(), k384, aes256, mlkem768Ct, false}, p256)
	register(MLKEM1024AES256, "MLS_192_MLKEM1024_AES256GCM_SHA384_P384",
		sha384Suite(), &stdKEM{hpke.MLKEM1024(), k384, aes256, mlkem1024Ct, false}, p384)
	register(MLKEM768P256AES128, "MLS_128_MLKEM768P256_AES128GCM_SHA256_P256",
		sha256Suite(16), &stdKEM{hpke.MLKEM768P256(), k256, aes128, mlkem768Ct + 65, false}, p256)
	register(MLKEM768Ed25519AES256, "MLS_128_MLKEM768_AES256GCM_SHA384_Ed25519",
		sha384Suite(), &stdKEM{hpke.MLKEM768(), k384, aes256, mlkem768Ct, false}, ed25519Scheme{})
}

// Sizes in bytes of ML-KEM ciphertexts, FIPS 203.
const (
	mlkem768Ct  = 1088
	mlkem1024Ct = 1568
)
