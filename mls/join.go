package mls

import (
	"bytes"
	"crypto/subtle"
	"fmt"

	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// JoinOptions says how to join a group.
type JoinOptions struct {
	Policy
	// RatchetTree is the tree, when the Welcome or GroupInfo has none.
	RatchetTree []byte
	// Parent is the group that the new one continues: the one that was
	// reinitialized, or branched from, R §11.2 and §11.3. A Welcome that does
	// not continue it is refused with ErrSubgroup.
	Parent *Group
}

// Join enters a group through a Welcome for the bundle's KeyPackage, R
// §12.4.3.1. Afterwards the bundle is to be wiped and deleted, unless it is one
// of last resort (requirement 22). The error is ErrNotForUs when the Welcome is
// for other KeyPackages.
func Join(welcome []byte, bundle *KeyPackageBundle, id *Identity, opts JoinOptions) (*Group, error) {
	j := &joining{bundle: bundle, id: id, opts: &opts}
	g, err := j.join(welcome)
	if err != nil {
		return nil, op("join", err)
	}
	return g, nil
}

// joining is a client on its way through a Welcome.
type joining struct {
	bundle  *KeyPackageBundle
	id      *Identity
	opts    *JoinOptions
	secrets wire.GroupSecrets
	named   *wire.PSKID // of the group that the new one continues, or nil
	plain   []byte      // what secrets stands in
	psk     []byte
	info    wire.GroupInfo
	e       *epoch
}

func (j *joining) join(welcome []byte) (*Group, error) {
	var m wire.Message
	if err := decode(welcome, &m); err != nil {
		return nil, err
	}
	if m.Welcome == nil {
		return nil, fmt.Errorf("%w: not a welcome", ErrMalformed)
	}
	s := j.bundle.suite
	if m.Welcome.Suite != s.ID {
		return nil, ErrSuite
	}
	if err := j.id.forSuite(s); err != nil {
		return nil, err
	}
	if !bytes.Equal(j.id.key.Public(), j.bundle.pkg.Leaf.SignatureKey) {
		return nil, fmt.Errorf("%w: key package is of another identity", ErrWrongIdentity)
	}
	defer j.wipe()
	g, err := j.enter(m.Welcome)
	if err != nil && j.e != nil {
		j.e.wipe(&ratchet.Private{})
	}
	return g, err
}

// enter opens a Welcome and checks everything that it says.
func (j *joining) enter(w *wire.Welcome) (*Group, error) {
	s := j.bundle.suite
	if err := j.open(w); err != nil {
		return nil, err
	}
	j.e = &epoch{}
	if err := j.e.enter(s, &j.info, j.opts.RatchetTree, &j.opts.Policy, &j.bundle.pkg.Leaf); err != nil {
		return nil, err
	}
	if err := j.takePlace(); err != nil {
		return nil, err
	}
	j.e.begin(schedule.FromJoiner(s, j.secrets.JoinerSecret, j.psk, j.e.encoded), j.opts.limits())
	if subtle.ConstantTimeCompare(j.e.tag, j.info.ConfirmationTag) != 1 {
		return nil, ErrConfirmationTag
	}
	if err := j.checkParent(); err != nil {
		return nil, err
	}
	return newGroup(j.id, j.opts.Policy, j.e), nil
}

// open decrypts the secrets and the GroupInfo of a Welcome.
func (j *joining) open(w *wire.Welcome) error {
	s, ref := j.bundle.suite, j.bundle.Ref()
	var mine *wire.EncryptedGroupSecrets
	for i := range w.Secrets {
		if bytes.Equal(w.Secrets[i].NewMember, ref) {
			mine = &w.Secrets[i]
		}
	}
	if mine == nil {
		return ErrNotForUs
	}
	plain, err := s.DecryptWithLabel(j.bundle.init, "Welcome", w.GroupInfo, mine.Secrets.KEMOutput, mine.Secrets.Ciphertext)
	if err != nil {
		return fmt.Errorf("group secrets: %w", err)
	}
	j.plain = plain
	if err := decode(plain, &j.secrets); err != nil {
		return fmt.Errorf("group secrets: %w", err)
	}
	if j.psk, err = j.gatherPSKs(); err != nil {
		return err
	}
	secret := schedule.Welcome(s, j.secrets.JoinerSecret, j.psk)
	key, nonce := schedule.WelcomeKey(s, secret)
	defer clear(secret)
	defer clear(key)
	defer clear(nonce)
	raw, err := s.Open(key, nonce, nil, w.GroupInfo)
	if err != nil {
		return fmt.Errorf("group info: %w", err)
	}
	return decode(raw, &j.info)
}

// wipe overwrites the secrets that a Welcome brought.
func (j *joining) wipe() {
	clear(j.plain)
	clear(j.psk)
}

func (j *joining) gatherPSKs() ([]byte, error) {
	ids := make([]*wire.PSKID, len(j.secrets.PSKs))
	seen := make(map[string]struct{})
	for i := range j.secrets.PSKs {
		id := &j.secrets.PSKs[i]
		if len(id.Nonce) != j.bundle.suite.Nh {
			return nil, fmt.Errorf("%w: nonce of %d bytes", ErrPSK, len(id.Nonce))
		}
		if id.Type == wire.PSKResumption && id.Usage != wire.UsageApplication {
			if j.named != nil {
				return nil, fmt.Errorf("%w: two parent groups", ErrPSK)
			}
			j.named = id
		}
		seen[string(id.Append(nil))] = struct{}{}
		ids[i] = id
	}
	if len(seen) != len(ids) {
		return nil, ErrDuplicatePSK
	}
	if err := j.checkNamed(); err != nil {
		return nil, err
	}
	return gatherPSKs(j.bundle.suite, &j.opts.Policy, ids, j.opts.Parent)
}

// takePlace finds the own leaf and the private keys of its path.
func (j *joining) takePlace() error {
	own := -1
	_ = j.e.tree.Members(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
		if leaf.Equal(&j.bundle.pkg.Leaf) {
			own = int(l)
		}
		return nil
	})
	if own < 0 {
		return fmt.Errorf("%w: own leaf is not in the tree", ErrNotMember)
	}
	j.e.private = &ratchet.Private{Self: ratchet.Leaf(own), Leaf: j.bundle.leaf.Clone(),
		Path: make(map[ratchet.Node]*suite.PrivateKey)}
	if uint32(own) == j.info.Signer {
		return fmt.Errorf("%w: the welcome is signed by its receiver", ErrSignature)
	}
	if j.secrets.PathSecret == nil {
		return nil
	}
	return j.e.private.Implant(j.e.tree, ratchet.Leaf(j.info.Signer), j.secrets.PathSecret)
}

