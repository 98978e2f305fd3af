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
// not assigned yet and implementations disagree: these defaults are of the
// private-use range, and [SetPostQuantumSuites] puts others in their place.
const (
	XWing_AES128GCM_SHA256_Ed25519      Suite = Suite(suite.XWingAES128)           // 0xF031
	XWing_AES256GCM_SHA384_Ed25519      Suite = Suite(suite.XWingAES256)           // 0xF032
	MLKEM768P256_AES256GCM_SHA384_P256  Suite = Suite(suite.MLKEM768P256AES256)    // 0xF033
	MLKEM1024P384_AES256GCM_SHA384_P384 Suite = Suite(suite.MLKEM1024P384AES256)   // 0xF034
	MLKEM768_AES256GCM_SHA384_P256      Suite = Suite(suite.MLKEM768AES256)        // 0xF035
	MLKEM1024_AES256GCM_SHA384_P384     Suite = Suite(suite.MLKEM1024AES256)       // 0xF036
	MLKEM768P256_AES128GCM_SHA256_P256  Suite = Suite(suite.MLKEM768P256AES128)    // 0xF037
	MLKEM768_AES256GCM_SHA384_Ed25519   Suite = Suite(suite.MLKEM768Ed25519AES256) // 0xF038
)

// Suites returns the suites of R §17.1 that are implemented: all.
func Suites() []Suite {
	standard, _ := suite.All()
	return toSuites(standard)
}

// PostQuantumSuites returns the code points of the post-quantum suites, in
// ascending order: the defaults, or what SetPostQuantumSuites set.
func PostQuantumSuites() []Suite {
	_, pq := suite.All()
	return toSuites(pq)
}

// SetPostQuantumSuites says under which code points the post-quantum suites are
// known, on the wire and in every Suite of this package. The table maps each
// code point to one of the constants, and replaces the defaults altogether: a
// suite may get several numbers, and one that is left out is not known any more.
// Groups that were saved under a number need it in the table to be loaded.
//
// It is to be called when a program starts. Once a post-quantum suite was used,
// by an identity, a KeyPackage or a group of this process, the error is
// ErrSuitesInUse. It is ErrUnknown for a value that is no post-quantum constant,
// and ErrCodePoint for a number that R §17.1 assigns or reserves (0 to 7 and
// GREASE) or that is another suite's default. After an error nothing changed.
//
// No number ever stands for a classical suite in place of a post-quantum one: an
// unknown one is ErrUnknown, and what is of another suite than a group, ErrSuite.
//
// It is safe for concurrent use.
func SetPostQuantumSuites(table map[Suite]Suite) error {
	ids := make(map[uint16]uint16, len(table))
	for id, of := range table {
		ids[uint16(id)] = uint16(of)
	}
	return op("post-quantum suites", suite.SetPostQuantum(ids))
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
	if name := suite.Name(uint16(s)); name != "" {
		return name
	}
	return "unknown cipher suite"
}
