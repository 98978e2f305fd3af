package wire

import (
	"quicnprotochat/mls/internal/codec"
)

// Proposal types, R §17.4.
const (
	ProposalAdd                    uint16 = 1
	ProposalUpdate                 uint16 = 2
	ProposalRemove                 uint16 = 3
	ProposalPSK                    uint16 = 4
	ProposalReInit                 uint16 = 5
	ProposalExternalInit           uint16 = 6
	ProposalGroupContextExtensions uint16 = 7
)

// Proposal is one change of a group, R §12.1. Type tells which field counts.
type Proposal struct {
	Type         uint16
	Add          *KeyPackage
	Update       *LeafNode
	Remove       uint32
	PSK          *PSKID
	ReInit       *ReInit
	ExternalInit []byte // KEM output
	Extensions   Extensions
}

// Append encodes the proposal.
func (p *Proposal) Append(b []byte) []byte {
	b = codec.AppendU16(b, p.Type)
	switch p.Type {
	case ProposalAdd:
		return append(b, p.Add.Raw()...)
	case ProposalUpdate:
		return append(b, p.Update.Raw()...)
	case ProposalRemove:
		return codec.AppendU32(b, p.Remove)
	case ProposalPSK:
		return p.PSK.Append(b)
	case ProposalReInit:
		return p.ReInit.Append(b)
	case ProposalExternalInit:
		return codec.AppendVec(b, p.ExternalInit)
	}
	return p.Extensions.Append(b)
}

// Decode reads a proposal; an unknown type fails with ErrUnsupported.
func (p *Proposal) Decode(r *codec.Reader) {
	switch p.Type = r.U16(); p.Type {
	case ProposalAdd:
		p.Add = new(KeyPackage)
		p.Add.Decode(r)
	case ProposalUpdate:
		p.Update = new(LeafNode)
		p.Update.Decode(r)
	case ProposalRemove:
		p.Remove = r.U32()
	case ProposalPSK:
		p.PSK = new(PSKID)
		p.PSK.Decode(r)
	case ProposalReInit:
		p.ReInit = new(ReInit)
		p.ReInit.Decode(r)
	case ProposalExternalInit:
		p.ExternalInit = r.Vec()
	case ProposalGroupContextExtensions:
		p.Extensions.Decode(r)
	default:
		r.Fail(ErrUnsupported)
	}
}

// ReInit announces a successor of the group, R §12.1.5.
type ReInit struct {
	GroupID        []byte
	Version, Suite uint16
	Extensions     Extensions
}

// Append encodes the proposal's content.
func (p *ReInit) Append(b []byte) []byte {
	b = codec.AppendVec(b, p.GroupID)
	b = codec.AppendU16(codec.AppendU16(b, p.Version), p.Suite)
	return p.Extensions.Append(b)
}

// Decode reads the proposal's content.
func (p *ReInit) Decode(r *codec.Reader) {
	p.GroupID = r.Vec()
	p.Version, p.Suite = r.U16(), r.U16()
	p.Extensions.Decode(r)
}

// PSK types and usages of resumption PSKs, R §8.4.
const (
	PSKExternal   uint8 = 1
	PSKResumption uint8 = 2

	UsageApplication uint8 = 1
	UsageReInit      uint8 = 2
	UsageBranch      uint8 = 3
)

// PSKID names a pre-shared key, R §8.4.
type PSKID struct {
	Type    uint8
	ID      []byte // external
	Usage   uint8  // resumption, with GroupID and Epoch
	GroupID []byte
	Epoch   uint64
	Nonce   []byte
}

// Append encodes the id.
func (p *PSKID) Append(b []byte) []byte {
	b = append(b, p.Type)
	if p.Type == PSKExternal {
		b = codec.AppendVec(b, p.ID)
	} else {
		b = codec.AppendVec(append(b, p.Usage), p.GroupID)
		b = codec.AppendU64(b, p.Epoch)
	}
	return codec.AppendVec(b, p.Nonce)
}

// Decode reads an id.
func (p *PSKID) Decode(r *codec.Reader) {
	switch p.Type = r.U8(); p.Type {
	case PSKExternal:
		p.ID = r.Vec()
	case PSKResumption:
		p.Usage = r.U8()
		if p.Usage < UsageApplication || p.Usage > UsageBranch {
			r.Fail(codec.ErrEnum)
		}
		p.GroupID, p.Epoch = r.Vec(), r.U64()
	default:
		r.Fail(codec.ErrEnum)
	}
	p.Nonce = r.Vec()
}
