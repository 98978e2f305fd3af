package mls

import (
	"bytes"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/parallel"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/wire"
)

// welcome encrypts the secrets of the new epoch to all clients that a commit
// adds, R §12.4.3.1.
func (d *draft) welcome(withTree bool) ([]byte, error) {
	s := d.next.suite
	info, err := d.next.groupInfo(d.id, withTree, false, nil)
	if err != nil {
		return nil, err
	}
	secret := schedule.Welcome(s, d.joiner, d.pskSecret)
	key, nonce := schedule.WelcomeKey(s, secret)
	w := &wire.Welcome{Suite: s.ID, GroupInfo: s.Seal(key, nonce, nil, info.Raw())}
	label := s.NewInfo("Welcome", w.GroupInfo) // may hold the whole tree: made once
	w.Secrets = make([]wire.EncryptedGroupSecrets, len(d.applied.packages))
	err = parallel.Do(len(w.Secrets), func(i int) error {
		p := d.applied.packages[i]
		secrets := wire.GroupSecrets{JoinerSecret: d.joiner}
		for _, id := range d.pskIDs {
			secrets.PSKs = append(secrets.PSKs, *id)
		}
		if d.path != nil {
			secrets.PathSecret = d.path.Secret(d.applied.places[i])
		}
		plain := codec.Encode(&secrets)
		enc, ct, err := s.Encrypt(p.InitKey, label, plain)
		clear(plain)
		w.Secrets[i] = wire.EncryptedGroupSecrets{NewMember: p.Ref(s),
			Secrets: wire.Ciphertext{KEMOutput: enc, Ciphertext: ct}}
		return err
	})
	clear(secret)
	clear(key)
	clear(nonce)
	if err != nil {
		return nil, err
	}
	m := wire.Message{Format: wire.FormatWelcome, Welcome: w}
	return m.Append(make([]byte, 0, len(w.GroupInfo)+256*len(w.Secrets)+64)), nil
}

// groupInfo describes the epoch and signs it, R §12.4.3.
func (e *epoch) groupInfo(id *Identity, withTree, withExternal bool, more wire.Extensions) (*wire.GroupInfo, error) {
	g := &wire.GroupInfo{Context: e.context, ConfirmationTag: e.tag, Signer: uint32(e.private.Self)}
	if withTree {
		g.Extensions = append(g.Extensions, wire.Extension{Type: wire.ExtRatchetTree, Data: e.tree.Append(nil)})
	}
	if withExternal {
		k, err := e.external()
		if err != nil {
			return nil, err
		}
		g.Extensions = append(g.Extensions,
			wire.Extension{Type: wire.ExtExternalPub, Data: codec.AppendVec(nil, k.Public())})
		k.Wipe()
	}
	g.Extensions = append(g.Extensions, more...)
	return g, g.Sign(e.suite, id.key)
}

// GroupInfoOptions shapes a GroupInfo.
type GroupInfoOptions struct {
	// OmitRatchetTree leaves the tree out; who joins needs it from elsewhere.
	OmitRatchetTree bool
	// OmitExternalPub leaves the external public key out, so that nobody can join
	// by an external commit.
	OmitExternalPub bool
	// GREASE adds a random reserved extension, R §13.5.
	GREASE bool
}

// GroupInfo returns an MLSMessage that describes the current epoch, with which
// others can join by themselves ([ExternalJoin]) or propose from outside.
func (g *Group) GroupInfo(opts GroupInfoOptions) ([]byte, error) {
	if err := g.active(); err != nil {
		return nil, op("group info", err)
	}
	b, err := g.cur.groupInfoMessage(g.id, opts)
	return b, op("group info", err)
}

func (e *epoch) groupInfoMessage(id *Identity, opts GroupInfoOptions) ([]byte, error) {
	var more wire.Extensions
	if opts.GREASE {
		more = wire.Extensions{{Type: grease(), Data: bytes.Repeat([]byte{0x0a}, 3)}}
	}
	info, err := e.groupInfo(id, !opts.OmitRatchetTree, !opts.OmitExternalPub, more)
	if err != nil {
		return nil, err
	}
	return codec.Encode(&wire.Message{Format: wire.FormatGroupInfo, GroupInfo: info}), nil
}
