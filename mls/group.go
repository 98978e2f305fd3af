package mls

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// status says whether the member can still act.
type status uint8

const (
	statusActive status = iota
	statusRemoved
	statusReInit
)

// Group is one member's state of one group. It is not safe for concurrent use.
type Group struct {
	suite  *suite.Suite
	id     *Identity
	policy Policy

	cur        *epoch
	past       []*pastEpoch // newest first
	resumption []resumptionSecret
	proposals  []*cachedProposal // in the order of arrival
	pending    *pendingCommit
	status     status
	reinit     *wire.ReInit // why status is statusReInit
	lastOwn    [32]byte     // SHA-256 of the own commit that began this epoch
	parents    []*Group     // whose resumption PSKs a first commit may use
	store      store
}

// pendingCommit is an own commit that the service has not yet accepted.
type pendingCommit struct {
	message [32]byte // SHA-256 of the MLSMessage
	next    *epoch
	info    commitInfo
	id      *Identity // nil: unchanged
	reinit  *wire.ReInit
}

// commitInfo is what a commit changed.
type commitInfo struct {
	added, removed, updated []place
	changes                 []change
}

// place is a member at its leaf.
type place struct {
	leaf uint32
	node *wire.LeafNode
}

func members(list []place) []Member {
	var out []Member
	for _, p := range list {
		out = append(out, newMember(p.leaf, p.node))
	}
	return out
}

// GroupID returns the group's id.
func (g *Group) GroupID() []byte { return bytes.Clone(g.cur.context.GroupID) }

// Epoch returns the number of the current epoch.
func (g *Group) Epoch() uint64 { return g.cur.context.Epoch }

// Suite returns the group's cipher suite.
func (g *Group) Suite() Suite { return Suite(g.suite.ID) }

// OwnLeaf returns this member's leaf index.
func (g *Group) OwnLeaf() uint32 { return uint32(g.cur.private.Self) }

// Identity returns this member's identity.
func (g *Group) Identity() *Identity { return g.id }

// Removed says whether this member was removed.
func (g *Group) Removed() bool { return g.status == statusRemoved }

// Reinitialized returns the group id and suite that a reinit commit announced,
// R §11.2, and whether there was one. Such a group sends nothing any more.
func (g *Group) Reinitialized() (groupID []byte, s Suite, ok bool) {
	if g.status != statusReInit {
		return nil, 0, false
	}
	return bytes.Clone(g.reinit.GroupID), Suite(g.reinit.Suite), true
}

// Extensions returns the extensions of the group context.
func (g *Group) Extensions() []Extension { return fromWireExtensions(g.cur.context.Extensions) }

// Members returns all members in the order of their leaves. The cost grows with
// the group.
func (g *Group) Members() []Member {
	var out []Member
	_ = g.cur.tree.Members(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
		out = append(out, newMember(uint32(l), leaf))
		return nil
	})
	return out
}

// Member returns the member at a leaf. The error is ErrNotMember.
func (g *Group) Member(leaf uint32) (Member, error) {
	n, err := leafOf(g.cur.tree, leaf)
	if err != nil {
		return Member{}, op("member", err)
	}
	return newMember(leaf, n), nil
}

// EpochAuthenticator returns a secret that is the same for all members of an
// epoch: comparing it end to end shows a fork, R §8.7 (requirement 25).
func (g *Group) EpochAuthenticator() []byte { return bytes.Clone(g.cur.secrets.Authenticator) }

// Export derives length bytes for the application from this epoch, R §8.5.
// length is at most 255 times the size of the suite's hash.
func (g *Group) Export(label string, context []byte, length int) ([]byte, error) {
	if length < 0 || length > 255*g.suite.Nh {
		return nil, op("export", fmt.Errorf("%w: %d bytes", ErrLimit, length))
	}
	return g.cur.secrets.Export(g.suite, label, context, length), nil
}

// RatchetTree returns the tree as a ratchet_tree extension holds it, for joiners
// whose Welcome or GroupInfo has none.
func (g *Group) RatchetTree() []byte { return g.cur.tree.Append(nil) }

// HasPending says whether an own commit waits for MergePending.
func (g *Group) HasPending() bool { return g.pending != nil }

// active returns why this member can not send, if so.
func (g *Group) active() error {
	switch g.status {
	case statusRemoved:
		return ErrRemoved
	case statusReInit:
		return ErrReinitialized
	}
	return nil
}

