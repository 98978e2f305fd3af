package main

import (
	"errors"
	"fmt"

	"quicnprotochat/mls"
)

type passiveCase struct {
	Suite          uint16 `json:"cipher_suite"`
	KeyPackage     hx     `json:"key_package"`
	SignaturePriv  hx     `json:"signature_priv"`
	EncryptionPriv hx     `json:"encryption_priv"`
	InitPriv       hx     `json:"init_priv"`
	Welcome        hx     `json:"welcome"`
	RatchetTree    *hx    `json:"ratchet_tree"`
	Authenticator  hx     `json:"initial_epoch_authenticator"`
	ExternalPSKs   []struct {
		ID  hx `json:"psk_id"`
		PSK hx `json:"psk"`
	} `json:"external_psks"`
	Epochs []struct {
		Proposals     []hx `json:"proposals"`
		Commit        hx   `json:"commit"`
		Authenticator hx   `json:"epoch_authenticator"`
	} `json:"epochs"`
}

func passiveClient(c *passiveCase) error {
	bundle, err := mls.ImportKeyPackage(c.KeyPackage, c.InitPriv, c.EncryptionPriv)
	if err != nil {
		return err
	}
	info, err := mls.InspectKeyPackage(c.KeyPackage)
	if err != nil {
		return err
	}
	id, err := mls.NewBasicIdentity(mls.Suite(c.Suite), c.SignaturePriv, info.Credential.Identity)
	if err != nil {
		return err
	}
	if err := compare(pair{"signature key", id.SignaturePublicKey(), info.SignatureKey}); err != nil {
		return err
	}
	// The packages of the vectors have expired.
	opts := mls.JoinOptions{Policy: mls.Policy{Lifetime: mls.LifetimeIgnore, ExternalPSK: c.psk, ResumptionEpochs: 1000}}
	if c.RatchetTree != nil {
		opts.RatchetTree = *c.RatchetTree
	}
	g, err := mls.Join(c.Welcome, bundle, id, opts)
	if err != nil {
		return err
	}
	if err := compare(pair{"initial authenticator", g.EpochAuthenticator(), c.Authenticator}); err != nil {
		return err
	}
	return c.follow(g)
}

func (c *passiveCase) psk(id []byte) ([]byte, error) {
	for _, p := range c.ExternalPSKs {
		if string(p.ID) == string(id) {
			return p.PSK, nil
		}
	}
	return nil, errors.New("not in the vector")
}

func (c *passiveCase) follow(g *mls.Group) error {
	for i := range c.Epochs {
		e := &c.Epochs[i]
		for j, m := range e.Proposals {
			p, err := g.Process(m)
			if err != nil {
				return fmt.Errorf("epoch %d, proposal %d: %w", i, j, err)
			}
			if p.Kind != mls.KindProposal {
				return fmt.Errorf("epoch %d, proposal %d is a %v", i, j, p.Kind)
			}
		}
		p, err := g.Process(e.Commit)
		if err != nil {
			return fmt.Errorf("epoch %d: %w", i, err)
		}
		if p.Kind != mls.KindCommit {
			return fmt.Errorf("epoch %d: the commit is a %v", i, p.Kind)
		}
		if err := compare(pair{fmt.Sprint("authenticator ", i), g.EpochAuthenticator(), e.Authenticator}); err != nil {
			return err
		}
	}
	return nil
}
