package main

import (
	"bytes"
	"errors"
	"fmt"

	"quicnprotochat/mls"
)

// proposalArgs is a proposal in JSON: its type, and the fields of that type.
type proposalArgs struct {
	Type       string `json:"type"`
	KeyPackage octets `json:"key_package"` // add
	memberArgs
	PSKID      octets      `json:"psk_id"`     // psk
	Epoch      *uint64     `json:"epoch"`      // resumption_psk
	GroupID    octets      `json:"group_id"`   // reinit
	Suite      uint16      `json:"suite"`      // reinit
	Extensions []extension `json:"extensions"` // group_context_extensions, reinit
}

// memberArgs names a member by leaf or by identity.
type memberArgs struct {
	Leaf        *uint32 `json:"leaf"`
	IdentityHex octets  `json:"identity_hex"`
	Name        string  `json:"name"`
}

// target is the group that a proposal is for.
type target struct {
	groupID []byte
	members func() []mls.Member
}

func targetOf(g *mls.Group) target { return target{g.GroupID(), g.Members} }

func (p *proposalArgs) proposal(t target) (mls.Proposal, error) {
	var nothing mls.Proposal
	switch p.Type {
	case "add":
		if err := need("key_package", p.KeyPackage); err != nil {
			return nothing, err
		}
		return mls.Add(p.KeyPackage)
	case "remove":
		leaf, err := p.find(t)
		if err != nil {
			return nothing, err
		}
		return mls.Remove(leaf), nil
	case "psk":
		if err := need("psk_id", p.PSKID); err != nil {
			return nothing, err
		}
		return mls.ExternalPSK(p.PSKID), nil
	case "resumption_psk":
		if p.Epoch == nil {
			return nothing, errors.New("missing epoch")
		}
		return mls.ResumptionPSK(t.groupID, *p.Epoch), nil
	case "group_context_extensions":
		return mls.GroupExtensions(extensions(p.Extensions)), nil
	case "reinit":
		if err := need("group_id", p.GroupID); err != nil {
			return nothing, err
		}
		return mls.ReInit(p.GroupID, mls.Suite(p.Suite), extensions(p.Extensions)), nil
	}
	return nothing, fmt.Errorf("no proposal type %.*s", maxOpEcho, p.Type)
}

// find returns the leaf of the first member with the identity.
func (a *memberArgs) find(t target) (uint32, error) {
	if a.Leaf != nil {
		return *a.Leaf, nil
	}
	want := []byte(a.IdentityHex)
	if want == nil {
		want = []byte(a.Name)
	}
	for _, m := range t.members() {
		if bytes.Equal(m.Credential.Identity, want) {
			return m.Leaf, nil
		}
	}
	return 0, mls.ErrNotMember
}
