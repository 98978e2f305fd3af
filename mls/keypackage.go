package mls

import (
	"bytes"
	"fmt"
	"time"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// KeyPackageOptions shapes a KeyPackage.
type KeyPackageOptions struct {
	LeafOptions
	// Lifetime is how long the package can be used; 0 means DefaultLifetime.
	Lifetime time.Duration
	// LastResort marks the package as one that may be used more than once
	// (requirement 11).
	LastResort bool
	// PackageExtensions are extensions of the package itself.
	PackageExtensions []Extension
	// Now is the time at which the lifetime starts; zero means now.
	Now time.Time
}

// KeyPackageBundle is a KeyPackage with its private keys. It is a secret. The
// signature of its leaf is good: it was made or verified here.
type KeyPackageBundle struct {
	suite *suite.Suite
	pkg   *wire.KeyPackage
	init  *suite.PrivateKey
	leaf  *suite.PrivateKey
}

// NewKeyPackage makes a KeyPackage for the identity, R §10.
func NewKeyPackage(id *Identity, opts KeyPackageOptions) (*KeyPackageBundle, error) {
	if id == nil {
		return nil, op("key package", ErrWrongIdentity)
	}
	s := id.suite
	initKey, err := s.GenerateKey()
	if err != nil {
		return nil, op("key package", err)
	}
	leafKey, err := s.GenerateSpare() // an update may replace it unused
	if err != nil {
		return nil, op("key package", err)
	}
	now := opts.Now
	if now.IsZero() {
		now = time.Now()
	}
	leaf := opts.newLeaf(id)
	leaf.EncryptionKey = leafKey.Public()
	setLifetime(leaf, now, opts.Lifetime)
	if err := leaf.Sign(s, id.key, nil, 0); err != nil {
		return nil, op("key package", err)
	}
	p := &wire.KeyPackage{Version: wire.Version, Suite: s.ID, InitKey: initKey.Public(), Leaf: *leaf,
		Extensions: wireExtensions(opts.PackageExtensions)}
	if opts.LastResort {
		p.Extensions = p.Extensions.Set(wire.ExtLastResort, nil)
	}
	if opts.GREASE {
		p.Extensions = p.Extensions.Set(grease(), nil)
	}
	if err := p.Sign(s, id.key); err != nil {
		return nil, op("key package", err)
	}
	return &KeyPackageBundle{s, p, initKey, leafKey}, nil
}

// ImportKeyPackage puts a KeyPackage, raw or in an MLSMessage, together with its
// private keys, which must fit, and verifies its leaf.
func ImportKeyPackage(raw, initPrivateKey, leafPrivateKey []byte) (*KeyPackageBundle, error) {
	p, s, err := parseKeyPackage(raw)
	if err != nil {
		return nil, op("key package", err)
	}
	b := &KeyPackageBundle{suite: s, pkg: p}
	if b.init, err = s.ParseKey(initPrivateKey); err != nil {
		return nil, op("key package", err)
	}
	if b.leaf, err = s.ParseKey(leafPrivateKey); err != nil {
		return nil, op("key package", err)
	}
	if !bytes.Equal(b.init.Public(), p.InitKey) || !bytes.Equal(b.leaf.Public(), p.Leaf.EncryptionKey) {
		return nil, op("key package", fmt.Errorf("%w: private keys are of another package", ErrKey))
	}
	if p.Leaf.Source != wire.SourceKeyPackage {
		return nil, op("key package", ErrLeafSource)
	}
	if err := p.Leaf.Verify(s, nil, 0); err != nil {
		return nil, op("key package", err)
	}
	return b, nil
}

// Public returns the KeyPackage, not wrapped in an MLSMessage.
func (b *KeyPackageBundle) Public() []byte { return bytes.Clone(b.pkg.Raw()) }

// Message returns the KeyPackage as an MLSMessage.
func (b *KeyPackageBundle) Message() []byte {
	return codec.Encode(&wire.Message{Format: wire.FormatKeyPackage, KeyPackage: b.pkg})
}

// Ref returns the KeyPackageRef by which a Welcome names the package, R §5.2.
func (b *KeyPackageBundle) Ref() []byte { return b.pkg.Ref(b.suite) }

// Suite returns the package's cipher suite.
func (b *KeyPackageBundle) Suite() Suite { return Suite(b.suite.ID) }

// Wipe overwrites the private keys (requirement 22). The bundle cannot be used
// any more. Groups that were joined with it keep their own copy of the leaf key.
func (b *KeyPackageBundle) Wipe() {
	b.init.Wipe()
	b.leaf.Wipe()
}

// bundleVersion starts a saved bundle.
const bundleVersion = 1

// MarshalBinary encodes the bundle with its private keys: a secret.
func (b *KeyPackageBundle) MarshalBinary() ([]byte, error) {
	out := codec.AppendVec([]byte{bundleVersion}, b.pkg.Raw())
	out = codec.AppendVec(out, b.init.Bytes())
	return codec.AppendVec(out, b.leaf.Bytes()), nil
}

// UnmarshalBinary decodes what MarshalBinary encodes.
func (b *KeyPackageBundle) UnmarshalBinary(data []byte) error {
	r := codec.NewReader(data)
	if r.U8() != bundleVersion {
		return op("key package", ErrState)
	}
	raw, initKey, leafKey := r.Vec(), r.Vec(), r.Vec()
	if err := r.Done(); err != nil {
		return op("key package", fmt.Errorf("%w: %w", ErrState, err))
	}
	n, err := ImportKeyPackage(raw, initKey, leafKey)
	if err == nil {
		*b = *n
	}
	return err
}

// parseKeyPackage reads a package, raw or wrapped, without checking it. Both
// forms start with the version mls10; a wire format stands where the suite does
// in the raw form, so the rest decides.
func parseKeyPackage(raw []byte) (*wire.KeyPackage, *suite.Suite, error) {
	raw = bytes.Clone(raw)
	p := new(wire.KeyPackage)
	err := decode(raw, p)
	if err != nil {
		var m wire.Message
		if decode(raw, &m) != nil || m.KeyPackage == nil {
			return nil, nil, err
		}
		p = m.KeyPackage
	}
	if p.Version != wire.Version {
		return nil, nil, ErrVersion
	}
	s, err := suite.Lookup(p.Suite)
	return p, s, err
}

// checkKeyPackage validates a package, R §10.1, but for lifetime and group.
func checkKeyPackage(s *suite.Suite, p *wire.KeyPackage) error {
	if p.Version != wire.Version {
		return ErrVersion
	}
	if p.Suite != s.ID {
		return ErrSuite
	}
	if err := checkLeafSelf(s, &p.Leaf, wire.SourceKeyPackage); err != nil {
		return err
	}
	if err := s.CheckPublic(p.InitKey); err != nil {
		return err
	}
	if bytes.Equal(p.InitKey, p.Leaf.EncryptionKey) {
		return ErrInitKey
	}
	if !p.Extensions.Unique() {
		return fmt.Errorf("%w: a type occurs twice in a key package", ErrExtension)
	}
	if err := p.Leaf.Verify(s, nil, 0); err != nil {
		return fmt.Errorf("leaf: %w", err)
	}
	if err := p.Verify(s); err != nil {
		return fmt.Errorf("key package: %w", err)
	}
	return nil
}

// KeyPackageInfo is what a valid KeyPackage says.
type KeyPackageInfo struct {
	Ref            []byte // KeyPackageRef
	Suite          Suite
	SignatureKey   []byte
	Credential     Credential
	Capabilities   Capabilities
	InitKey        []byte
	LeafKey        []byte
	NotBefore      time.Time
	NotAfter       time.Time
	LastResort     bool
	Extensions     []Extension // of the package
	LeafExtensions []Extension
}

// InspectKeyPackage validates a KeyPackage, raw or in an MLSMessage, as R §10.1
// demands: version, suite, both signatures, distinct keys, capabilities that
// cover what it uses. The lifetime is the caller's to judge.
func InspectKeyPackage(raw []byte) (*KeyPackageInfo, error) {
	p, s, err := parseKeyPackage(raw)
	if err == nil {
		err = checkKeyPackage(s, p)
	}
	if err != nil {
		return nil, op("key package", err)
	}
	_, last := p.Extensions.Find(wire.ExtLastResort)
	return &KeyPackageInfo{
		Ref: p.Ref(s), Suite: Suite(p.Suite), SignatureKey: p.Leaf.SignatureKey,
		Credential:   fromWireCredential(p.Leaf.Credential),
		Capabilities: fromWireCapabilities(p.Leaf.Capabilities),
		InitKey:      p.InitKey, LeafKey: p.Leaf.EncryptionKey,
		NotBefore: unixTime(p.Leaf.NotBefore), NotAfter: unixTime(p.Leaf.NotAfter),
		LastResort: last, Extensions: fromWireExtensions(p.Extensions),
		LeafExtensions: fromWireExtensions(p.Leaf.Extensions),
	}, nil
}

// unixTime converts seconds, capped where time.Time still compares properly.
func unixTime(sec uint64) time.Time {
	const year9999 = 253402300799
	return time.Unix(int64(min(sec, year9999)), 0).UTC()
}
