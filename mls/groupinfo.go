package mls

import (
	"bytes"

	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/wire"
)

// GroupInfoDetails is what a valid GroupInfo says of its group.
type GroupInfoDetails struct {
	GroupID     []byte
	Epoch       uint64
	Suite       Suite
	TreeHash    []byte
	Extensions  []Extension // of the group context
	Signer      uint32      // leaf of the member that signed it
	Members     []Member
	ExternalPub bool // it allows external commits
}

// InspectGroupInfo verifies a GroupInfo with its tree as a joiner does, R
// §12.4.3.1: signatures, tree hash, parent hashes and every leaf. ratchetTree is
// used when the GroupInfo has none. What only members can check, the
// confirmation tag, is not checked.
func InspectGroupInfo(groupInfo, ratchetTree []byte, policy Policy) (*GroupInfoDetails, error) {
	info, s, err := parseGroupInfo(groupInfo)
	if err != nil {
		return nil, op("group info", err)
	}
	var v public
	if err := v.enter(s, info, ratchetTree, &policy, nil); err != nil {
		return nil, op("group info", err)
	}
	_, external := info.Extensions.Find(wire.ExtExternalPub)
	d := &GroupInfoDetails{GroupID: v.context.GroupID, Epoch: v.context.Epoch, Suite: Suite(s.ID),
		TreeHash: v.context.TreeHash, Extensions: fromWireExtensions(v.context.Extensions),
		Signer: info.Signer, ExternalPub: external}
	_ = v.tree.Members(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
		d.Members = append(d.Members, newMember(uint32(l), leaf))
		return nil
	})
	return d, nil
}

// TreeHash returns the hash of the ratchet tree, R §7.8: public, and the same
// for all members of an epoch.
func (g *Group) TreeHash() []byte { return bytes.Clone(g.cur.context.TreeHash) }

// ConfirmedTranscriptHash returns the hash of all commits up to this epoch, R
// §8.2: public, and the same for all members.
func (g *Group) ConfirmedTranscriptHash() []byte {
	return bytes.Clone(g.cur.context.ConfirmedTranscriptHash)
}
