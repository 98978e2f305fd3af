package main

import (
	"fmt"
	"slices"

	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

type treeOperationsCase struct {
	Suite      uint16 `json:"cipher_suite"`
	TreeBefore hx     `json:"tree_before"`
	Proposal   hx     `json:"proposal"`
	Sender     uint32 `json:"proposal_sender"`
	HashBefore hx     `json:"tree_hash_before"`
	TreeAfter  hx     `json:"tree_after"`
	HashAfter  hx     `json:"tree_hash_after"`
}

func treeOperations(c *treeOperationsCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	before, err := ratchet.Decode(s, c.TreeBefore)
	if err != nil {
		return err
	}
	hashBefore := before.Hash()
	t := before.Clone()
	var p wire.Proposal
	if err := wire.Decode(c.Proposal, &p); err != nil {
		return err
	}
	switch p.Type {
	case wire.ProposalAdd:
		_, err = t.Add(&p.Add.Leaf)
	case wire.ProposalUpdate:
		err = t.Update(ratchet.Leaf(c.Sender), p.Update)
	case wire.ProposalRemove:
		err = t.Remove(ratchet.Leaf(p.Remove))
	default:
		err = fmt.Errorf("%w: proposal type %d", errSkip, p.Type)
	}
	return first(err, compare(
		pair{"hash before", hashBefore, c.HashBefore},
		pair{"tree after", t.Append(nil), c.TreeAfter},
		pair{"hash after", t.Hash(), c.HashAfter},
		pair{"the original", before.Append(nil), c.TreeBefore},
		pair{"its hash", before.Hash(), c.HashBefore}))
}

type treeValidationCase struct {
	Suite       uint16     `json:"cipher_suite"`
	Tree        hx         `json:"tree"`
	GroupID     hx         `json:"group_id"`
	Resolutions [][]uint32 `json:"resolutions"`
	TreeHashes  []hx       `json:"tree_hashes"`
}

func treeValidation(c *treeValidationCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	t, err := ratchet.Decode(s, c.Tree)
	if err != nil {
		return err
	}
	for i := range c.Resolutions {
		x := ratchet.Node(i)
		res := make([]uint32, 0)
		for _, y := range t.Resolution(x, nil) {
			res = append(res, uint32(y))
		}
		if !slices.Equal(res, c.Resolutions[i]) {
			return fmt.Errorf("resolution of node %d is %v, want %v", i, res, c.Resolutions[i])
		}
		if err := compare(pair{fmt.Sprint("tree hash of node ", i), t.NodeHash(x), c.TreeHashes[i]}); err != nil {
			return err
		}
	}
	return first(t.Verify(), t.EachMember(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
		return leaf.Verify(s, c.GroupID, uint32(l))
	}), compare(pair{"tree", t.Append(nil), c.Tree}))
}
