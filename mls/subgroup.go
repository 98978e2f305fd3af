package mls

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/wire"
)

// SubgroupOptions shapes a group that continues another.
type SubgroupOptions struct {
	Policy
	// Extensions of the new group context, for a branch.
	Extensions []Extension
	// ForcePath adds a path to the commit that adds the members.
	ForcePath bool
	// OmitRatchetTree leaves the tree out of the Welcome.
	OmitRatchetTree bool
	// Leaf shapes the own leaf.
	Leaf LeafOptions
}

// Reinitialize makes the group that a reinit commit announced, R §11.2: id is
// for the new suite, and the KeyPackages are those of all other members. The new
// group is in epoch 1.
func (g *Group) Reinitialize(id *Identity, keyPackages [][]byte, opts SubgroupOptions) (*Group, *CommitResult, error) {
	if g.status != statusReInit {
		return nil, nil, op("reinitialize", ErrReInit)
	}
	if id == nil || id.suite.ID != g.reinit.Suite {
		return nil, nil, op("reinitialize", ErrSuite)
	}
	opts.Extensions = fromWireExtensions(g.reinit.Extensions)
	n, res, err := g.subgroup(g.reinit.GroupID, id, keyPackages, wire.UsageReInit, &opts)
	return n, res, op("reinitialize", err)
}

// Branch makes a group from some of the members, R §11.3, whose KeyPackages are
// given. The new group is in epoch 1.
func (g *Group) Branch(groupID []byte, id *Identity, keyPackages [][]byte, opts SubgroupOptions) (*Group, *CommitResult, error) {
	if g.status == statusRemoved {
		return nil, nil, op("branch", ErrRemoved)
	}
	if id == nil || id.suite.ID != g.suite.ID {
		return nil, nil, op("branch", ErrSuite)
	}
	n, res, err := g.subgroup(groupID, id, keyPackages, wire.UsageBranch, &opts)
	return n, res, op("branch", err)
}

func (g *Group) subgroup(groupID []byte, id *Identity, keyPackages [][]byte, usage uint8, opts *SubgroupOptions) (*Group, *CommitResult, error) {
	n, err := NewGroup(groupID, id, GroupOptions{Policy: opts.Policy, Extensions: opts.Extensions, Leaf: opts.Leaf})
	if err != nil {
		return nil, nil, err
	}
	n.parents = []*Group{g}
	var changes []change
	for _, k := range keyPackages {
		p, err := Add(k)
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, change{Proposal: p.p, sender: n.self()})
	}
	psk, err := ResumptionPSK(g.cur.context.GroupID, g.Epoch()).withNonce(n.suite)
	if err != nil {
		return nil, nil, err
	}
	psk.PSK.Usage = usage
	changes = append(changes, change{Proposal: psk, sender: n.self()})
	co := &CommitOptions{ForcePath: opts.ForcePath, OmitRatchetTree: opts.OmitRatchetTree}
	res, err := n.stage(changes, co, true)
	if err != nil {
		return nil, nil, err
	}
	if err := n.MergePending(); err != nil {
		return nil, nil, err
	}
	n.parents = nil
	if err := g.continuedBy(n, usage); err != nil {
		return nil, nil, err
	}
	return n, res, nil
}

// checkNamed checks that a Welcome continues the parent that the caller named,
// R §12.4.3.1: a group that only has the same members must not pass for one. A
// Welcome that names a parent which is not at hand fails for want of its PSK.
func (j *joining) checkNamed() error {
	if j.opts.Parent == nil {
		return nil
	}
	if j.named == nil {
		return fmt.Errorf("%w: the welcome names no parent", ErrSubgroup)
	}
	if !bytes.Equal(j.opts.Parent.cur.context.GroupID, j.named.GroupID) {
		return fmt.Errorf("%w: the welcome names another parent", ErrSubgroup)
	}
	return nil
}

// checkParent checks that a group which names a parent continues it.
func (j *joining) checkParent() error {
	if j.named == nil {
		return nil
	}
	parent := j.opts.Parent
	if j.e.context.Epoch != 1 {
		return fmt.Errorf("%w: epoch %d", ErrSubgroup, j.e.context.Epoch)
	}
	if j.named.Usage == wire.UsageReInit && j.named.Epoch != parent.Epoch() {
		return fmt.Errorf("%w: it was reinitialized in epoch %d, not %d", ErrSubgroup, parent.Epoch(), j.named.Epoch)
	}
	return parent.continuedBy(&Group{suite: j.e.suite, cur: j.e, policy: j.opts.Policy}, j.named.Usage)
}

// continuedBy checks the rules of R §11.2 and §11.3 for a new group n.
func (g *Group) continuedBy(n *Group, usage uint8) error {
	c, old := &n.cur.context, &g.cur.context
	if usage == wire.UsageBranch {
		if c.Version != old.Version || c.Suite != old.Suite {
			return fmt.Errorf("%w: a branch changes version or suite", ErrSubgroup)
		}
		return g.sameClients(n)
	}
	if g.reinit == nil {
		return fmt.Errorf("%w: it was not reinitialized", ErrSubgroup)
	}
	if c.Version != g.reinit.Version || c.Suite != g.reinit.Suite || !bytes.Equal(c.GroupID, g.reinit.GroupID) ||
		!bytes.Equal(codec.Encode(c.Extensions), codec.Encode(g.reinit.Extensions)) {
		return fmt.Errorf("%w: it is not what the reinit announced", ErrSubgroup)
	}
	if err := g.sameClients(n); err != nil {
		return err
	}
	if len(n.Members()) != len(g.Members()) {
		return fmt.Errorf("%w: members are missing", ErrSubgroup)
	}
	return nil
}

// sameClients checks that each member of n is one of g.
func (g *Group) sameClients(n *Group) error {
	old := g.Members()
	for _, m := range n.Members() {
		found := false
		for _, o := range old {
			if found = n.policy.sameClient(o.Credential, m.Credential); found {
				break
			}
		}
		if !found {
			return fmt.Errorf("%w: leaf %d is no member of the parent", ErrSubgroup, m.Leaf)
		}
	}
	return nil
}
