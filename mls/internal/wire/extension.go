package wire

import "quicnprotochat/mls/internal/codec"

// Extension types, R §17.3; last_resort is draft-ietf-mls-extensions.
const (
	ExtApplicationID        uint16 = 1
	ExtRatchetTree          uint16 = 2
	ExtRequiredCapabilities uint16 = 3
	ExtExternalPub          uint16 = 4
	ExtExternalSenders      uint16 = 5
	ExtLastResort           uint16 = 10
)

// Extension is a typed opaque value, R §13.
type Extension struct {
	Type uint16
	Data []byte
}

// Append encodes the extension.
func (e Extension) Append(b []byte) []byte {
	return codec.AppendVec(codec.AppendU16(b, e.Type), e.Data)
}

// Decode reads an extension.
func (e *Extension) Decode(r *codec.Reader) { e.Type, e.Data = r.U16(), r.Vec() }

// Extensions is a list with at most one value of each type.
type Extensions []Extension

// Append encodes the list.
func (l Extensions) Append(b []byte) []byte { return codec.AppendList(b, l) }

// Decode reads a list.
func (l *Extensions) Decode(r *codec.Reader) { *l = decodeList[Extension](r) }

// Find returns the data of the extension of type t.
func (l Extensions) Find(t uint16) ([]byte, bool) {
	for _, e := range l {
		if e.Type == t {
			return e.Data, true
		}
	}
	return nil, false
}

// Unique says whether no type occurs twice, R §13.
func (l Extensions) Unique() bool {
	for i, e := range l {
		if _, twice := l[i+1:].Find(e.Type); twice {
			return false
		}
	}
	return true
}

// Set returns a copy of the list in which type t has the given data.
func (l Extensions) Set(t uint16, data []byte) Extensions {
	out := make(Extensions, 0, len(l)+1)
	found := false
	for _, e := range l {
		if e.Type == t {
			e.Data, found = data, true
		}
		out = append(out, e)
	}
	if !found {
		out = append(out, Extension{t, data})
	}
	return out
}

// DefaultExtension says whether every client supports type t without listing
// it in its capabilities, R §7.2.
func DefaultExtension(t uint16) bool { return t >= ExtApplicationID && t <= ExtExternalSenders }

// DefaultProposal says the same of a proposal type.
func DefaultProposal(t uint16) bool { return t >= ProposalAdd && t <= ProposalGroupContextExtensions }

// RequiredCapabilities is what each member must support, R §11.1.
type RequiredCapabilities struct {
	Extensions, Proposals, Credentials U16s
}

// Append encodes the extension's data.
func (q RequiredCapabilities) Append(b []byte) []byte {
	b = codec.AppendVec(b, q.Extensions)
	b = codec.AppendVec(b, q.Proposals)
	return codec.AppendVec(b, q.Credentials)
}

// Decode reads the extension's data.
func (q *RequiredCapabilities) Decode(r *codec.Reader) {
	q.Extensions, q.Proposals, q.Credentials = readU16s(r), readU16s(r), readU16s(r)
}

// ExternalSender may propose without being a member, R §12.1.8.1.
type ExternalSender struct {
	SignatureKey []byte
	Credential   Credential
}

// Append encodes the sender.
func (s ExternalSender) Append(b []byte) []byte {
	return s.Credential.Append(codec.AppendVec(b, s.SignatureKey))
}

// Decode reads a sender.
func (s *ExternalSender) Decode(r *codec.Reader) {
	s.SignatureKey = r.Vec()
	s.Credential.Decode(r)
}

// ExternalSenders is the data of the extension.
type ExternalSenders []ExternalSender

// Append encodes the list.
func (l ExternalSenders) Append(b []byte) []byte { return codec.AppendList(b, l) }

// Decode reads a list.
func (l *ExternalSenders) Decode(r *codec.Reader) { *l = decodeList[ExternalSender](r) }
