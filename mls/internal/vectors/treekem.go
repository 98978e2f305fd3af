package main

import (
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

type treeKEMCase struct {
	Suite         uint16 `json:"cipher_suite"`
	GroupID       hx     `json:"group_id"`
	Epoch         uint64 `json:"epoch"`
	ConfirmedHash hx     `json:"confirmed_transcript_hash"`
	Tree          hx     `json:"ratchet_tree"`
	Leaves        []struct {
		Index          uint32 `json:"index"`
		EncryptionPriv hx     `json:"encryption_priv"`
		SignaturePriv  hx     `json:"signature_priv"`
		PathSecrets    []struct {
			Node   uint32 `json:"node"`
			Secret hx     `json:"path_secret"`
		} `json:"path_secrets"`
	} `json:"leaves_private"`
	Paths []struct {
		Sender       uint32 `json:"sender"`
		Path         hx     `json:"update_path"`
		PathSecrets  []*hx  `json:"path_secrets"`
		CommitSecret hx     `json:"commit_secret"`
		HashAfter    hx     `json:"tree_hash_after"`
	} `json:"update_paths"`
}

// kemMember is a member with its private state.
type kemMember struct {
	private *ratchet.Private
	signer  *suite.SignatureKey
}

func treeKEM(c *treeKEMCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	t, err := ratchet.Decode(s, c.Tree)
	if err != nil {
		return err
	}
	members := make(map[ratchet.Leaf]kemMember)
	for i := range c.Leaves {
		m, err := c.member(s, t, i)
		if err != nil {
			return fmt.Errorf("member %d: %w", i, err)
		}
		members[m.private.Self] = m
	}
	for i := range c.Paths {
		if err := c.receive(t.Clone(), members, i); err != nil {
			return fmt.Errorf("path %d: %w", i, err)
		}
		if err := c.send(t.Clone(), members, i); err != nil {
			return fmt.Errorf("own path %d: %w", i, err)
		}
	}
	return nil
}

func (c *treeKEMCase) member(s *suite.Suite, t *ratchet.Tree, i int) (m kemMember, err error) {
	v := &c.Leaves[i]
	m.private = &ratchet.Private{Self: ratchet.Leaf(v.Index), Path: make(map[ratchet.Node]*suite.PrivateKey)}
	if m.private.Leaf, err = s.ParseKey(v.EncryptionPriv); err != nil {
		return m, err
	}
	if m.signer, err = s.ParseSignatureKey(v.SignaturePriv); err != nil {
		return m, err
	}
	for _, p := range v.PathSecrets {
		k, err := s.DeriveKey(s.DeriveSecret(p.Secret, "node"))
		if err != nil {
			return m, err
		}
		m.private.Path[ratchet.Node(p.Node)] = k
	}
	if !m.private.Consistent(t) {
		return m, fmt.Errorf("private state does not fit the tree")
	}
	return m, compare(pair{"signature key", m.signer.Public(), t.Leaf(m.private.Self).SignatureKey})
}

func (c *treeKEMCase) context(t *ratchet.Tree) []byte {
	return codec.Encode(&wire.GroupContext{Version: wire.Version, Suite: c.Suite, GroupID: c.GroupID,
		Epoch: c.Epoch, TreeHash: t.Hash(), ConfirmedTranscriptHash: c.ConfirmedHash})
}

func (c *treeKEMCase) receive(t *ratchet.Tree, members map[ratchet.Leaf]kemMember, i int) error {
	v := &c.Paths[i]
	var up wire.UpdatePath
	if err := wire.Decode(v.Path, &up); err != nil {
		return err
	}
	sender := ratchet.Leaf(v.Sender)
	if err := up.Leaf.Verify(t.Suite(), c.GroupID, v.Sender); err != nil {
		return err
	}
	if err := t.ApplyPath(sender, &up); err != nil {
		return err
	}
	if err := first(compare(pair{"tree hash", t.Hash(), v.HashAfter}), t.Verify()); err != nil {
		return err
	}
	for l, m := range members {
		if l == sender {
			continue
		}
		if v.PathSecrets[l] == nil {
			return fmt.Errorf("no path secret for leaf %d", l)
		}
		p := m.private.Clone()
		secret, err := p.Open(t, sender, &up, c.context(t), nil)
		if err != nil {
			return fmt.Errorf("leaf %d: %w", l, err)
		}
		// The expected path secret must give the very keys that Open found.
		q := m.private.Clone()
		err = q.Implant(t, sender, *v.PathSecrets[l])
		if err = first(err, compare(pair{"commit secret", secret, v.CommitSecret})); err != nil {
			return fmt.Errorf("leaf %d: %w", l, err)
		}
		if !p.Consistent(t) {
			return fmt.Errorf("leaf %d: keys do not fit", l)
		}
	}
	return nil
}

func (c *treeKEMCase) send(t *ratchet.Tree, members map[ratchet.Leaf]kemMember, i int) error {
	sender := ratchet.Leaf(c.Paths[i].Sender)
	received := t.Clone()
	leaf := *t.Leaf(sender)
	path, err := t.NewPath(sender, &leaf, members[sender].signer, c.GroupID)
	if err != nil {
		return err
	}
	up, err := path.Encrypt(t, c.context(t), nil)
	if err != nil {
		return err
	}
	var sent wire.UpdatePath
	if err := first(wire.Decode(codec.Encode(up), &sent), received.ApplyPath(sender, &sent)); err != nil {
		return err
	}
	if err := first(received.Verify(), compare(pair{"own tree hash", received.Hash(), t.Hash()})); err != nil {
		return err
	}
	for l, m := range members {
		if l == sender {
			continue
		}
		secret, err := m.private.Clone().Open(received, sender, &sent, c.context(received), nil)
		if err = first(err, compare(pair{"own commit secret", secret, path.CommitSecret})); err != nil {
			return fmt.Errorf("leaf %d: %w", l, err)
		}
	}
	return nil
}
