package main

import (
	"quicnprotochat/mls"
)

type createArgs struct {
	GroupID    octets      `json:"group_id"`
	Extensions []extension `json:"extensions"`
}

func createGroup(c *call, a *createArgs) (answer, error) {
	if err := need("group_id", a.GroupID); err != nil {
		return nil, err
	}
	if err := c.c.room(); err != nil {
		return nil, err
	}
	id, err := c.c.identity(c.c.suite)
	if err != nil {
		return nil, err
	}
	g, err := mls.NewGroup(a.GroupID, id, mls.GroupOptions{Policy: c.c.policy(), Extensions: extensions(a.Extensions)})
	if err != nil {
		return nil, err
	}
	return c.c.keep(g), nil
}

type joinArgs struct {
	Welcome     octets `json:"welcome"`
	RatchetTree octets `json:"ratchet_tree"`
}

func join(c *call, a *joinArgs) (answer, error) { return c.c.join(a.Welcome, a.RatchetTree, nil) }

type groupInfoArgs struct {
	RatchetTree *bool `json:"ratchet_tree"`
}

func groupInfo(_ *call, g *mls.Group, a *groupInfoArgs) (answer, error) {
	inside := yes(a.RatchetTree)
	info, err := g.GroupInfo(mls.GroupInfoOptions{OmitRatchetTree: !inside})
	if err != nil {
		return nil, err
	}
	out := answer{"group_info": octets(info)}
	if !inside {
		out["ratchet_tree"] = octets(g.RatchetTree())
	}
	return out, nil
}

type externalJoinArgs struct {
	GroupInfo   octets   `json:"group_info"`
	RatchetTree octets   `json:"ratchet_tree"`
	Resync      bool     `json:"resync"`
	PSKs        []octets `json:"psks"`
}

func externalJoin(c *call, a *externalJoinArgs) (answer, error) {
	if err := need("group_info", a.GroupInfo); err != nil {
		return nil, err
	}
	if err := c.c.room(); err != nil {
		return nil, err
	}
	id, err := c.c.identity(c.c.suite)
	if err != nil {
		return nil, err
	}
	opts := mls.ExternalJoinOptions{Policy: c.c.policy(), RatchetTree: a.RatchetTree, Resync: a.Resync}
	for _, psk := range a.PSKs {
		opts.PSKs = append(opts.PSKs, mls.ExternalPSK(psk))
	}
	g, commit, err := mls.ExternalJoin(a.GroupInfo, id, opts)
	if err != nil {
		return nil, err
	}
	out := c.c.keep(g)
	out["commit"] = octets(commit)
	return out, nil
}

type exportArgs struct {
	Label   string `json:"label"`
	Context octets `json:"context"`
	Length  int    `json:"length"` // bytes
}

func export(_ *call, g *mls.Group, a *exportArgs) (answer, error) {
	secret, err := g.Export(a.Label, a.Context, a.Length)
	if err != nil {
		return nil, err
	}
	return answer{"secret": octets(secret)}, nil
}

// rosterEntry is a member as op state lists it.
type rosterEntry struct {
	Leaf         uint32 `json:"leaf"`
	Identity     octets `json:"identity"`
	SignatureKey octets `json:"signature_key"`
}

func state(_ *call, g *mls.Group, _ *none) (answer, error) {
	members := g.Members()
	roster := make([]rosterEntry, len(members))
	for i, m := range members {
		roster[i] = rosterEntry{m.Leaf, append(octets{}, m.Credential.Identity...), m.SignatureKey}
	}
	return answer{
		"group": octets(g.GroupID()), "epoch": g.Epoch(), "epoch_authenticator": octets(g.EpochAuthenticator()),
		"tree_hash": octets(g.TreeHash()), "confirmed_transcript_hash": octets(g.ConfirmedTranscriptHash()),
		"extensions": extensionAnswers(g.Extensions()), "members": len(members), "roster": roster,
		"leaf": g.OwnLeaf(), "suite": g.Suite(), "active": groupState(g) == "active",
	}, nil
}

// groupState names whether the member can still act.
func groupState(g *mls.Group) string {
	if g.Removed() {
		return "removedFromGroup"
	}
	if _, _, ended := g.Reinitialized(); ended {
		return "suspendedPendingReinit"
	}
	return "active"
}
