package schedule

import (
	"errors"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/treemath"
)

// Kind chooses one of a leaf's two ratchets, R §9.1.
type Kind int

// The two ratchets.
const (
	Handshake Kind = iota
	Application
)

// Limits bound what a sender can make a receiver compute and keep, R §15.3.
type Limits struct {
	// Forward is how many generations may be passed over at once.
	Forward uint32
	// Kept is how many keys of passed generations one ratchet keeps.
	Kept int
}

// ErrLeaf says that a leaf is outside the secret tree.
var ErrLeaf = errors.New("leaf is outside the secret tree")

// SecretTree gives every member's message keys of one epoch, R §9. Secrets are
// deleted as soon as what is below them is derived. It remembers what changed
// since it was last saved. It is not safe for concurrent use.
type SecretTree struct {
	suite  *suite.Suite
	leaves uint32
	limits Limits
	nodes  map[treemath.Node][]byte // no held node is above another
	chains map[treemath.Leaf]*[2]chain

	dirtyNodes  map[treemath.Node]struct{}
	dirtyChains map[treemath.Leaf]struct{}
}

// NewSecretTree starts a secret tree of the given number of leaves, a power of
// two. It takes the secret over.
func NewSecretTree(s *suite.Suite, leaves uint32, encryptionSecret []byte, limits Limits) *SecretTree {
	t := EmptySecretTree(s, leaves, limits)
	root := treemath.Root(leaves)
	t.nodes[root] = encryptionSecret
	t.dirtyNodes[root] = struct{}{}
	return t
}

// EmptySecretTree returns a tree without secrets, for the Restore methods.
func EmptySecretTree(s *suite.Suite, leaves uint32, limits Limits) *SecretTree {
	return &SecretTree{
		suite: s, leaves: leaves, limits: limits,
		nodes:       make(map[treemath.Node][]byte),
		chains:      make(map[treemath.Leaf]*[2]chain),
		dirtyNodes:  make(map[treemath.Node]struct{}),
		dirtyChains: make(map[treemath.Leaf]struct{}),
	}
}

// Root returns the encryption secret of a tree that was not used yet.
func (t *SecretTree) Root() []byte { return t.nodes[treemath.Root(t.leaves)] }

// Leaves returns the number of leaves.
func (t *SecretTree) Leaves() uint32 { return t.leaves }

// opening is what reaching a leaf for the first time changes.
type opening struct {
	from   treemath.Node // whose secret is spent
	nodes  map[treemath.Node][]byte
	chains [2]chain
}

// open derives a leaf's ratchets without changing the tree.
func (t *SecretTree) open(l treemath.Leaf) (*opening, error) {
	if uint32(l) >= t.leaves {
		return nil, fmt.Errorf("%w: %d", ErrLeaf, l)
	}
	s, root := t.suite, treemath.Root(t.leaves)
	var down []treemath.Node
	x := l.Node()
	for t.nodes[x] == nil {
		if x == root {
			return nil, ErrKeyGone
		}
		down = append(down, x)
		x = x.Parent()
	}
	o := &opening{from: x, nodes: make(map[treemath.Node][]byte, len(down))}
	secret := t.nodes[x]
	for i := len(down) - 1; i >= 0; i-- {
		left := s.ExpandWithLabel(secret, "tree", []byte("left"), s.Nh)
		right := s.ExpandWithLabel(secret, "tree", []byte("right"), s.Nh)
		next, other := left, right
		if down[i] > x {
			next, other = right, left
		}
		o.nodes[down[i].Sibling()] = other
		if x != o.from {
			clear(secret)
		}
		x, secret = down[i], next
	}
	o.chains[Handshake].secret = s.ExpandWithLabel(secret, "handshake", nil, s.Nh)
	o.chains[Application].secret = s.ExpandWithLabel(secret, "application", nil, s.Nh)
	if x != o.from {
		clear(secret)
	}
	return o, nil
}

// wipe overwrites the secrets of an opening that is not entered.
func (o *opening) wipe() {
	for _, secret := range o.nodes {
		clear(secret)
	}
	o.chains[Handshake].wipe()
	o.chains[Application].wipe()
}

// enter makes an opening real.
func (t *SecretTree) enter(l treemath.Leaf, o *opening) *[2]chain {
	clear(t.nodes[o.from])
	delete(t.nodes, o.from)
	t.dirtyNodes[o.from] = struct{}{}
	for x, secret := range o.nodes {
		t.nodes[x] = secret
		t.dirtyNodes[x] = struct{}{}
	}
	t.chains[l] = &o.chains
	t.dirtyChains[l] = struct{}{}
	return &o.chains
}

