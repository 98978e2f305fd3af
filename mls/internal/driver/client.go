package main

import (
	"errors"
	"fmt"

	"quicnprotochat/mls"
)

// Limits of what one driver holds.
const (
	maxClients  = 1 << 14
	maxPackages = 1 << 12 // outstanding, of a client
	maxPSKs     = 1 << 12 // of a client
	maxGroups   = 1 << 10 // of a client
)

// How long the groups of a driver look back: the runners of others keep messages
// for many epochs.
const (
	pastEpochs       = 64
	resumptionEpochs = 1 << 12
)

var errFull = errors.New("the driver holds too many of these")

// driver is the state of one process.
type driver struct {
	clients map[int]*client
	lastID  int
}

func newDriver() *driver { return &driver{clients: make(map[int]*client)} }

func (d *driver) client(id int) (*client, error) {
	if c := d.clients[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no client %d", id)
}

// client is one actor.
type client struct {
	suite      mls.Suite
	name       []byte
	identities map[mls.Suite]*mls.Identity // made when first needed
	handshake  mls.Framing
	packages   map[string]keyPackage // by KeyPackageRef
	psks       map[string][]byte
	groups     map[string]*mls.Group
	current    string // the group that a request without one is about
}

// keyPackage is one that waits for its Welcome.
type keyPackage struct {
	bundle *mls.KeyPackageBundle
	id     *mls.Identity
}

// identity returns the client's identity for a suite.
func (c *client) identity(s mls.Suite) (*mls.Identity, error) {
	if id := c.identities[s]; id != nil {
		return id, nil
	}
	id, err := mls.GenerateBasicIdentity(s, c.name)
	if err == nil {
		c.identities[s] = id
	}
	return id, err
}

// policy is how the client treats its groups.
func (c *client) policy() mls.Policy {
	return mls.Policy{
		Handshake:        c.handshake,
		PastEpochs:       pastEpochs,
		ResumptionEpochs: resumptionEpochs,
		ExternalPSK: func(id []byte) ([]byte, error) {
			if psk, ok := c.psks[string(id)]; ok {
				return psk, nil
			}
			return nil, errors.New("not registered")
		},
	}
}

// newPackage makes a KeyPackage and keeps its private keys.
func (c *client) newPackage(id *mls.Identity) (*mls.KeyPackageBundle, error) {
	if len(c.packages) >= maxPackages {
		return nil, errFull
	}
	b, err := mls.NewKeyPackage(id, mls.KeyPackageOptions{})
	if err == nil {
		c.packages[string(b.Ref())] = keyPackage{b, id}
	}
	return b, err
}

// keep adds a group, which becomes the current one.
func (c *client) keep(g *mls.Group) answer {
	c.use(g)
	c.groups[c.current] = g
	return answer{"group": octets(c.current), "epoch": g.Epoch(), "leaf": g.OwnLeaf()}
}

// use makes a group the current one.
func (c *client) use(g *mls.Group) { c.current = string(g.GroupID()) }

// room says whether the client can have one group more.
func (c *client) room() error {
	if len(c.groups) >= maxGroups {
		return errFull
	}
	return nil
}

// join enters the group of a Welcome for one of the client's KeyPackages, and
// deletes the KeyPackage.
func (c *client) join(welcome, tree octets, parent *mls.Group) (answer, error) {
	if err := need("welcome", welcome); err != nil {
		return nil, err
	}
	if err := c.room(); err != nil {
		return nil, err
	}
	refs, err := mls.WelcomeRefs(welcome)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		p, ok := c.packages[string(ref)]
		if !ok {
			continue
		}
		g, err := mls.Join(welcome, p.bundle, p.id, mls.JoinOptions{Policy: c.policy(), RatchetTree: tree, Parent: parent})
		if err != nil {
			return nil, err
		}
		p.bundle.Wipe()
		delete(c.packages, string(ref))
		return c.keep(g), nil
	}
	return nil, fmt.Errorf("welcome is for none of %d key packages: %w", len(c.packages), mls.ErrNotForUs)
}
