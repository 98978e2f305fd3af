package mls

import "quicnprotochat/mls/internal/suite"

// Suite is the code point of a cipher suite.
type Suite uint16

// The cipher suites of R §17.1.
const (
	X25519_AES128GCM_SHA256_Ed25519        Suite = 1
	P256_AES128GCM_SHA256_P256             Suite = 2
	X25519_CHACHA20POLY1305_SHA256_Ed25519 Suite = 3
	X448_AES256GCM_SHA512_Ed448            Suite = 4
	P521_AES256GCM_SHA512_P521             Suite = 5
	X448_CHACHA20POLY1305_SHA512_Ed448     Suite = 6
	P384_AES256GCM_SHA384_P384             Suite = 7
)

// Post-quantum suites of draft-ietf-mls-pq-ciphersuites. Their code points are
// not assigned yet: these are of the private-use range and may change.
const (
	XWing_AES128GCM_SHA256_Ed25519      Suite = Suite(suite.XWingAES128)
	XWing_AES256GCM_SHA384_Ed25519      Suite = Suite(suite.XWingAES256)
	MLKEM768P256_AES256GCM_SHA384_P256  Suite = Suite(suite.MLKEM768P256AES256)
	MLKEM1024P384_AES256GCM_SHA384_P384 Suite = Suite(suite.MLKEM1024P384AES256)
	MLKEM768_AES256GCM_SHA384_P256      Suite = Suite(suite.MLKEM768AES256)
	MLKEM1024_AES256GCM_SHA384_P384     Suite = Suite(suite.MLKEM1024AES256)
)

// Suites returns the suites of R §17.1 that are implemented: all.
func Suites() []Suite {
	standard, _ := suite.All()
	return toSuites(standard)
}

// PostQuantumSuites returns the post-quantum suites.
func PostQuantumSuites() []Suite {
	_, pq := suite.All()
	return toSuites(pq)
}

func toSuites(ids []uint16) []Suite {
	out := make([]Suite, len(ids))
	for i, id := range ids {
		out[i] = Suite(id)
	}
	return out
}

// String returns the registered name.
func (s Suite) String() string {
	if p, err := suite.Lookup(uint16(s)); err == nil {
		return p.Name
	}
	return "unknown cipher suite"
}
