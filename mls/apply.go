package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"quicnprotochat/mls/internal/parallel"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/wire"
)

// applied is what proposals make of a tree and a context, R §12.3.
type applied struct {
	tree       *ratchet.Tree
	extensions wire.Extensions
	rules      *requirements
	added      []ratchet.Leaf // sorted
	packages   []*wire.KeyPackage
	places     []ratchet.Leaf // of packages
	joined     []place
	removed    []place
	updated    []place
}

// apply applies a plan to a copy of the tree and validates each proposal, R
// §12.1 and §12.2.
func (v *public) apply(p *plan, policy *Policy) (*applied, error) {
	if err := p.checkPSKUsage(); err != nil {
		return nil, err
	}
	if p.reinit != nil {
		if err := v.checkReInit(p.reinit.ReInit); err != nil {
			return nil, err
		}
	}
	a := &applied{tree: v.tree.Clone(), extensions: v.context.Extensions}
	if err := v.applyExtensions(a, p, policy); err != nil {
		return nil, err
	}
	for _, c := range p.updates {
		if err := v.applyUpdate(a, c, policy); err != nil {
			return nil, fmt.Errorf("update of leaf %d: %w", c.sender.Index, err)
		}
	}
	for _, c := range p.removes {
		leaf, err := leafOf(a.tree, c.Remove)
		if err != nil {
			return nil, fmt.Errorf("remove: %w", err)
		}
		a.removed = append(a.removed, place{c.Remove, leaf})
		if err := a.tree.Remove(ratchet.Leaf(c.Remove)); err != nil {
			return nil, err
		}
	}
	if err := v.applyAdds(a, p, policy); err != nil {
		return nil, err
	}
	return a, a.checkWhole(p)
}

func (v *public) applyExtensions(a *applied, p *plan, policy *Policy) (err error) {
	if p.extensions != nil {
		a.extensions = wireExtensions(fromWireExtensions(p.extensions.Extensions))
	}
	if a.rules, err = newRequirements(a.extensions); err != nil || p.extensions == nil {
		return err
	}
	data, ok := a.extensions.Find(wire.ExtExternalSenders)
	if !ok {
		return nil
	}
	var senders wire.ExternalSenders
	if err := decode(data, &senders); err != nil {
		return err
	}
	for i, s := range senders {
		if err := v.validate(policy, s.Credential, CredentialContext{Reason: ReasonExternalSender,
			Leaf: uint32(i), SignatureKey: s.SignatureKey}); err != nil {
			return err
		}
	}
	return nil
}

// validate asks the application about a credential.
func (v *public) validate(policy *Policy, c wire.Credential, ctx CredentialContext) error {
	if policy.Validate == nil {
		return nil
	}
	ctx.GroupID, ctx.Epoch = v.context.GroupID, v.context.Epoch
	if err := policy.Validate(fromWireCredential(c), ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrCredential, err)
	}
	return nil
}

func (v *public) applyUpdate(a *applied, c change, policy *Policy) error {
	old, err := leafOf(a.tree, c.sender.Index)
	if err != nil {
		return err
	}
	if err := v.checkNewLeaf(a.rules, c.Update, old, c.sender.Index, wire.SourceUpdate); err != nil {
		return err
	}
	previous := fromWireCredential(old.Credential)
	if err := v.validate(policy, c.Update.Credential, CredentialContext{Reason: ReasonUpdate,
		Leaf: c.sender.Index, SignatureKey: c.Update.SignatureKey, Previous: &previous}); err != nil {
		return err
	}
	leaf := c.Update.Detach()
	a.updated = append(a.updated, place{c.sender.Index, leaf})
	return a.tree.Update(ratchet.Leaf(c.sender.Index), leaf)
}

// checkNewLeaf checks a leaf that replaces old, or nothing, at index, R §7.3.
func (v *public) checkNewLeaf(rules *requirements, leaf, old *wire.LeafNode, index uint32, source uint8) error {
	if err := checkLeafSelf(v.suite, leaf, source); err != nil {
		return err
	}
	if err := rules.check(leaf); err != nil {
		return err
	}
	if old != nil && bytes.Equal(old.EncryptionKey, leaf.EncryptionKey) {
		return fmt.Errorf("%w: leaf keeps its encryption key", ErrDuplicateKey)
	}
	return leaf.Verify(v.suite, v.context.GroupID, index)
}