// Next returns the next generation of a ratchet with its key, which is spent:
// the sender's side.
func (t *SecretTree) Next(l treemath.Leaf, kind Kind) (uint32, Key, error) {
	pair := t.chains[l]
	if pair == nil {
		o, err := t.open(l)
		if err != nil {
			return 0, Key{}, err
		}
		pair = t.enter(l, o)
	}
	t.dirtyChains[l] = struct{}{}
	return pair[kind].take(t.suite)
}

// Pending is a key that was found but is not yet spent. Only one may be
// outstanding.
type Pending struct {
	Key  Key
	tree *SecretTree
	leaf treemath.Leaf
	kind Kind
	open *opening
	step *advance
}

// Find returns the key of a generation without changing anything: the
// receiver's side. The errors are ErrLeaf, ErrTooFar and ErrKeyGone.
func (t *SecretTree) Find(l treemath.Leaf, kind Kind, generation uint32) (*Pending, error) {
	p := &Pending{tree: t, leaf: l, kind: kind}
	pair := t.chains[l]
	if pair == nil {
		if generation > t.limits.Forward {
			return nil, ErrTooFar
		}
		var err error
		if p.open, err = t.open(l); err != nil {
			return nil, err
		}
		pair = &p.open.chains
	}
	var err error
	if p.step, err = pair[kind].find(t.suite, generation, t.limits); err != nil {
		p.Discard()
		return nil, err
	}
	p.Key = p.step.key
	return p, nil
}

// Spend deletes the key, once its message was accepted.
func (p *Pending) Spend() {
	pair := p.tree.chains[p.leaf]
	if p.open != nil {
		pair = p.tree.enter(p.leaf, p.open)
	}
	pair[p.kind].apply(p.step, p.tree.limits)
	p.tree.dirtyChains[p.leaf] = struct{}{}
	p.Key.wipe()
}

// Discard overwrites what was found, in place of Spend: the message was not
// accepted. The tree still has the key.
func (p *Pending) Discard() {
	if p.open != nil {
		p.open.wipe()
	}
	if p.step != nil {
		p.step.wipe()
	}
}

// Wipe overwrites all secrets of the tree, which is empty from then on.
func (t *SecretTree) Wipe() {
	for _, secret := range t.nodes {
		clear(secret)
	}
	for _, pair := range t.chains {
		pair[0].wipe()
		pair[1].wipe()
	}
	clear(t.nodes)
	clear(t.chains)
	t.Saved()
}

// Changes calls node and ratchet for each entry that changed since Saved; a nil
// value means that the entry is gone.
func (t *SecretTree) Changes(node func(x uint32, value []byte), ratchet func(leaf uint32, value []byte)) {
	for x := range t.dirtyNodes {
		node(uint32(x), t.nodes[x])
	}
	for l := range t.dirtyChains {
		pair := t.chains[l]
		ratchet(uint32(l), pair[1].append(pair[0].append(nil)))
	}
}

// TouchAll marks every entry as changed.
func (t *SecretTree) TouchAll() {
	for x := range t.nodes {
		t.dirtyNodes[x] = struct{}{}
	}
	for l := range t.chains {
		t.dirtyChains[l] = struct{}{}
	}
}

// Saved says that all changes were stored.
func (t *SecretTree) Saved() {
	clear(t.dirtyNodes)
	clear(t.dirtyChains)
}

// Entries calls node and ratchet for each entry that may be stored.
func (t *SecretTree) Entries(node, ratchet func(uint32)) {
	for x := range t.nodes {
		node(uint32(x))
	}
	for x := range t.dirtyNodes {
		if t.nodes[x] == nil {
			node(uint32(x))
		}
	}
	for l := range t.chains {
		ratchet(uint32(l))
	}
}

// ErrSaved says that a saved entry is damaged.
var ErrSaved = errors.New("saved secret is damaged")

// RestoreNode puts a saved node secret back.
func (t *SecretTree) RestoreNode(x uint32, secret []byte) error {
	if len(secret) != t.suite.Nh || x >= treemath.Width(t.leaves) {
		return ErrSaved
	}
	t.nodes[treemath.Node(x)] = append([]byte(nil), secret...)
	return nil
}

// RestoreRatchet puts a leaf's saved ratchets back.
func (t *SecretTree) RestoreRatchet(l uint32, value []byte) error {
	pair := new([2]chain)
	r := codec.NewReader(value)
	pair[0].decode(r)
	pair[1].decode(r)
	if err := r.Done(); err != nil {
		return err
	}
	if !pair[0].valid(t.suite) || !pair[1].valid(t.suite) || l >= t.leaves {
		return ErrSaved
	}
	t.chains[treemath.Leaf(l)] = pair
	return nil
}
