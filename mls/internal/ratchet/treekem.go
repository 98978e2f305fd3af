package ratchet

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"

	"quicnprotochat/mls/internal/parallel"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/treemath"
	"quicnprotochat/mls/internal/wire"
)

// Private is what one member knows of the private side, R §7.
type Private struct {
	Self Leaf
	Leaf *suite.PrivateKey
	Path map[Node]*suite.PrivateKey
}

// Clone returns a copy that can be changed; keys are shared.
func (p *Private) Clone() *Private {
	return &Private{p.Self, p.Leaf, maps.Clone(p.Path)}
}

// WipeBut overwrites the keys that next does not share.
func (p *Private) WipeBut(next *Private) {
	if p.Leaf != next.Leaf {
		p.Leaf.Wipe()
	}
	for x, k := range p.Path {
		if next.Path[x] != k {
			k.Wipe()
		}
	}
}

// Prune drops the keys of nodes that were blanked or given other keys.
func (p *Private) Prune(t *Tree) {
	for x, k := range p.Path {
		if uint32(x) >= t.Width() || !bytes.Equal(t.Key(x), k.Public()) {
			delete(p.Path, x)
		}
	}
}

// implant derives keys from the node of steps[0] upwards, checks them against
// the tree and returns the commit secret, R §7.4. It wipes the secret.
func (p *Private) implant(t *Tree, steps []Step, secret []byte) ([]byte, error) {
	s := t.suite
	for _, step := range steps {
		k, err := nodeKey(s, secret)
		if err == nil && !bytes.Equal(k.Public(), t.Key(step.Node)) {
			k.Wipe()
			err = fmt.Errorf("%w: the secret of node %d gives another key", ErrPath, step.Node)
		}
		if err != nil {
			clear(secret)
			return nil, err
		}
		p.Path[step.Node] = k
		next := s.DeriveSecret(secret, "path")
		clear(secret)
		secret = next
	}
	return secret, nil
}

// nodeKey derives the key pair of a node from its path secret, R §7.4.
func nodeKey(s *suite.Suite, secret []byte) (*suite.PrivateKey, error) {
	node := s.DeriveSecret(secret, "node")
	defer clear(node)
	return s.DeriveKey(node)
}

// Implant gives a new member the keys from the node where its path meets that
// of the sender, R §12.4.3.1. It wipes the secret.
func (p *Private) Implant(t *Tree, sender Leaf, secret []byte) error {
	steps := t.FilteredPath(sender)
	i, ok := meeting(steps, p.Self)
	if !ok {
		return fmt.Errorf("%w: no node above leaves %d and %d", ErrPath, p.Self, sender)
	}
	commitSecret, err := p.implant(t, steps[i:], secret)
	clear(commitSecret)
	return err
}

// meeting finds the step whose copath child covers the leaf.
func meeting(steps []Step, l Leaf) (int, bool) {
	for i, s := range steps {
		if s.Copath.Covers(l.Node()) {
			return i, true
		}
	}
	return 0, false
}

// Path is a new path of our own: made by NewPath, sent by Encrypt.
type Path struct {
	Private      *Private
	CommitSecret []byte
	leaf         *wire.LeafNode
	steps        []Step
	secrets      [][]byte // one for each step
}

// NewPath gives the leaf at self and its filtered direct path fresh keys, R
// §7.5. leaf is completed (key, source, parent hash, signature) and put into
// the tree, which must have the leaf's place.
func (t *Tree) NewPath(self Leaf, leaf *wire.LeafNode, key *suite.SignatureKey, groupID []byte) (*Path, error) {
	s := t.suite
	p := &Path{leaf: leaf, steps: t.FilteredPath(self)}
	p.Private = &Private{Self: self, Path: make(map[Node]*suite.PrivateKey)}
	var err error
	if p.Private.Leaf, err = s.GenerateSpare(); err != nil {
		return nil, err
	}
	secret := make([]byte, s.Nh)
	if _, err = rand.Read(secret); err != nil {
		return nil, err
	}
	p.secrets = make([][]byte, len(p.steps))
	for i := range p.secrets {
		p.secrets[i], secret = secret, s.DeriveSecret(secret, "path")
	}
	p.CommitSecret = secret
	private := make([]*suite.PrivateKey, len(p.steps))
	err = parallel.Do(len(private), func(i int) (err error) {
		private[i], err = nodeKey(s, p.secrets[i])
		return err
	})
	if err != nil {
		p.Wipe()
		return nil, err
	}
	t.blankPath(self)
	keys := make([][]byte, len(p.steps))
	for i, step := range p.steps {
		p.Private.Path[step.Node], keys[i] = private[i], private[i].Public()
	}
	leaf.EncryptionKey, leaf.Source = p.Private.Leaf.Public(), wire.SourceCommit
	leaf.NotBefore, leaf.NotAfter = 0, 0
	leaf.ParentHash = t.install(p.steps, keys)
	if err := leaf.Sign(s, key, groupID, uint32(self)); err != nil {
		p.Wipe()
		return nil, err
	}
	t.SetLeaf(self, leaf)
	return p, nil
}