func (v *public) applyAdds(a *applied, p *plan, policy *Policy) error {
	err := parallel.Do(len(p.adds), func(i int) error {
		k := p.adds[i].Add
		if err := checkKeyPackage(v.suite, k); err != nil {
			return err
		}
		return a.rules.check(&k.Leaf)
	})
	if err != nil {
		return fmt.Errorf("add: %w", err)
	}
	for _, c := range p.adds {
		if policy.Lifetime == LifetimeStrict || p.own && policy.Lifetime == LifetimeOwn {
			if err := checkLifetime(&c.Add.Leaf, policy.now()); err != nil {
				return fmt.Errorf("add: %w", err)
			}
		}
		leaf := c.Add.Leaf.Detach()
		l, err := a.tree.Add(leaf)
		if err != nil {
			return fmt.Errorf("add: %w", err)
		}
		if err := v.validate(policy, leaf.Credential, CredentialContext{Reason: ReasonAdd,
			Leaf: uint32(l), SignatureKey: leaf.SignatureKey}); err != nil {
			return fmt.Errorf("add: %w", err)
		}
		a.added, a.places = append(a.added, l), append(a.places, l)
		a.packages = append(a.packages, c.Add)
		a.joined = append(a.joined, place{uint32(l), leaf})
	}
	slices.Sort(a.added)
	return nil
}

// checkWhole checks what the new leaves and extensions mean for all members.
func (a *applied) checkWhole(p *plan) error {
	if p.extensions != nil {
		if err := a.tree.Members(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
			if err := a.rules.check(leaf); err != nil {
				return fmt.Errorf("leaf %d: %w", l, err)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if len(p.adds)+len(p.updates) == 0 {
		return nil
	}
	changed := slices.Clone(a.added)
	for _, c := range p.updates {
		changed = append(changed, ratchet.Leaf(c.sender.Index))
	}
	if err := checkDistinct(a.tree, changed); err != nil {
		return err
	}
	return checkCredentialTypes(a.tree)
}

// errSameSigner is ErrDuplicateKey for signature keys; such a client is a
// member already.
var errSameSigner = errors.Join(ErrAlreadyMember, ErrDuplicateKey)

// checkDistinct checks that no changed leaf has a key of another member, R §7.3.
func checkDistinct(t *ratchet.Tree, changed []ratchet.Leaf) error {
	var signers, keys keySet
	for _, l := range changed {
		leaf := t.Leaf(l)
		signers.add(leaf.SignatureKey, l)
		keys.add(leaf.EncryptionKey, l)
	}
	return t.Members(func(l ratchet.Leaf, leaf *wire.LeafNode) error {
		if m, ok := signers.find(leaf.SignatureKey); ok && m != l {
			return fmt.Errorf("leaves %d and %d: signature key: %w", l, m, errSameSigner)
		}
		if m, ok := keys.find(leaf.EncryptionKey); ok && m != l {
			return fmt.Errorf("%w: encryption key of leaves %d and %d", ErrDuplicateKey, l, m)
		}
		return nil
	})
}

// checkPathKeys checks that no key of a path is in use, R §12.4.2.
func checkPathKeys(t *ratchet.Tree, up *wire.UpdatePath) error {
	var fresh keySet
	fresh.add(up.Leaf.EncryptionKey, 0)
	for _, n := range up.Nodes {
		fresh.add(n.EncryptionKey, 0)
	}
	if len(fresh.at) != len(up.Nodes)+1 {
		return fmt.Errorf("%w: within an update path", ErrDuplicateKey)
	}
	for x := ratchet.Node(0); uint32(x) < t.Width(); x++ {
		if k := t.Key(x); k != nil {
			if _, used := fresh.find(k); used {
				return fmt.Errorf("%w: update path has the key of node %d", ErrDuplicateKey, x)
			}
		}
	}
	return nil
}
