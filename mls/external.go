package mls

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/framing"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// ExternalJoinOptions says how to join by an external commit.
type ExternalJoinOptions struct {
	Policy
	// RatchetTree is the tree, when the GroupInfo has none.
	RatchetTree []byte
	// Resync removes this client's former leaf, which is found by the credential
	// (see Policy.SameClient): for a member that lost its state.
	Resync bool
	// PSKs are committed too: external ones, or a resumption PSK of Former.
	PSKs []Proposal
	// Former is this client's former state of the group, whose resumption PSKs
	// prove past membership (requirement 24).
	Former *Group
	// AAD is authenticated.
	AAD []byte
	// Leaf shapes the own leaf.
	Leaf LeafOptions
}

// parseGroupInfo reads a GroupInfo from an MLSMessage, and copies it.
func parseGroupInfo(b []byte) (*wire.GroupInfo, *suite.Suite, error) {
	var m wire.Message
	if err := decode(bytes.Clone(b), &m); err != nil {
		return nil, nil, err
	}
	if m.GroupInfo == nil {
		return nil, nil, fmt.Errorf("%w: not a group info", ErrMalformed)
	}
	s, err := suite.Lookup(m.GroupInfo.Context.Suite)
	return m.GroupInfo, s, err
}

// ExternalJoin joins a group by itself, with a commit that members process, R
// §12.4.3.2. The group returned is already in its new epoch: if the delivery
// service does not accept the commit, drop it.
func ExternalJoin(groupInfo []byte, id *Identity, opts ExternalJoinOptions) (*Group, []byte, error) {
	g, commit, err := externalJoin(groupInfo, id, &opts)
	if err != nil {
		return nil, nil, op("external join", err)
	}
	return g, commit, nil
}

func externalJoin(groupInfo []byte, id *Identity, opts *ExternalJoinOptions) (*Group, []byte, error) {
	info, s, err := parseGroupInfo(groupInfo)
	if err != nil {
		return nil, nil, err
	}
	if err := id.forSuite(s); err != nil {
		return nil, nil, err
	}
	var v public
	if err := v.enter(s, info, opts.RatchetTree, &opts.Policy, nil); err != nil {
		return nil, nil, err
	}
	data, ok := info.Extensions.Find(wire.ExtExternalPub)
	if !ok {
		return nil, nil, ErrNoExternalPub
	}
	r := codec.NewReader(data)
	externalPub := r.Vec()
	if err := r.Done(); err != nil {
		return nil, nil, fmt.Errorf("%w: external_pub: %w", ErrExtension, err)
	}
	kemOutput, initSecret, err := s.ExternalInit(externalPub)
	if err != nil {
		return nil, nil, err
	}
	defer clear(initSecret)
	changes, err := v.externalChanges(kemOutput, id, opts)
	if err != nil {
		return nil, nil, err
	}
	return v.externalCommit(changes, initSecret, id, opts)
}

// externalChanges lists what an external commit covers.
func (v *public) externalChanges(kemOutput []byte, id *Identity, opts *ExternalJoinOptions) ([]change, error) {
	sender := wire.Sender{Type: wire.SenderNewMemberCommit}
	list := []change{{Proposal: &wire.Proposal{Type: wire.ProposalExternalInit, ExternalInit: kemOutput}, sender: sender}}
	if opts.Resync {
		found := false
		_ = v.tree.Members(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
			if !found && opts.sameClient(fromWireCredential(leaf.Credential), id.credential) {
				found = true
				list = append(list, change{Proposal: Remove(uint32(l)).p, sender: sender})
			}
			return nil
		})
		if !found {
			return nil, fmt.Errorf("%w: no leaf of this client to replace", ErrNotMember)
		}
	}
	for _, p := range opts.PSKs {
		w, err := p.withNonce(v.suite)
		if err != nil {
			return nil, err
		}
		if w.Type != wire.ProposalPSK {
			return nil, ErrExternalCommit
		}
		list = append(list, change{Proposal: w, sender: sender})
	}
	return list, nil
}

func (v *public) externalCommit(changes []change, initSecret []byte, id *Identity, opts *ExternalJoinOptions) (*Group, []byte, error) {
	sender := changes[0].sender
	p, err := v.newPlan(changes, sender)
	if err != nil {
		return nil, nil, err
	}
	a, err := v.apply(p, &opts.Policy)
	if err != nil {
		return nil, nil, err
	}
	psk, err := gatherPSKs(v.suite, &opts.Policy, pskIDs(p.psks), opts.Former)
	if err != nil {
		return nil, nil, err
	}
	defer clear(psk)
	self, err := a.tree.Place()
	if err != nil {
		return nil, nil, err
	}
	leaf := opts.Leaf.newLeaf(id)
	path, err := a.tree.NewPath(self, leaf, id.key, v.context.GroupID)
	if err != nil {
		return nil, nil, err
	}
	defer path.Wipe()
	if err := v.checkOwnLeaf(a, self, leaf); err != nil {
		return nil, nil, err
	}
	next := &epoch{private: path.Private}
	next.tree = a.tree
	context := v.nextContext(a.tree, a.extensions)
	commit := &wire.Commit{}
	for _, c := range changes {
		commit.Proposals = append(commit.Proposals, wire.ProposalOrRef{Proposal: c.Proposal})
	}
	if commit.Path, err = path.Encrypt(a.tree, codec.Encode(&context), nil); err != nil {
		return nil, nil, err
	}
	ac := &wire.AuthenticatedContent{WireFormat: wire.FormatPublicMessage}
	ac.Content = wire.Content{GroupID: v.context.GroupID, Epoch: v.context.Epoch, Sender: sender, AAD: opts.AAD}
	ac.Content.SetCommit(commit)
	keys := &framing.Keys{Suite: v.suite, Context: v.encoded}
	if err := keys.Sign(ac, id.key); err != nil {
		return nil, nil, err
	}
	clear(v.derive(next, context, ac, initSecret, path.CommitSecret, psk, opts.limits()))
	ac.Auth.ConfirmationTag = next.tag
	b := codec.Encode(&wire.Message{Format: wire.FormatPublicMessage, Public: keys.Public(ac)})
	g := newGroup(id, opts.Policy, next)
	g.lastOwn = sum(b)
	return g, b, nil
}

// checkOwnLeaf checks that members will accept the leaf of an external commit.
func (v *public) checkOwnLeaf(a *applied, self ratchet.Leaf, leaf *wire.LeafNode) error {
	if err := checkLeafSelf(v.suite, leaf, wire.SourceCommit); err != nil {
		return err
	}
	if err := a.rules.check(leaf); err != nil {
		return err
	}
	if err := checkDistinct(a.tree, []ratchet.Leaf{self}); err != nil {
		return err
	}
	return checkCredentialTypes(a.tree)
}
