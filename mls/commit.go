package mls

import (
	"bytes"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/wire"
)

// CommitOptions says what a commit covers and how it travels.
type CommitOptions struct {
	// ByReference are the ProposalRefs of cached proposals to commit. Nil means
	// all that fit together; an empty list means none.
	ByReference [][]byte
	// Proposals are committed by value.
	Proposals []Proposal
	// ForcePath adds a path, which renews this member's keys, where none is
	// needed.
	ForcePath bool
	// Framing of the commit.
	Framing Framing
	// AAD is authenticated, not encrypted.
	AAD []byte
	// OmitRatchetTree leaves the tree out of Welcome and GroupInfo; it is then in
	// CommitResult.RatchetTree.
	OmitRatchetTree bool
	// GroupInfo asks for a GroupInfo of the new epoch, for external joins.
	GroupInfo bool
	// Identity replaces this member's signature key and credential.
	Identity *Identity
	// Leaf replaces this member's capabilities and leaf extensions.
	Leaf *LeafOptions
}

// CommitResult is what Commit made. All are MLSMessages but RatchetTree.
type CommitResult struct {
	Commit      []byte
	Welcome     []byte // nil when nobody is added; one for all who are
	GroupInfo   []byte // nil unless asked for
	RatchetTree []byte // nil unless left out of the others
	Epoch       uint64 // that the commit begins
	Added       []Member
}

// Commit makes a commit and stages it: the group stays in its epoch until
// MergePending. A Welcome must not be sent before the commit is accepted
// (requirement 3). The errors are those of R §12.2, ErrPending when a commit is
// staged already, and ErrRemoved and ErrReinitialized.
func (g *Group) Commit(opts CommitOptions) (*CommitResult, error) {
	if err := g.active(); err != nil {
		return nil, op("commit", err)
	}
	if g.pending != nil {
		return nil, op("commit", ErrPending)
	}
	changes, err := g.selectChanges(&opts)
	if err != nil {
		return nil, op("commit", err)
	}
	res, err := g.stage(changes, &opts, false)
	if err != nil && opts.ByReference == nil && len(g.proposals) > 0 {
		// Another's proposal may spoil the list, but must not keep us from committing.
		res, err = g.stage(g.fitting(changes), &opts, false)
	}
	return res, op("commit", err)
}

// draft is a commit in the making.
type draft struct {
	plan       *plan
	applied    *applied
	next       *epoch
	id         *Identity // of the new epoch
	path       *ratchet.Path
	context    wire.GroupContext
	commit     wire.Commit
	pskIDs     []*wire.PSKID
	pskSecret  []byte
	joiner     []byte
	initSecret []byte
	staged     bool
}

// wipe overwrites what is needed only while the commit is made, and the new
// epoch when it is not staged. keep are the keys of the current one.
func (d *draft) wipe(keep *ratchet.Private) {
	if d.path != nil {
		d.path.Wipe()
	}
	clear(d.joiner)
	clear(d.pskSecret)
	if !d.staged {
		d.next.wipe(keep)
	}
}

func (d *draft) commitSecret() []byte {
	if d.path == nil {
		return d.next.suite.Zero()
	}
	return d.path.CommitSecret
}

// stage builds the commit of a list of changes and stages it.
func (g *Group) stage(changes []change, opts *CommitOptions, subgroup bool) (*CommitResult, error) {
	d := &draft{id: g.id, next: &epoch{}, initSecret: g.cur.secrets.Init}
	d.next.suite = g.suite
	defer d.wipe(g.cur.private)
	if opts.Identity != nil {
		if err := opts.Identity.forSuite(g.suite); err != nil {
			return nil, err
		}
		d.id = opts.Identity
	}
	var err error
	if d.plan, err = g.cur.newPlan(changes, g.self()); err != nil {
		return nil, err
	}
	d.plan.own, d.plan.createsParent = true, subgroup
	if d.applied, err = g.cur.apply(d.plan, &g.policy); err != nil {
		return nil, err
	}
	d.pskIDs = pskIDs(d.plan.psks)
	if d.pskSecret, err = gatherPSKs(g.suite, &g.policy, d.pskIDs, append(g.parents, g)...); err != nil {
		return nil, err
	}
	d.next.tree, d.next.private = d.applied.tree, g.cur.private.Clone()
	if opts.ForcePath || opts.Identity != nil || opts.Leaf != nil || d.plan.needsPath() {
		if err := g.addPath(d, opts); err != nil {
			return nil, err
		}
	}
	for _, c := range changes {
		if c.ref != nil {
			d.commit.Proposals = append(d.commit.Proposals, wire.ProposalOrRef{Ref: c.ref})
		} else {
			d.commit.Proposals = append(d.commit.Proposals, wire.ProposalOrRef{Proposal: c.Proposal})
		}
	}
	return g.finish(d, opts)
}