// enter checks a GroupInfo with its tree, R §12.4.3.1, and makes them the
// public part of an epoch. Everything is copied. known is a leaf whose signature
// was found good, or nil.
func (v *public) enter(s *suite.Suite, info *wire.GroupInfo, tree []byte, policy *Policy, known *wire.LeafNode) error {
	c := &info.Context
	if c.Version != wire.Version {
		return ErrVersion
	}
	if c.Suite != s.ID {
		return ErrSuite
	}
	if !info.Extensions.Unique() {
		return fmt.Errorf("%w: a type occurs twice in a group info", ErrExtension)
	}
	rules, err := newRequirements(c.Extensions)
	if err != nil {
		return err
	}
	if inside, ok := info.Extensions.Find(wire.ExtRatchetTree); ok {
		tree = inside
	}
	if tree == nil {
		return ErrTreeMissing
	}
	if v.tree, err = ratchet.Decode(s, bytes.Clone(tree)); err != nil {
		return err
	}
	v.suite = s
	var own wire.GroupContext
	raw := make([]byte, 0, 512)
	if err := decode(c.Append(raw), &own); err != nil {
		return err
	}
	v.setContext(own)
	signer, err := leafOf(v.tree, info.Signer)
	if err != nil {
		return fmt.Errorf("signer: %w", err)
	}
	if err := info.Verify(s, signer.SignatureKey); err != nil {
		return fmt.Errorf("group info: %w", err)
	}
	if !bytes.Equal(v.tree.Hash(), c.TreeHash) {
		return ErrTreeHash
	}
	v.tag = bytes.Clone(info.ConfirmationTag)
	v.interim = schedule.Interim(s, c.ConfirmedTranscriptHash, v.tag)
	return v.checkTree(rules, policy, known)
}

// checkTree validates a whole tree. Signatures are verified on all processors.
func (v *public) checkTree(rules *requirements, policy *Policy, known *wire.LeafNode) error {
	if err := v.tree.Verify(); err != nil {
		return err
	}
	err := v.tree.EachMember(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
		if err := checkLeafSelf(v.suite, leaf, leaf.Source); err != nil {
			return fmt.Errorf("leaf %d: %w", l, err)
		}
		if err := rules.check(leaf); err != nil {
			return fmt.Errorf("leaf %d: %w", l, err)
		}
		if policy.Lifetime == LifetimeStrict {
			if err := checkLifetime(leaf, policy.now()); err != nil {
				return fmt.Errorf("leaf %d: %w", l, err)
			}
		}
		if known != nil && leaf.Equal(known) {
			return nil
		}
		if err := leaf.Verify(v.suite, v.context.GroupID, uint32(l)); err != nil {
			return fmt.Errorf("leaf %d: %w", l, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := checkCredentialTypes(v.tree); err != nil {
		return err
	}
	if policy.Validate == nil {
		return nil
	}
	return v.tree.Members(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
		return v.validate(policy, leaf.Credential, CredentialContext{Reason: ReasonJoin,
			Leaf: uint32(l), SignatureKey: leaf.SignatureKey})
	})
}
