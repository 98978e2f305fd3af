package wire

import (
	"bytes"
	"encoding/binary"

	"quicnprotochat/mls/internal/codec"
)

// Credential types, R §17.5.
const (
	CredentialBasic uint16 = 1
	CredentialX509  uint16 = 2
)

// Credential is who a client says it is, R §5.3.
type Credential struct {
	Type     uint16
	Identity []byte   // basic
	Chain    [][]byte // x509: DER certificates, the client's first
}

// Append encodes the credential.
func (c Credential) Append(b []byte) []byte {
	b = codec.AppendU16(b, c.Type)
	if c.Type == CredentialX509 {
		return codec.AppendNested(b, func(b []byte) []byte {
			for _, cert := range c.Chain {
				b = codec.AppendVec(b, cert)
			}
			return b
		})
	}
	return codec.AppendVec(b, c.Identity)
}

// Decode reads a credential; an unknown type fails with ErrUnsupported.
func (c *Credential) Decode(r *codec.Reader) {
	switch c.Type = r.U16(); c.Type {
	case CredentialBasic:
		c.Identity = r.Vec()
	case CredentialX509:
		sub := r.Sub()
		for sub.More() {
			c.Chain = append(c.Chain, sub.Vec())
		}
		r.Join(sub)
	default:
		r.Fail(ErrUnsupported)
	}
}

// Equal says whether both are the same credential, byte for byte.
func (c Credential) Equal(d Credential) bool {
	if c.Type != d.Type || !bytes.Equal(c.Identity, d.Identity) || len(c.Chain) != len(d.Chain) {
		return false
	}
	for i := range c.Chain {
		if !bytes.Equal(c.Chain[i], d.Chain[i]) {
			return false
		}
	}
	return true
}

// U16s is a list of code points in its encoding, two bytes each: capabilities
// are many and seldom read.
type U16s []byte

// MakeU16s encodes a list.
func MakeU16s(v ...uint16) U16s {
	u := make(U16s, 0, 2*len(v))
	for _, x := range v {
		u = binary.BigEndian.AppendUint16(u, x)
	}
	return u
}

// Has says whether the list holds v.
func (u U16s) Has(v uint16) bool {
	for i := 0; i+1 < len(u); i += 2 {
		if binary.BigEndian.Uint16(u[i:]) == v {
			return true
		}
	}
	return false
}

// Values decodes the list.
func (u U16s) Values() []uint16 {
	out := make([]uint16, 0, len(u)/2)
	for i := 0; i+1 < len(u); i += 2 {
		out = append(out, binary.BigEndian.Uint16(u[i:]))
	}
	return out
}

func readU16s(r *codec.Reader) U16s {
	v := r.Vec()
	if len(v)%2 != 0 {
		r.Fail(codec.ErrTruncated)
	}
	return U16s(v)
}

// Capabilities says what a client can handle, R §7.2.
type Capabilities struct {
	Versions, Suites, Extensions, Proposals, Credentials U16s
}

// Append encodes the capabilities.
func (c Capabilities) Append(b []byte) []byte {
	b = codec.AppendVec(b, c.Versions)
	b = codec.AppendVec(b, c.Suites)
	b = codec.AppendVec(b, c.Extensions)
	b = codec.AppendVec(b, c.Proposals)
	return codec.AppendVec(b, c.Credentials)
}

// Decode reads capabilities.
func (c *Capabilities) Decode(r *codec.Reader) {
	c.Versions, c.Suites, c.Extensions = readU16s(r), readU16s(r), readU16s(r)
	c.Proposals, c.Credentials = readU16s(r), readU16s(r)
}
