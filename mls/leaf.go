package mls

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// DefaultLifetime is how long a KeyPackage can be used.
const DefaultLifetime = 84 * 24 * time.Hour

// clockSkew is how long before now a lifetime starts.
const clockSkew = time.Hour

// LeafOptions shapes the leaf of this client.
type LeafOptions struct {
	// Capabilities replace DefaultCapabilities.
	Capabilities *Capabilities
	// Extensions of the leaf, for instance application_id. Their types are added
	// to the capabilities.
	Extensions []Extension
	// GREASE adds random reserved values to the capabilities, R §13.5.
	GREASE bool
}

// newLeaf returns an unsigned leaf without keys of the ratchet tree.
func (o *LeafOptions) newLeaf(id *Identity) *wire.LeafNode {
	c := DefaultCapabilities(id.Suite())
	if o.Capabilities != nil {
		c = *o.Capabilities
	}
	leaf := &wire.LeafNode{SignatureKey: id.key.Public(), Credential: id.credential.wire(),
		Capabilities: c.wire(), Extensions: wireExtensions(o.Extensions)}
	w := &leaf.Capabilities
	for _, e := range o.Extensions {
		if !wire.DefaultExtension(e.Type) && !w.Extensions.Has(e.Type) {
			w.Extensions = append(w.Extensions, wire.MakeU16s(e.Type)...)
		}
	}
	if o.GREASE {
		for _, list := range []*wire.U16s{&w.Suites, &w.Extensions, &w.Proposals, &w.Credentials} {
			*list = append(*list, wire.MakeU16s(grease())...)
		}
	}
	return leaf
}

// grease returns one of the reserved values 0x0A0A to 0xEAEA, R §13.5.
func grease() uint16 {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	v := uint16(b[0]%15)<<4 | 0x0a
	return v<<8 | v
}

func setLifetime(leaf *wire.LeafNode, now time.Time, lifetime time.Duration) {
	if lifetime <= 0 {
		lifetime = DefaultLifetime
	}
	leaf.Source = wire.SourceKeyPackage
	leaf.NotBefore = uint64(max(0, now.Add(-clockSkew).Unix()))
	leaf.NotAfter = uint64(max(0, now.Add(lifetime).Unix()))
}

func checkLifetime(leaf *wire.LeafNode, now time.Time) error {
	t := uint64(max(0, now.Unix()))
	if leaf.Source == wire.SourceKeyPackage && (t < leaf.NotBefore || t > leaf.NotAfter) {
		return ErrLifetime
	}
	return nil
}

// checkLeafSelf checks what a leaf says of itself, apart from its signature.
func checkLeafSelf(s *suite.Suite, leaf *wire.LeafNode, source uint8) error {
	if leaf.Source != source {
		return fmt.Errorf("%w: %d, not %d", ErrLeafSource, leaf.Source, source)
	}
	if err := s.CheckPublic(leaf.EncryptionKey); err != nil {
		return err
	}
	c := &leaf.Capabilities
	if !c.Versions.Has(wire.Version) {
		return fmt.Errorf("%w: not version mls10", ErrCapabilities)
	}
	if !c.Credentials.Has(leaf.Credential.Type) {
		return fmt.Errorf("%w: not its own credential type", ErrCapabilities)
	}
	if !leaf.Extensions.Unique() {
		return fmt.Errorf("%w: a type occurs twice in a leaf", ErrExtension)
	}
	for _, e := range leaf.Extensions {
		if !wire.DefaultExtension(e.Type) && !c.Extensions.Has(e.Type) {
			return fmt.Errorf("%w: leaf has extension %d", ErrCapabilities, e.Type)
		}
	}
	if leaf.Credential.Type == CredentialX509 {
		return checkCertificate(fromWireCredential(leaf.Credential), leaf.SignatureKey)
	}
	return nil
}

// requirements is what a group asks of every leaf, R §11.1 and §13.4.
type requirements struct {
	extensions []uint16 // of the group context
	required   wire.RequiredCapabilities
}

// newRequirements reads them from group context extensions and checks these.
func newRequirements(list wire.Extensions) (*requirements, error) {
	if !list.Unique() {
		return nil, fmt.Errorf("%w: a type occurs twice in the group", ErrExtension)
	}
	q := &requirements{}
	for _, e := range list {
		switch e.Type {
		case wire.ExtRequiredCapabilities:
			if err := wire.Decode(e.Data, &q.required); err != nil {
				return nil, fmt.Errorf("%w: required_capabilities: %w", ErrExtension, err)
			}
		case wire.ExtExternalSenders:
			var senders wire.ExternalSenders
			if err := wire.Decode(e.Data, &senders); err != nil {
				return nil, fmt.Errorf("%w: external_senders: %w", ErrExtension, err)
			}
		case wire.ExtRatchetTree, wire.ExtExternalPub, wire.ExtApplicationID:
			return nil, fmt.Errorf("%w: type %d in a group context", ErrExtension, e.Type)
		default:
			q.extensions = append(q.extensions, e.Type)
		}
	}
	return q, nil
}

func (q *requirements) check(leaf *wire.LeafNode) error {
	c := &leaf.Capabilities
	for _, t := range q.extensions {
		if !c.Extensions.Has(t) {
			return fmt.Errorf("%w: group uses extension %d", ErrCapabilities, t)
		}
	}
	for i := 0; i < len(q.required.Extensions); i += 2 {
		if t := q.required.Extensions[i : i+2].Values()[0]; !wire.DefaultExtension(t) && !c.Extensions.Has(t) {
			return fmt.Errorf("%w: group requires extension %d", ErrCapabilities, t)
		}
	}
	for i := 0; i < len(q.required.Proposals); i += 2 {
		if t := q.required.Proposals[i : i+2].Values()[0]; !wire.DefaultProposal(t) && !c.Proposals.Has(t) {
			return fmt.Errorf("%w: group requires proposal %d", ErrCapabilities, t)
		}
	}
	for i := 0; i < len(q.required.Credentials); i += 2 {
		if t := q.required.Credentials[i : i+2].Values()[0]; !c.Credentials.Has(t) {
			return fmt.Errorf("%w: group requires credential %d", ErrCapabilities, t)
		}
	}
	return nil
}

// checkCredentialTypes checks that every member supports the credential types
// of all, R §7.3.
func checkCredentialTypes(t *ratchet.Tree) error {
	var used []uint16
	_ = t.Members(func(_ ratchet.Leaf, leaf *wire.LeafNode) error {
		if !slices.Contains(used, leaf.Credential.Type) {
			used = append(used, leaf.Credential.Type)
		}
		return nil
	})
	if len(used) == 1 {
		return nil // each leaf supports its own type, which was checked when it came
	}
	return t.Members(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
		for _, u := range used {
			if !leaf.Capabilities.Credentials.Has(u) {
				return fmt.Errorf("%w: leaf %d, credential type %d in use", ErrCapabilities, l, u)
			}
		}
		return nil
	})
}