// install puts the keys along the path and returns the hash for the leaf.
func (t *Tree) install(steps []Step, keys [][]byte) []byte {
	hash := []byte{}
	for i := len(steps) - 1; i >= 0; i-- {
		p := &Parent{EncryptionKey: keys[i], ParentHash: hash}
		t.setParent(steps[i].Node, p)
		hash = t.parentHash(p, steps[i].Copath)
	}
	return hash
}

// Secret returns the path secret for a new member at l: that of the lowest node
// above both, R §12.4.3.1.
func (p *Path) Secret(l Leaf) []byte {
	if i, ok := meeting(p.steps, l); ok {
		return p.secrets[i]
	}
	return nil
}

// Wipe overwrites the path secrets.
func (p *Path) Wipe() {
	for _, s := range p.secrets {
		clear(s)
	}
	clear(p.CommitSecret)
}

// Encrypt seals the path secrets to all members but the sorted added ones;
// context is the encoded GroupContext of the new epoch, R §7.6.
func (p *Path) Encrypt(t *Tree, context []byte, added []Leaf) (*wire.UpdatePath, error) {
	up := &wire.UpdatePath{Leaf: *p.leaf, Nodes: make([]wire.UpdatePathNode, len(p.steps))}
	type job struct {
		step, at int
		to       Node
	}
	var jobs []job
	for i, step := range p.steps {
		res := t.Resolution(step.Copath, added)
		up.Nodes[i].EncryptionKey = t.Key(step.Node)
		up.Nodes[i].Secrets = make([]wire.Ciphertext, len(res))
		for j, x := range res {
			jobs = append(jobs, job{i, j, x})
		}
	}
	info := t.suite.NewInfo("UpdatePathNode", context)
	err := parallel.Do(len(jobs), func(i int) error {
		j := jobs[i]
		enc, ct, err := t.suite.Encrypt(t.Key(j.to), info, p.secrets[j.step])
		up.Nodes[j.step].Secrets[j.at] = wire.Ciphertext{KEMOutput: enc, Ciphertext: ct}
		return err
	})
	return up, err
}

// ApplyPath puts the public side of a received path into the tree, R §7.5, and
// checks its parent hash. The leaf's content and signature are the caller's to
// check. Keys are copied.
func (t *Tree) ApplyPath(sender Leaf, up *wire.UpdatePath) error {
	steps := t.FilteredPath(sender)
	if len(steps) != len(up.Nodes) {
		return fmt.Errorf("%w: %d nodes, not %d", ErrPath, len(up.Nodes), len(steps))
	}
	if up.Leaf.Source != wire.SourceCommit {
		return fmt.Errorf("%w: leaf source %d", ErrPath, up.Leaf.Source)
	}
	t.blankPath(sender)
	keys := make([][]byte, len(steps))
	for i := range up.Nodes {
		if err := t.suite.CheckPublic(up.Nodes[i].EncryptionKey); err != nil {
			return fmt.Errorf("%w: %w", ErrPath, err)
		}
		keys[i] = bytes.Clone(up.Nodes[i].EncryptionKey)
	}
	if !bytes.Equal(t.install(steps, keys), up.Leaf.ParentHash) {
		return ErrParentHash
	}
	t.SetLeaf(sender, up.Leaf.Detach())
	return nil
}

// Open decrypts a path that ApplyPath put into the tree: it adds the new keys
// to p and returns the commit secret, R §7.5.
func (p *Private) Open(t *Tree, sender Leaf, up *wire.UpdatePath, context []byte, added []Leaf) ([]byte, error) {
	steps := t.FilteredPath(sender)
	i, ok := meeting(steps, p.Self)
	if !ok || len(steps) != len(up.Nodes) {
		return nil, ErrPath
	}
	res := t.Resolution(steps[i].Copath, added)
	if len(res) != len(up.Nodes[i].Secrets) {
		return nil, fmt.Errorf("%w: %d secrets for %d nodes", ErrPath, len(up.Nodes[i].Secrets), len(res))
	}
	for j, x := range res {
		k := p.Path[x]
		if x == p.Self.Node() {
			k = p.Leaf
		}
		if k == nil || !bytes.Equal(k.Public(), t.Key(x)) {
			continue
		}
		ct := up.Nodes[i].Secrets[j]
		secret, err := t.suite.DecryptWithLabel(k, "UpdatePathNode", context, ct.KEMOutput, ct.Ciphertext)
		if err != nil {
			return nil, fmt.Errorf("path secret: %w", err)
		}
		p.Prune(t)
		return p.implant(t, steps[i:], secret)
	}
	return nil, fmt.Errorf("%w: no private key of ours", ErrPath)
}

// Consistent says whether the private keys fit the tree.
func (p *Private) Consistent(t *Tree) bool {
	leaf := t.Leaf(p.Self)
	if leaf == nil || !bytes.Equal(leaf.EncryptionKey, p.Leaf.Public()) {
		return false
	}
	for x, k := range p.Path {
		if uint32(x) >= treemath.Width(t.n) || !bytes.Equal(t.Key(x), k.Public()) {
			return false
		}
	}
	return true
}
