package main

import (
	"quicnprotochat/mls"
)

// What those do who are not members, R §12.1.8.

type newMemberAddArgs struct {
	GroupInfo octets `json:"group_info"`
}

// newMemberAdd proposes to add the client itself.
func newMemberAdd(c *call, a *newMemberAddArgs) (answer, error) {
	if err := need("group_info", a.GroupInfo); err != nil {
		return nil, err
	}
	id, err := c.c.identity(c.c.suite)
	if err != nil {
		return nil, err
	}
	b, err := c.c.newPackage(id)
	if err != nil {
		return nil, err
	}
	m, err := mls.ProposeJoin(a.GroupInfo, b, id)
	if err != nil {
		delete(c.c.packages, string(b.Ref()))
		b.Wipe()
		return nil, err
	}
	return messageAnswer("message", m), nil
}

func externalSender(c *call, _ *none) (answer, error) {
	id, err := c.c.identity(c.c.suite)
	if err != nil {
		return nil, err
	}
	b, err := id.ExternalSender().MarshalBinary()
	if err != nil {
		return nil, err
	}
	return answer{"external_sender": octets(b)}, nil
}

type externalProposeArgs struct {
	GroupInfo   octets       `json:"group_info"`
	RatchetTree octets       `json:"ratchet_tree"`
	Proposal    proposalArgs `json:"proposal"`
}

func externalPropose(c *call, a *externalProposeArgs) (answer, error) {
	if err := need("group_info", a.GroupInfo); err != nil {
		return nil, err
	}
	info, err := mls.InspectGroupInfo(a.GroupInfo, a.RatchetTree, c.c.policy())
	if err != nil {
		return nil, err
	}
	p, err := a.Proposal.proposal(target{info.GroupID, func() []mls.Member { return info.Members }})
	if err != nil {
		return nil, err
	}
	id, err := c.c.identity(info.Suite)
	if err != nil {
		return nil, err
	}
	m, err := mls.ProposeExternally(a.GroupInfo, id, p)
	if err != nil {
		return nil, err
	}
	return messageAnswer("message", m), nil
}
