package as

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"quicnprotochat/mls"
	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
)

// wireFormatKeyPackage is mls_key_package of RFC 9420 section 17.2, and mls10 the protocol version of section 6.
const (
	wireFormatKeyPackage = 5
	mls10                = 1
)

// validate checks what peer wants to publish (RFC 9420 section 10.1; requirements 12 and 13): signatures, suite, lifetime, and that
// credential and signature key are the caller's own. The store refuses a repeated init key.
func (s *Service) validate(peer *quicrpc.Peer, raw []byte) (store.KeyPackage, error) {
	refuse := func(format string, args ...any) (store.KeyPackage, error) {
		return store.KeyPackage{}, quicrpc.Errorf(quicrpc.CodeInvalidArgument, format, args...)
	}
	if len(raw) == 0 || len(raw) > store.MaxKeyPackage {
		return refuse("KeyPackage of %d bytes, want 1 to %d", len(raw), store.MaxKeyPackage)
	}
	info, err := mls.InspectKeyPackage(raw)
	if err != nil {
		return refuse("KeyPackage: %v", err)
	}
	if wrapped(raw) {
		return refuse("KeyPackage is wrapped in an MLSMessage")
	}
	if len(s.limits.Suites) > 0 && !slices.Contains(s.limits.Suites, info.Suite) {
		return refuse("KeyPackage: cipher suite %d is not accepted here", info.Suite)
	}
	now := s.clock()
	switch {
	case !info.NotAfter.After(now):
		return refuse("KeyPackage: expired")
	case info.NotAfter.Before(info.NotBefore):
		return refuse("KeyPackage: lifetime ends before it begins")
	case info.NotBefore.After(now.Add(s.limits.ClockSkew)):
		return refuse("KeyPackage: lifetime begins in the future")
	case info.NotAfter.After(now.Add(s.limits.MaxLifetime)):
		return refuse("KeyPackage: lifetime above %v", s.limits.MaxLifetime)
	case info.NotAfter.Sub(info.NotBefore) > s.limits.MaxLifetime+s.limits.ClockSkew: // one that began long ago, so that its end is near
		return refuse("KeyPackage: lifetime above %v from its beginning", s.limits.MaxLifetime)
	}
	if info.Credential.Type != mls.CredentialBasic || !bytes.Equal(info.Credential.Identity, peer[:]) {
		return refuse("KeyPackage: credential is not basic with the caller's key")
	}
	if !bytes.Equal(info.SignatureKey, peer[:]) {
		return refuse("KeyPackage: signature key is not the caller's")
	}
	return store.KeyPackage{
		Fingerprint: sha256.Sum256(raw),
		InitKey:     sha256.Sum256(info.InitKey),
		NotAfter:    info.NotAfter,
		LastResort:  info.LastResort,
		Data:        raw,
	}, nil
}

// wrapped says whether a valid raw is an MLSMessage. The number of its wire format stands where the suite does in a KeyPackage; suite 5, of the same
// number, signs with P-521 and so cannot be the caller's either.
func wrapped(raw []byte) bool {
	return binary.BigEndian.Uint16(raw) == mls10 && binary.BigEndian.Uint16(raw[2:]) == wireFormatKeyPackage
}
