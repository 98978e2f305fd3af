package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"quicnprotochat/mls"
)

type none struct{}

func version(*driver, *none) (answer, error) {
	return answer{"name": "quicnprotochat", "impl": "quicnprotochat", "version": "1",
		"suites": append(mls.Suites(), mls.PostQuantumSuites()...), "ops": slices.Sorted(maps.Keys(ops))}, nil
}

type newArgs struct {
	IdentityHex octets  `json:"identity_hex"`
	Name        string  `json:"name"`
	Suite       *uint16 `json:"suite"`
	Handshake   string  `json:"handshake"` // "private" (default) or "public"
}

func newClient(d *driver, a *newArgs) (answer, error) {
	if len(d.clients) >= maxClients {
		return nil, errFull
	}
	c := &client{
		suite: mls.X25519_AES128GCM_SHA256_Ed25519, name: a.IdentityHex, handshake: mls.FramingPrivate,
		identities: make(map[mls.Suite]*mls.Identity), packages: make(map[string]keyPackage),
		psks: make(map[string][]byte), groups: make(map[string]*mls.Group),
	}
	if a.IdentityHex == nil {
		c.name = []byte(a.Name)
	}
	if a.Suite != nil {
		c.suite = mls.Suite(*a.Suite)
	}
	switch a.Handshake {
	case "", "private":
	case "public":
		c.handshake = mls.FramingPublic
	default:
		return nil, errors.New(`handshake must be "private" or "public"`)
	}
	id, err := c.identity(c.suite)
	if err != nil {
		return nil, err
	}
	d.lastID++
	d.clients[d.lastID] = c
	return answer{"id": d.lastID, "identity": octets(c.name), "signature_key": octets(id.SignaturePublicKey())}, nil
}

func closeClient(c *call, _ *none) (answer, error) {
	for id, other := range c.d.clients {
		if other == c.c {
			delete(c.d.clients, id)
		}
	}
	for _, p := range c.c.packages {
		p.bundle.Wipe()
	}
	return nil, nil
}

func keyPackageOp(c *call, _ *none) (answer, error) {
	id, err := c.c.identity(c.c.suite)
	if err != nil {
		return nil, err
	}
	b, err := c.c.newPackage(id)
	if err != nil {
		return nil, err
	}
	return packageAnswer(b), nil
}

func packageAnswer(b *mls.KeyPackageBundle) answer {
	return answer{"key_package": octets(b.Public()), "mls_message": octets(b.Message()), "ref": octets(b.Ref())}
}

type pskArgs struct {
	PSKID octets `json:"psk_id"`
	PSK   octets `json:"psk"`
}

func pskRegister(c *call, a *pskArgs) (answer, error) {
	if err := errors.Join(need("psk_id", a.PSKID), need("psk", a.PSK)); err != nil {
		return nil, err
	}
	if _, known := c.c.psks[string(a.PSKID)]; !known && len(c.c.psks) >= maxPSKs {
		return nil, fmt.Errorf("psk: %w", errFull)
	}
	c.c.psks[string(a.PSKID)] = a.PSK
	return nil, nil
}