// MergePending makes the staged commit real: call it once the delivery service
// has accepted the commit (requirement 4).
func (g *Group) MergePending() error {
	p := g.pending
	if p == nil {
		return op("merge", ErrNoPending)
	}
	g.advance(p.next)
	g.lastOwn = p.message
	if p.id != nil {
		g.id = p.id
	}
	g.endBy(p.reinit)
	return nil
}

// DiscardPending drops the staged commit: call it when another commit won. The
// group stays in its epoch.
func (g *Group) DiscardPending() {
	if g.pending != nil {
		g.pending.next.wipe(g.cur.private)
		g.pending = nil
		g.store.pending = true
	}
}

func (g *Group) endBy(r *wire.ReInit) {
	if r != nil {
		g.status, g.reinit = statusReInit, r
	}
}

// advance moves on to the next epoch. It keeps of this one what late messages
// and resumption need, and deletes the rest (requirement 22).
func (g *Group) advance(next *epoch) {
	old := g.cur
	g.resumption = append(g.resumption, resumptionSecret{old.context.Epoch, bytes.Clone(old.secrets.Resumption)})
	if over := len(g.resumption) - g.policy.resumptionEpochs(); over > 0 {
		for _, r := range g.resumption[:over] {
			clear(r.secret)
		}
		g.resumption = append([]resumptionSecret(nil), g.resumption[over:]...)
	}
	g.past = append([]*pastEpoch{newPast(old, next.tree)}, g.past...)
	old.secrets.Wipe()
	old.private.WipeBut(next.private)
	for keep := g.policy.pastEpochs(); len(g.past) > keep; {
		last := len(g.past) - 1
		g.store.dropEpoch(g.past[last])
		g.past[last].wipe()
		g.past = g.past[:last]
	}
	for _, p := range g.proposals {
		g.store.dropProposal(p)
		if p.leafKey != next.private.Leaf {
			p.leafKey.Wipe()
		}
	}
	g.cur, g.proposals = next, nil
	if g.pending != nil && g.pending.next != next {
		g.pending.next.wipe(next.private)
	}
	g.pending = nil
	g.lastOwn = [32]byte{}
	g.store.group, g.store.pending = true, true
}

func sum(message []byte) [32]byte { return sha256.Sum256(message) }

// GroupOptions shapes a new group.
type GroupOptions struct {
	Policy
	// Extensions of the group context.
	Extensions []Extension
	// Leaf shapes the creator's leaf.
	Leaf LeafOptions
}

// NewGroup creates a group with one member, R §11. The group id must be unique
// at the delivery service.
func NewGroup(groupID []byte, id *Identity, opts GroupOptions) (*Group, error) {
	if id == nil {
		return nil, op("new group", ErrWrongIdentity)
	}
	s := id.suite
	rules, err := newRequirements(wireExtensions(opts.Extensions))
	if err != nil {
		return nil, op("new group", err)
	}
	key, err := s.GenerateSpare()
	if err != nil {
		return nil, op("new group", err)
	}
	leaf := opts.Leaf.newLeaf(id)
	leaf.EncryptionKey = key.Public()
	setLifetime(leaf, opts.now(), 0)
	if err := leaf.Sign(s, id.key, nil, 0); err != nil {
		return nil, op("new group", err)
	}
	leaf = leaf.Detach()
	if err := checkLeafSelf(s, leaf, wire.SourceKeyPackage); err != nil {
		return nil, op("new group", err)
	}
	if err := rules.check(leaf); err != nil {
		return nil, op("new group", err)
	}
	secret, err := randomBytes(s.Nh)
	if err != nil {
		return nil, op("new group", err)
	}
	e := &epoch{private: &ratchet.Private{Leaf: key, Path: make(map[ratchet.Node]*suite.PrivateKey)}}
	e.suite, e.tree = s, ratchet.New(s, leaf)
	e.setContext(wire.GroupContext{Version: wire.Version, Suite: s.ID, GroupID: bytes.Clone(groupID),
		TreeHash: e.tree.Hash(), ConfirmedTranscriptHash: []byte{}, Extensions: wireExtensions(opts.Extensions)})
	e.begin(schedule.FromEpochSecret(s, secret), opts.limits())
	return newGroup(id, opts.Policy, e), nil
}

func newGroup(id *Identity, policy Policy, e *epoch) *Group {
	g := &Group{suite: e.suite, id: id, policy: policy, cur: e}
	g.store.group = true
	return g
}