// addPath gives this member's leaf and path new keys.
func (g *Group) addPath(d *draft, opts *CommitOptions) (err error) {
	leaf := *g.cur.tree.Leaf(g.cur.private.Self)
	if opts.Leaf != nil {
		leaf = *opts.Leaf.newLeaf(d.id)
	}
	leaf.SignatureKey, leaf.Credential = d.id.key.Public(), d.id.credential.wire()
	self := g.cur.private.Self
	if d.path, err = d.applied.tree.NewPath(self, &leaf, d.id.key, g.cur.context.GroupID); err != nil {
		return err
	}
	d.next.private = d.path.Private
	if opts.Identity != nil || opts.Leaf != nil {
		if err := checkLeafSelf(g.suite, &leaf, wire.SourceCommit); err != nil {
			return err
		}
		if err := d.applied.rules.check(&leaf); err != nil {
			return err
		}
		if err := checkDistinct(d.applied.tree, []ratchet.Leaf{self}); err != nil {
			return err
		}
	}
	d.context = g.cur.nextContext(d.applied.tree, d.applied.extensions)
	d.commit.Path, err = d.path.Encrypt(d.applied.tree, codec.Encode(&d.context), d.applied.added)
	return err
}

// finish signs the commit, derives the next epoch and frames everything.
func (g *Group) finish(d *draft, opts *CommitOptions) (*CommitResult, error) {
	if d.path == nil {
		d.context = g.cur.nextContext(d.applied.tree, d.applied.extensions)
		d.next.private.Prune(d.applied.tree)
	}
	ac := g.newContent(opts.Framing, opts.AAD)
	ac.Content.SetCommit(&d.commit)
	keys := g.cur.keys()
	if err := keys.Sign(ac, g.id.key); err != nil {
		return nil, err
	}
	d.joiner = g.cur.derive(d.next, d.context, ac, d.initSecret, d.commitSecret(), d.pskSecret, g.policy.limits())
	ac.Auth.ConfirmationTag = d.next.tag
	res := &CommitResult{Epoch: d.context.Epoch, Added: members(d.applied.joined)}
	var err error
	if len(d.applied.added) > 0 {
		if res.Welcome, err = d.welcome(!opts.OmitRatchetTree); err != nil {
			return nil, err
		}
	}
	if opts.GroupInfo {
		if res.GroupInfo, err = d.next.groupInfoMessage(d.id, GroupInfoOptions{OmitRatchetTree: opts.OmitRatchetTree}); err != nil {
			return nil, err
		}
	}
	if opts.OmitRatchetTree {
		res.RatchetTree = d.next.tree.Append(nil)
	}
	if res.Commit, err = g.frame(ac); err != nil {
		return nil, err
	}
	p := &pendingCommit{message: sum(res.Commit), next: d.next, info: d.applied.info(d.plan), id: opts.Identity}
	if d.plan.reinit != nil {
		p.reinit = cloneReInit(d.plan.reinit.ReInit)
	}
	if d.path != nil {
		p.info.updated = append(p.info.updated, place{g.OwnLeaf(), d.next.tree.Leaf(d.next.private.Self)})
	}
	g.pending, g.store.pending, d.staged = p, true, true
	return res, nil
}

func (a *applied) info(p *plan) commitInfo {
	return commitInfo{added: a.joined, removed: a.removed, updated: a.updated, changes: p.all}
}

func cloneReInit(r *wire.ReInit) *wire.ReInit {
	c := new(wire.ReInit)
	c.Decode(codec.NewReader(codec.Encode(r)))
	return c
}

// newContent starts a message of this member.
func (g *Group) newContent(f Framing, aad []byte) *wire.AuthenticatedContent {
	ac := &wire.AuthenticatedContent{WireFormat: wire.FormatPrivateMessage}
	if g.policy.public(f) {
		ac.WireFormat = wire.FormatPublicMessage
	}
	ac.Content = wire.Content{GroupID: g.cur.context.GroupID, Epoch: g.cur.context.Epoch,
		Sender: g.self(), AAD: bytes.Clone(aad)}
	return ac
}

// frame turns a signed content of the current epoch into an MLSMessage.
func (g *Group) frame(ac *wire.AuthenticatedContent) ([]byte, error) {
	keys := g.cur.keys()
	if ac.WireFormat == wire.FormatPublicMessage {
		return codec.Encode(&wire.Message{Format: ac.WireFormat, Public: keys.Public(ac)}), nil
	}
	return keys.Seal(ac, g.policy.pad)
}
