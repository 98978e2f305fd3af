package main

import (
	"errors"

	"quicnprotochat/mls"
)

// The group that follows a reinit, and groups that branch off: R §11.2 and
// §11.3.

// nextIdentity returns the client's identity for the group that a reinit commit
// announced.
func nextIdentity(c *call, g *mls.Group) (*mls.Identity, error) {
	_, s, ended := g.Reinitialized()
	if !ended {
		return nil, mls.ErrReInit
	}
	return c.c.identity(s)
}

func reinitKeyPackage(c *call, g *mls.Group, _ *none) (answer, error) {
	id, err := nextIdentity(c, g)
	if err != nil {
		return nil, err
	}
	b, err := c.c.newPackage(id)
	if err != nil {
		return nil, err
	}
	return packageAnswer(b), nil
}

type subgroupArgs struct {
	KeyPackages []octets `json:"key_packages"`
	ForcePath   bool     `json:"force_path"`
	RatchetTree *bool    `json:"ratchet_tree"`
}

func (a *subgroupArgs) options(c *call) mls.SubgroupOptions {
	return mls.SubgroupOptions{Policy: c.c.policy(), ForcePath: a.ForcePath, OmitRatchetTree: !yes(a.RatchetTree)}
}

// keepSubgroup makes a new group the current one.
func keepSubgroup(c *call, g *mls.Group, res *mls.CommitResult) answer {
	out := c.c.keep(g)
	if res.Welcome != nil {
		out["welcome"] = octets(res.Welcome)
	}
	if res.RatchetTree != nil {
		out["ratchet_tree"] = octets(res.RatchetTree)
	}
	return out
}

func reinitCreate(c *call, g *mls.Group, a *subgroupArgs) (answer, error) {
	if err := c.c.room(); err != nil {
		return nil, err
	}
	id, err := nextIdentity(c, g)
	if err != nil {
		return nil, err
	}
	n, res, err := g.Reinitialize(id, plain(a.KeyPackages), a.options(c))
	if err != nil {
		return nil, err
	}
	return keepSubgroup(c, n, res), nil
}

func reinitJoin(c *call, g *mls.Group, a *joinArgs) (answer, error) {
	return c.c.join(a.Welcome, a.RatchetTree, g)
}

type branchArgs struct {
	subgroupArgs
	GroupID    octets      `json:"group_id"`
	Extensions []extension `json:"extensions"`
}

func branch(c *call, g *mls.Group, a *branchArgs) (answer, error) {
	if err := need("group_id", a.GroupID); err != nil {
		return nil, err
	}
	if err := c.c.room(); err != nil {
		return nil, err
	}
	opts := a.options(c)
	opts.Extensions = extensions(a.Extensions)
	n, res, err := g.Branch(a.GroupID, g.Identity(), plain(a.KeyPackages), opts)
	if err != nil {
		return nil, err
	}
	return keepSubgroup(c, n, res), nil
}

type branchJoinArgs struct {
	joinArgs
	KeyPackageOf *int `json:"key_package_of"`
}

// branchJoin gives the new group to the client that made the KeyPackage, which
// is another than the member of the old group.
func branchJoin(c *call, g *mls.Group, a *branchJoinArgs) (answer, error) {
	if a.KeyPackageOf == nil {
		return nil, errors.New("missing key_package_of")
	}
	owner, err := c.d.client(*a.KeyPackageOf)
	if err != nil {
		return nil, err
	}
	return owner.join(a.Welcome, a.RatchetTree, g)
}
