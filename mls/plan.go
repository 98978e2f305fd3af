package mls

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// plan is a list of proposals, sorted by kind and found valid as a list, R
// §12.2.
type plan struct {
	all           []change
	extensions    *change
	updates       []change
	removes       []change
	adds          []change
	psks          []change
	externalInit  *change
	reinit        *change
	committer     wire.Sender
	own           bool // the commit is ours: the clients that it adds must be fit for use now
	createsParent bool // resumption PSKs of usage reinit or branch are allowed
}

// needsPath says whether the list must come with a path, R §12.4.
func (p *plan) needsPath() bool {
	return len(p.all) == 0 || len(p.updates) > 0 || len(p.removes) > 0 ||
		p.externalInit != nil || p.extensions != nil
}

// newPlan sorts a list and checks the rules that concern it as a whole.
func (v *public) newPlan(all []change, committer wire.Sender) (*plan, error) {
	p := &plan{all: all, committer: committer}
	for i := range all {
		if err := p.sort(&all[i]); err != nil {
			return nil, err
		}
	}
	if p.reinit != nil && len(all) > 1 {
		return nil, ErrReInitNotAlone
	}
	if err := p.checkTargets(); err != nil {
		return nil, err
	}
	if err := p.checkPSKs(v.suite); err != nil {
		return nil, err
	}
	if committer.Type == wire.SenderNewMemberCommit {
		return p, p.checkExternalCommit()
	}
	if p.externalInit != nil {
		return nil, fmt.Errorf("%w: in the commit of a member", ErrExternalInit)
	}
	return p, nil
}

func (p *plan) sort(c *change) error {
	if !maySend(c.sender.Type, c.Type) {
		return fmt.Errorf("%w: sender type %d, proposal type %d", ErrSender, c.sender.Type, c.Type)
	}
	switch c.Type {
	case wire.ProposalAdd:
		p.adds = append(p.adds, *c)
	case wire.ProposalUpdate:
		if c.sender == p.committer {
			return ErrUpdateByCommitter
		}
		p.updates = append(p.updates, *c)
	case wire.ProposalRemove:
		if p.committer.Type == wire.SenderMember && c.Remove == p.committer.Index {
			return ErrRemoveCommitter
		}
		p.removes = append(p.removes, *c)
	case wire.ProposalPSK:
		p.psks = append(p.psks, *c)
	case wire.ProposalReInit:
		p.reinit = c
	case wire.ProposalExternalInit:
		if p.externalInit != nil {
			return fmt.Errorf("%w: twice", ErrExternalInit)
		}
		p.externalInit = c
	case wire.ProposalGroupContextExtensions:
		if p.extensions != nil {
			return ErrDuplicateExtensions
		}
		p.extensions = c
	}
	return nil
}

// maySend says which senders may propose what, R §12.1.8. A committer's
// proposals by value count as sent by it.
func maySend(sender uint8, proposal uint16) bool {
	switch sender {
	case wire.SenderMember:
		return proposal != wire.ProposalExternalInit
	case wire.SenderExternal:
		return proposal != wire.ProposalUpdate && proposal != wire.ProposalExternalInit
	case wire.SenderNewMemberProposal:
		return proposal == wire.ProposalAdd
	}
	return proposal == wire.ProposalExternalInit || proposal == wire.ProposalRemove || proposal == wire.ProposalPSK
}

func (p *plan) checkTargets() error {
	targets := make(map[uint32]struct{}, len(p.removes)+len(p.updates))
	for _, c := range p.updates {
		targets[c.sender.Index] = struct{}{}
	}
	for _, c := range p.removes {
		targets[c.Remove] = struct{}{}
	}
	if len(targets) != len(p.removes)+len(p.updates) {
		return ErrSameTarget
	}
	clients := make(map[string]struct{}, len(p.adds))
	for _, c := range p.adds {
		clients[string(c.Add.Leaf.SignatureKey)] = struct{}{}
	}
	if len(clients) != len(p.adds) {
		return ErrDuplicateAdd
	}
	return nil
}

func (p *plan) checkPSKs(s *suite.Suite) error {
	seen := make(map[string]struct{}, len(p.psks))
	for _, c := range p.psks {
		if len(c.PSK.Nonce) != s.Nh {
			return fmt.Errorf("%w: nonce of %d bytes", ErrPSK, len(c.PSK.Nonce))
		}
		seen[string(codec.Encode(c.PSK))] = struct{}{}
	}
	if len(seen) != len(p.psks) {
		return ErrDuplicatePSK
	}
	return nil
}

// checkExternalCommit checks the rules of a commit by a new member, R §12.2.
func (p *plan) checkExternalCommit() error {
	if p.externalInit == nil {
		return fmt.Errorf("%w: missing", ErrExternalInit)
	}
	if len(p.removes) > 1 {
		return fmt.Errorf("%w: %d removes", ErrExternalCommit, len(p.removes))
	}
	for _, c := range p.all {
		if c.ref != nil {
			return fmt.Errorf("%w: a proposal by reference", ErrExternalCommit)
		}
	}
	return nil
}

// checkPSKUsage refuses resumption PSKs of usage reinit and branch outside of
// the first commit of a new group, R §8.4.
func (p *plan) checkPSKUsage() error {
	for _, c := range p.psks {
		if c.PSK.Type == wire.PSKResumption && c.PSK.Usage != wire.UsageApplication && !p.createsParent {
			return fmt.Errorf("%w: usage %d", ErrPSK, c.PSK.Usage)
		}
	}
	return nil
}

// checkReInit checks a reinit proposal, R §12.1.5.
func (v *public) checkReInit(r *wire.ReInit) error {
	if r.Version < v.context.Version {
		return fmt.Errorf("%w: to an older version", ErrReInit)
	}
	if bytes.Equal(r.GroupID, v.context.GroupID) {
		return fmt.Errorf("%w: same group id", ErrReInit)
	}
	if _, err := newRequirements(r.Extensions); err != nil {
		return fmt.Errorf("%w: %w", ErrReInit, err)
	}
	return nil
}
