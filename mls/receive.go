package mls

import (
	"crypto/subtle"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/wire"
)

// received is another's commit on its way to the next epoch.
type received struct {
	plan      *plan
	applied   *applied
	next      *epoch
	committer ratchet.Leaf
}

// receiveCommit processes the commit of another, R §12.4.2.
func (g *Group) receiveCommit(ac *wire.AuthenticatedContent, p *Processed, spend func()) error {
	r, err := g.readCommit(ac)
	if err != nil {
		return err
	}
	info := r.applied.info(r.plan)
	p.fill(info, g.Epoch()+1)
	p.SenderLeaf = uint32(r.committer)
	p.ReInit = r.plan.reinit != nil
	if r.removes(g.OwnLeaf()) {
		spend()
		g.DiscardPending()
		p.SelfRemoved = true
		g.status, g.store.group = statusRemoved, true
		return nil
	}
	if err := g.follow(r, ac); err != nil {
		r.next.private.Leaf = g.cur.private.Leaf // an own update stays cached
		r.next.wipe(g.cur.private)
		return err
	}
	if ac.Content.Commit.Path != nil {
		p.Updated = append(p.Updated, newMember(p.SenderLeaf, r.next.tree.Leaf(r.committer)))
	}
	spend()
	g.advance(r.next)
	if r.plan.reinit != nil {
		g.endBy(cloneReInit(r.plan.reinit.ReInit))
	}
	return nil
}

func (r *received) removes(leaf uint32) bool {
	for _, c := range r.plan.removes {
		if c.Remove == leaf {
			return true
		}
	}
	return false
}

// readCommit resolves, checks and applies the proposals of a commit.
func (g *Group) readCommit(ac *wire.AuthenticatedContent) (*received, error) {
	commit, sender := ac.Content.Commit, ac.Content.Sender
	if len(commit.Proposals) > g.policy.maxProposals() {
		return nil, fmt.Errorf("%w: %d proposals in a commit", ErrLimit, len(commit.Proposals))
	}
	changes := make([]change, len(commit.Proposals))
	for i, p := range commit.Proposals {
		if p.Proposal != nil {
			changes[i] = change{Proposal: p.Proposal, sender: sender}
			continue
		}
		c := g.cachedByRef(p.Ref)
		if c == nil {
			return nil, fmt.Errorf("%w: %x", ErrUnknownProposal, p.Ref)
		}
		changes[i] = c.reference()
	}
	plan, err := g.cur.newPlan(changes, sender)
	if err != nil {
		return nil, err
	}
	if commit.Path == nil && plan.needsPath() {
		return nil, ErrPathRequired
	}
	a, err := g.cur.apply(plan, &g.policy)
	if err != nil {
		return nil, err
	}
	r := &received{plan: plan, applied: a, committer: ratchet.Leaf(sender.Index)}
	if sender.Type == wire.SenderNewMemberCommit {
		if r.committer, err = a.tree.Place(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// follow derives the epoch that a commit begins and checks its confirmation.
func (g *Group) follow(r *received, ac *wire.AuthenticatedContent) error {
	a := r.applied
	r.next = &epoch{}
	r.next.tree, r.next.private = a.tree, g.cur.private.Clone()
	for _, c := range r.plan.updates {
		if c.cached != nil && c.cached.own {
			r.next.private.Leaf = c.cached.leafKey
		}
	}
	psk, err := gatherPSKs(g.suite, &g.policy, pskIDs(r.plan.psks), append(g.parents, g)...)
	if err != nil {
		return err
	}
	defer clear(psk)
	initSecret := g.cur.secrets.Init
	if r.plan.externalInit != nil {
		k, err := g.cur.external()
		if err != nil {
			return err
		}
		defer k.Wipe()
		if initSecret, err = g.suite.ExternalInitSecret(k, r.plan.externalInit.ExternalInit); err != nil {
			return fmt.Errorf("%w: %w", ErrExternalInit, err)
		}
		defer clear(initSecret)
	}
	commitSecret, context, err := g.followPath(r, ac.Content.Commit.Path, ac.Content.Sender)
	if err != nil {
		return err
	}
	clear(g.cur.derive(r.next, context, ac, initSecret, commitSecret, psk, g.policy.limits()))
	clear(commitSecret)
	if subtle.ConstantTimeCompare(r.next.tag, ac.Auth.ConfirmationTag) != 1 {
		return ErrConfirmationTag
	}
	return nil
}

// followPath applies the path of a commit, if any, and returns the commit
// secret.
func (g *Group) followPath(r *received, up *wire.UpdatePath, sender wire.Sender) ([]byte, wire.GroupContext, error) {
	a := r.applied
	if up == nil {
		r.next.private.Prune(a.tree)
		return g.suite.Zero(), g.cur.nextContext(a.tree, a.extensions), nil
	}
	if err := g.checkPathLeaf(r, up, sender); err != nil {
		return nil, wire.GroupContext{}, err
	}
	if err := checkPathKeys(a.tree, up); err != nil {
		return nil, wire.GroupContext{}, err
	}
	if err := a.tree.ApplyPath(r.committer, up); err != nil {
		return nil, wire.GroupContext{}, err
	}
	if err := checkDistinct(a.tree, []ratchet.Leaf{r.committer}); err != nil {
		return nil, wire.GroupContext{}, err
	}
	if err := checkCredentialTypes(a.tree); err != nil {
		return nil, wire.GroupContext{}, err
	}
	context := g.cur.nextContext(a.tree, a.extensions)
	secret, err := r.next.private.Open(a.tree, r.committer, up, codec.Encode(&context), a.added)
	return secret, context, err
}

// checkPathLeaf checks the committer's new leaf, R §12.4.2 and §7.3.
func (g *Group) checkPathLeaf(r *received, up *wire.UpdatePath, sender wire.Sender) error {
	index := uint32(r.committer)
	ctx := CredentialContext{Reason: ReasonCommit, Leaf: index, SignatureKey: up.Leaf.SignatureKey}
	var old *wire.LeafNode
	if sender.Type == wire.SenderMember {
		var err error
		if old, err = leafOf(r.applied.tree, index); err != nil {
			return err
		}
		previous := fromWireCredential(old.Credential)
		ctx.Previous = &previous
	} else {
		ctx.Reason = ReasonExternalCommit
		for _, removed := range r.applied.removed {
			previous := fromWireCredential(removed.node.Credential)
			if !g.policy.sameClient(previous, fromWireCredential(up.Leaf.Credential)) {
				return fmt.Errorf("%w: it removes another client", ErrExternalCommit)
			}
			ctx.Previous = &previous
		}
	}
	if err := g.cur.checkNewLeaf(r.applied.rules, &up.Leaf, old, index, wire.SourceCommit); err != nil {
		return fmt.Errorf("committer's leaf: %w", err)
	}
	return g.cur.validate(&g.policy, up.Leaf.Credential, ctx)
}
