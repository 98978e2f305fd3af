package mls

import (
	"bytes"
	"crypto/rand"
	"fmt"

	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

func randomBytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := rand.Read(b)
	return b, err
}

// lookupExternal asks the application for an external PSK.
func (p *Policy) lookupExternal(id []byte) ([]byte, error) {
	if p.ExternalPSK == nil {
		return nil, fmt.Errorf("%w: external %x", ErrPSKMissing, id)
	}
	secret, err := p.ExternalPSK(bytes.Clone(id))
	if err != nil {
		return nil, fmt.Errorf("%w: external %x: %w", ErrPSKMissing, id, err)
	}
	return secret, nil
}

// resumptionPSK returns the resumption PSK of an epoch of this group.
func (g *Group) resumptionPSK(epoch uint64) ([]byte, bool) {
	if epoch == g.cur.context.Epoch {
		return g.cur.secrets.Resumption, true
	}
	for _, r := range g.resumption {
		if r.epoch == epoch {
			return r.secret, true
		}
	}
	return nil, false
}

// gatherPSKs finds the keys of a list of ids in the application's store and in
// the groups at hand, and combines them, R §8.4.
func gatherPSKs(s *suite.Suite, policy *Policy, ids []*wire.PSKID, groups ...*Group) ([]byte, error) {
	psks := make([]schedule.PSK, len(ids))
	for i, id := range ids {
		var err error
		if id.Type == wire.PSKExternal {
			psks[i].Secret, err = policy.lookupExternal(id.ID)
		} else {
			psks[i].Secret, err = findResumption(id, groups)
		}
		if err != nil {
			return nil, err
		}
		psks[i].ID = id
	}
	return schedule.PSKSecret(s, psks), nil
}

func findResumption(id *wire.PSKID, groups []*Group) ([]byte, error) {
	for _, g := range groups {
		if g != nil && bytes.Equal(g.cur.context.GroupID, id.GroupID) {
			if secret, ok := g.resumptionPSK(id.Epoch); ok {
				return secret, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: resumption of group %x, epoch %d", ErrPSKMissing, id.GroupID, id.Epoch)
}

func pskIDs(list []change) []*wire.PSKID {
	ids := make([]*wire.PSKID, len(list))
	for i, c := range list {
		ids[i] = c.PSK
	}
	return ids
}
