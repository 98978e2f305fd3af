package mls

import (
	"bytes"

	"quicnprotochat/mls/internal/wire"
)

// Credential types, R §17.5.
const (
	CredentialBasic uint16 = wire.CredentialBasic
	CredentialX509  uint16 = wire.CredentialX509
)

// Credential is who a client says it is, R §5.3. Whether that is true, the
// application decides: see [Policy].
type Credential struct {
	Type     uint16
	Identity []byte   // of a basic credential
	Chain    [][]byte // of an x509 credential: DER, the client's certificate first
}

func fromWireCredential(c wire.Credential) Credential {
	return Credential{c.Type, c.Identity, c.Chain}
}

func (c Credential) wire() wire.Credential { return wire.Credential(c) }

// Equal says whether both are the same, byte for byte.
func (c Credential) Equal(d Credential) bool { return c.wire().Equal(d.wire()) }

// Extension types, R §17.3.
const (
	ExtensionApplicationID        uint16 = wire.ExtApplicationID
	ExtensionRatchetTree          uint16 = wire.ExtRatchetTree
	ExtensionRequiredCapabilities uint16 = wire.ExtRequiredCapabilities
	ExtensionExternalPub          uint16 = wire.ExtExternalPub
	ExtensionExternalSenders      uint16 = wire.ExtExternalSenders
	ExtensionLastResort           uint16 = wire.ExtLastResort
)

// Extension is a typed opaque value, R §13.
type Extension struct {
	Type uint16
	Data []byte
}

func wireExtensions(list []Extension) wire.Extensions {
	out := make(wire.Extensions, len(list))
	for i, e := range list {
		out[i] = wire.Extension{Type: e.Type, Data: bytes.Clone(e.Data)}
	}
	return out
}

func fromWireExtensions(list wire.Extensions) []Extension {
	out := make([]Extension, len(list))
	for i, e := range list {
		out[i] = Extension{e.Type, bytes.Clone(e.Data)}
	}
	return out
}

// RequiredCapabilities returns the extension that makes members support what
// the lists name, R §11.1.
func RequiredCapabilities(extensions, proposals, credentials []uint16) Extension {
	q := wire.RequiredCapabilities{Extensions: wire.MakeU16s(extensions...),
		Proposals: wire.MakeU16s(proposals...), Credentials: wire.MakeU16s(credentials...)}
	return Extension{ExtensionRequiredCapabilities, q.Append(nil)}
}

// ExternalSender may propose changes without being a member, R §12.1.8.1.
type ExternalSender struct {
	SignatureKey []byte
	Credential   Credential
}

// MarshalBinary encodes the sender as its structure in R §12.1.8.1.
func (s ExternalSender) MarshalBinary() ([]byte, error) {
	return wire.ExternalSender{SignatureKey: s.SignatureKey, Credential: s.Credential.wire()}.Append(nil), nil
}

// UnmarshalBinary decodes what MarshalBinary encodes.
func (s *ExternalSender) UnmarshalBinary(b []byte) error {
	var w wire.ExternalSender
	if err := decode(bytes.Clone(b), &w); err != nil {
		return op("external sender", err)
	}
	s.SignatureKey, s.Credential = w.SignatureKey, fromWireCredential(w.Credential)
	return nil
}

// ExternalSenders returns the extension that allows senders to propose.
func ExternalSenders(senders ...ExternalSender) Extension {
	list := make(wire.ExternalSenders, len(senders))
	for i, s := range senders {
		list[i] = wire.ExternalSender{SignatureKey: s.SignatureKey, Credential: s.Credential.wire()}
	}
	return Extension{ExtensionExternalSenders, list.Append(nil)}
}

// ParseExternalSenders reads the data of an external_senders extension.
func ParseExternalSenders(data []byte) ([]ExternalSender, error) {
	var list wire.ExternalSenders
	if err := decode(bytes.Clone(data), &list); err != nil {
		return nil, op("external senders", err)
	}
	out := make([]ExternalSender, len(list))
	for i, s := range list {
		out[i] = ExternalSender{s.SignatureKey, fromWireCredential(s.Credential)}
	}
	return out, nil
}

// Capabilities says what a client can handle beyond what all must, R §7.2.
type Capabilities struct {
	Versions    []uint16
	Suites      []Suite
	Extensions  []uint16
	Proposals   []uint16
	Credentials []uint16
}

func (c Capabilities) wire() wire.Capabilities {
	suites := make([]uint16, len(c.Suites))
	for i, s := range c.Suites {
		suites[i] = uint16(s)
	}
	return wire.Capabilities{
		Versions: wire.MakeU16s(c.Versions...), Suites: wire.MakeU16s(suites...),
		Extensions: wire.MakeU16s(c.Extensions...), Proposals: wire.MakeU16s(c.Proposals...),
		Credentials: wire.MakeU16s(c.Credentials...),
	}
}

func fromWireCapabilities(c wire.Capabilities) Capabilities {
	return Capabilities{c.Versions.Values(), toSuites(c.Suites.Values()), c.Extensions.Values(),
		c.Proposals.Values(), c.Credentials.Values()}
}

// DefaultCapabilities is what KeyPackages and leaves of suite s say unless told
// otherwise: mls10, all suites, basic and x509 credentials.
func DefaultCapabilities(s Suite) Capabilities {
	suites := Suites()
	if s > P384_AES256GCM_SHA384_P384 {
		suites = append(suites, s)
	}
	return Capabilities{
		Versions:    []uint16{wire.Version},
		Suites:      suites,
		Extensions:  []uint16{ExtensionLastResort},
		Proposals:   []uint16{},
		Credentials: []uint16{CredentialBasic, CredentialX509},
	}
}

// Member is one member of a group.
type Member struct {
	Leaf          uint32 // leaf index
	Credential    Credential
	SignatureKey  []byte
	EncryptionKey []byte
	Capabilities  Capabilities
	Extensions    []Extension
}

func newMember(leaf uint32, n *wire.LeafNode) Member {
	d := n.Detach()
	return Member{leaf, fromWireCredential(d.Credential), d.SignatureKey, d.EncryptionKey,
		fromWireCapabilities(d.Capabilities), fromWireExtensions(d.Extensions)}
}
