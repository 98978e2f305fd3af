package mls

import (
	"fmt"
	"slices"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/wire"
)

// selectChanges lists what a commit of ours covers.
func (g *Group) selectChanges(opts *CommitOptions) ([]change, error) {
	me := g.self()
	var values []change
	for _, p := range opts.Proposals {
		w, err := p.withNonce(g.suite)
		if err != nil {
			return nil, err
		}
		values = append(values, change{Proposal: w, sender: me})
	}
	if opts.ByReference == nil {
		return append(g.compatible(values), values...), nil
	}
	var list []change
	for _, ref := range opts.ByReference {
		c := g.cachedByRef(ref)
		if c == nil {
			return nil, fmt.Errorf("%w: %x", ErrUnknownProposal, ref)
		}
		list = append(list, c.reference())
	}
	return append(list, values...), nil
}

func (g *Group) self() wire.Sender {
	return wire.Sender{Type: wire.SenderMember, Index: g.OwnLeaf()}
}

func (c *cachedProposal) reference() change {
	r := c.change
	r.cached = c
	return r
}

// compatible returns the cached proposals that can stand in one commit of ours
// with the given ones: where two exclude each other, a remove goes before an
// update and the earlier before the later, R §12.2.
func (g *Group) compatible(values []change) []change {
	seen := make(map[string]struct{})
	take := func(c change) bool {
		key := c.conflictKey()
		if _, taken := seen[key]; taken && key != "" {
			return false
		}
		seen[key] = struct{}{}
		return true
	}
	for _, c := range values {
		take(c)
	}
	taken := make([]bool, len(g.proposals))
	for _, removes := range []bool{true, false} {
		for i, c := range g.proposals {
			if removes == (c.Type == wire.ProposalRemove) {
				mine := c.Type == wire.ProposalUpdate && c.own ||
					c.Type == wire.ProposalRemove && c.Remove == g.OwnLeaf()
				taken[i] = !mine && c.Type != wire.ProposalReInit && take(c.change)
			}
		}
	}
	var list []change
	for i, c := range g.proposals {
		if taken[i] {
			list = append(list, c.reference())
		}
	}
	if len(list)+len(values) == 0 {
		for _, c := range g.proposals {
			if c.Type == wire.ProposalReInit {
				return []change{c.reference()}
			}
		}
	}
	return list
}

// conflictKey is the same for proposals that exclude each other.
func (c change) conflictKey() string {
	switch c.Type {
	case wire.ProposalAdd:
		return "add" + string(c.Add.Leaf.SignatureKey)
	case wire.ProposalUpdate:
		return fmt.Sprint("leaf", c.sender.Index)
	case wire.ProposalRemove:
		return fmt.Sprint("leaf", c.Remove)
	case wire.ProposalGroupContextExtensions:
		return "extensions"
	case wire.ProposalPSK:
		return "psk" + string(codec.Encode(c.PSK))
	}
	return ""
}

// fitting returns the changes without those cached proposals that cannot stand
// beside the ones before them: for instance an add whose KeyPackage has expired,
// or a PSK that is not known here.
func (g *Group) fitting(list []change) []change {
	var out []change
	for _, c := range list {
		if c.ref == nil {
			out = append(out, c)
		}
	}
	values := len(out)
	for _, c := range list {
		if c.ref == nil {
			continue
		}
		n := len(out) - values
		try := append(slices.Clone(out[:n]), c)
		try = append(try, out[n:]...)
		if g.fits(try) {
			out = try
		}
	}
	return out
}

// fits says whether a list of changes could be committed here and now.
func (g *Group) fits(list []change) bool {
	p, err := g.cur.newPlan(list, g.self())
	if err != nil {
		return false
	}
	p.own = true
	if _, err := g.cur.apply(p, &g.policy); err != nil {
		return false
	}
	_, err = gatherPSKs(g.suite, &g.policy, pskIDs(p.psks), g)
	return err == nil
}
