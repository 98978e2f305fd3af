package main

import (
	"errors"

	"quicnprotochat/mls"
)

// run commits, merges unless told not to, and answers.
func (c *client) run(r *request, opts mls.CommitOptions) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	opts.Framing, opts.ForcePath, opts.OmitRatchetTree = r.framing(), r.ForcePath, r.omitTree()
	opts.AAD = r.AAD
	// A commit that was not merged lost its race.
	g.DiscardPending()
	res, err := g.Commit(opts)
	if err != nil {
		return nil, err
	}
	out := answer{"commit": hx(res.Commit), "epoch": res.Epoch}
	m, err := mls.PeekMessage(res.Commit)
	if err != nil {
		return nil, err
	}
	out["wireformat"] = map[uint16]string{
		mls.FormatPublicMessage: "mls_public_message", mls.FormatPrivateMessage: "mls_private_message"}[m.Format]
	if res.Welcome != nil {
		out["welcome"] = hx(res.Welcome)
	}
	if res.RatchetTree != nil {
		out["ratchet_tree"] = hx(res.RatchetTree)
	}
	if r.Merge == nil || *r.Merge {
		if err := g.MergePending(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// commit commits exactly the listed proposals.
func commit(_ *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	opts := mls.CommitOptions{ByReference: [][]byte{}}
	for _, m := range r.ByReference {
		ref, ok := g.ProposalRef(m)
		if !ok {
			return nil, errors.New("a proposal in by_reference was not processed before")
		}
		opts.ByReference = append(opts.ByReference, ref)
	}
	members := g.Members()
	for i := range r.ByValue {
		p, err := r.ByValue[i].build(g.GroupID(), members)
		if err != nil {
			return nil, err
		}
		opts.Proposals = append(opts.Proposals, p)
	}
	return c.run(r, opts)
}

// commitAll commits all cached proposals, or only new keys when there are none.
func commitAll(_ *driver, c *client, r *request) (answer, error) {
	return c.run(r, mls.CommitOptions{})
}

func commitAdds(_ *driver, c *client, r *request) (answer, error) {
	opts := mls.CommitOptions{ByReference: [][]byte{}}
	for _, k := range r.KeyPackages {
		p, err := mls.Add(k)
		if err != nil {
			return nil, err
		}
		opts.Proposals = append(opts.Proposals, p)
	}
	return c.run(r, opts)
}

// commitOne commits one proposal whose fields stand in the request.
func commitOne(kind string) func(*driver, *client, *request) (answer, error) {
	return func(d *driver, c *client, r *request) (answer, error) {
		r.Type = kind
		r.ByValue = []proposal{r.proposal}
		return commit(d, c, r)
	}
}

func mergePending(_ *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	return answer{"epoch": g.Epoch() + 1}, g.MergePending()
}

func raw(list []hx) [][]byte {
	out := make([][]byte, len(list))
	for i, b := range list {
		out[i] = b
	}
	return out
}

func (c *client) subgroupOptions(r *request) mls.SubgroupOptions {
	return mls.SubgroupOptions{Policy: c.policy(), Extensions: extensions(r.Extensions),
		ForcePath: r.ForcePath, OmitRatchetTree: r.omitTree()}
}

func subgroupAnswer(c *client, n *mls.Group, res *mls.CommitResult) answer {
	out := answer{"group": c.keep(n), "epoch": n.Epoch()}
	if res.Welcome != nil {
		out["welcome"] = hx(res.Welcome)
	}
	if res.RatchetTree != nil {
		out["ratchet_tree"] = hx(res.RatchetTree)
	}
	return out
}

// ended returns the group of a request, which must have been reinitialized.
func (c *client) ended(r *request) (*mls.Group, mls.Suite, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, 0, err
	}
	_, s, ok := g.Reinitialized()
	if !ok {
		return nil, 0, errors.New("the group was not reinitialized")
	}
	return g, s, nil
}

func reinitKeyPackage(_ *driver, c *client, r *request) (answer, error) {
	_, s, err := c.ended(r)
	if err != nil {
		return nil, err
	}
	b, err := c.newBundle(s)
	if err != nil {
		return nil, err
	}
	return answer{"mls_message": hx(b.Message()), "key_package": hx(b.Public())}, nil
}

func reinitCreate(_ *driver, c *client, r *request) (answer, error) {
	g, s, err := c.ended(r)
	if err != nil {
		return nil, err
	}
	id, err := c.identity(s)
	if err != nil {
		return nil, err
	}
	n, res, err := g.Reinitialize(id, raw(r.KeyPackages), c.subgroupOptions(r))
	if err != nil {
		return nil, err
	}
	return subgroupAnswer(c, n, res), nil
}

func reinitJoin(_ *driver, c *client, r *request) (answer, error) {
	g, _, err := c.ended(r)
	if err != nil {
		return nil, err
	}
	return c.joinWith(r, g)
}

func branch(_ *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	id, err := c.identity(g.Suite())
	if err != nil {
		return nil, err
	}
	n, res, err := g.Branch(r.GroupID, id, raw(r.KeyPackages), c.subgroupOptions(r))
	if err != nil {
		return nil, err
	}
	return subgroupAnswer(c, n, res), nil
}

// branchJoin lets the client that made the KeyPackage join a branch, whose
// parent another client is a member of.
func branchJoin(d *driver, c *client, r *request) (answer, error) {
	g, err := c.group(r)
	if err != nil {
		return nil, err
	}
	joiner := c
	if r.KeyPackageOf != 0 {
		if joiner = d.clients[r.KeyPackageOf]; joiner == nil {
			return nil, errors.New("no client with this key package")
		}
	}
	return joiner.joinWith(r, g)
}

func newMemberAdd(_ *driver, c *client, r *request) (answer, error) {
	b, err := c.newBundle(c.suite)
	if err != nil {
		return nil, err
	}
	id, err := c.identity(c.suite)
	if err != nil {
		return nil, err
	}
	m, err := mls.ProposeJoin(r.GroupInfo, b, id)
	return answer{"message": hx(m)}, err
}

func externalSender(_ *driver, c *client, _ *request) (answer, error) {
	id, err := c.identity(c.suite)
	if err != nil {
		return nil, err
	}
	b, err := id.ExternalSender().MarshalBinary()
	return answer{"external_sender": hx(b)}, err
}

func externalPropose(_ *driver, c *client, r *request) (answer, error) {
	tree, err := r.tree()
	if err != nil {
		return nil, err
	}
	info, err := mls.InspectGroupInfo(r.GroupInfo, tree, c.policy())
	if err != nil {
		return nil, err
	}
	id, err := c.identity(info.Suite)
	if err != nil {
		return nil, err
	}
	p, err := r.Proposal.build(info.GroupID, info.Members)
	if err != nil {
		return nil, err
	}
	m, err := mls.ProposeExternally(r.GroupInfo, id, p)
	return answer{"message": hx(m)}, err
}
