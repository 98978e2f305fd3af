package main

import (
	"errors"
	"fmt"
	"strings"

	"quicnprotochat/mls"
)

// commitArgs is how a commit travels and whether it takes effect at once.
type commitArgs struct {
	AAD         octets `json:"aad"`
	RatchetTree *bool  `json:"ratchet_tree"` // in the Welcome; true by default
	Merge       *bool  `json:"merge"`        // true by default
}

// commit makes a commit. All proposals that are pending go with it unless opts
// lists some.
func (a *commitArgs) commit(c *call, g *mls.Group, opts mls.CommitOptions) (answer, error) {
	opts.Framing, opts.AAD, opts.OmitRatchetTree = c.framing, a.AAD, !yes(a.RatchetTree)
	res, err := g.Commit(opts)
	if err != nil {
		return nil, err
	}
	if yes(a.Merge) {
		if err := g.MergePending(); err != nil {
			return nil, err
		}
	}
	c.c.use(g)
	out := messageAnswer("commit", res.Commit)
	out["epoch"] = res.Epoch
	if res.Welcome != nil {
		out["welcome"] = octets(res.Welcome)
	}
	if res.RatchetTree != nil {
		out["ratchet_tree"] = octets(res.RatchetTree)
	}
	return out, nil
}

type addArgs struct {
	commitArgs
	KeyPackages []octets `json:"key_packages"`
}

func commitAdd(c *call, g *mls.Group, a *addArgs) (answer, error) {
	if len(a.KeyPackages) == 0 {
		return nil, errors.New("missing key_packages")
	}
	var opts mls.CommitOptions
	for _, k := range a.KeyPackages {
		p, err := mls.Add(k)
		if err != nil {
			return nil, err
		}
		opts.Proposals = append(opts.Proposals, p)
	}
	return a.commit(c, g, opts)
}

type removeArgs struct {
	commitArgs
	memberArgs
}

func commitRemove(c *call, g *mls.Group, a *removeArgs) (answer, error) {
	leaf, err := a.find(targetOf(g))
	if err != nil {
		return nil, err
	}
	return a.commit(c, g, mls.CommitOptions{Proposals: []mls.Proposal{mls.Remove(leaf)}})
}

func commitUpdate(c *call, g *mls.Group, a *commitArgs) (answer, error) {
	return a.commit(c, g, mls.CommitOptions{ForcePath: true})
}

func commitPending(c *call, g *mls.Group, a *commitArgs) (answer, error) {
	return a.commit(c, g, mls.CommitOptions{})
}

type commitPSKArgs struct {
	commitArgs
	PSKID octets `json:"psk_id"`
}

func commitPSK(c *call, g *mls.Group, a *commitPSKArgs) (answer, error) {
	if err := need("psk_id", a.PSKID); err != nil {
		return nil, err
	}
	return a.commit(c, g, mls.CommitOptions{Proposals: []mls.Proposal{mls.ExternalPSK(a.PSKID)}})
}

type commitExtensionsArgs struct {
	commitArgs
	Extensions []extension `json:"extensions"`
}

func commitExtensions(c *call, g *mls.Group, a *commitExtensionsArgs) (answer, error) {
	return a.commit(c, g, mls.CommitOptions{Proposals: []mls.Proposal{mls.GroupExtensions(extensions(a.Extensions))}})
}

type commitListedArgs struct {
	commitArgs
	ByReference []octets       `json:"by_reference"` // MLSMessages of proposals
	ByValue     []proposalArgs `json:"by_value"`
	ForcePath   bool           `json:"force_path"`
}

// commitListed commits exactly the listed proposals. What drives a driver takes
// "unsupported" in an error to mean that the whole operation is not there.
func commitListed(c *call, g *mls.Group, a *commitListedArgs) (answer, error) {
	out, err := commitExactly(c, g, a)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), "unsupported", "not supported"))
	}
	return out, err
}

func commitExactly(c *call, g *mls.Group, a *commitListedArgs) (answer, error) {
	opts := mls.CommitOptions{ByReference: [][]byte{}, ForcePath: a.ForcePath}
	for i, m := range a.ByReference {
		ref, ok := g.ProposalRef(m)
		if !ok {
			return nil, fmt.Errorf("by_reference %d: %w", i, mls.ErrUnknownProposal)
		}
		opts.ByReference = append(opts.ByReference, ref)
	}
	for i := range a.ByValue {
		p, err := a.ByValue[i].proposal(targetOf(g))
		if err != nil {
			return nil, fmt.Errorf("by_value %d: %w", i, err)
		}
		opts.Proposals = append(opts.Proposals, p)
	}
	return a.commit(c, g, opts)
}

func mergePending(_ *call, g *mls.Group, _ *none) (answer, error) {
	if err := g.MergePending(); err != nil {
		return nil, err
	}
	return answer{"epoch": g.Epoch()}, nil
}
