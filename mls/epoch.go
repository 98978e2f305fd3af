package mls

import (
	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/framing"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// public is what an epoch shows to anybody with its GroupInfo and tree.
type public struct {
	suite   *suite.Suite
	context wire.GroupContext
	encoded []byte // context
	tree    *ratchet.Tree
	interim []byte // interim transcript hash
	tag     []byte // confirmation tag
}

// epoch is one epoch as a member knows it. What it holds is replaced by the
// next epoch, never changed, but for the message keys.
type epoch struct {
	public
	private  *ratchet.Private
	secrets  *schedule.Epoch
	messages *schedule.SecretTree
}

func (p *public) setContext(c wire.GroupContext) {
	p.context, p.encoded = c, codec.Encode(&c)
}

// begin derives everything that follows from the epoch's secrets.
func (e *epoch) begin(secrets *schedule.Epoch, limits schedule.Limits) {
	e.secrets = secrets
	e.tag = e.suite.MAC(secrets.Confirmation, e.context.ConfirmedTranscriptHash)
	e.interim = schedule.Interim(e.suite, e.context.ConfirmedTranscriptHash, e.tag)
	e.messages = schedule.NewSecretTree(e.suite, e.tree.Leaves(), secrets.Encryption, limits)
	secrets.Encryption = nil // the secret tree owns it
}

// wipe overwrites the secrets of an epoch that is not entered, whether it was
// finished or not, and those of its private keys that keep does not hold.
func (e *epoch) wipe(keep *ratchet.Private) {
	if e.secrets != nil {
		e.secrets.Wipe()
		e.messages.Wipe()
	}
	if e.private != nil {
		e.private.WipeBut(keep)
	}
}

func (e *epoch) keys() *framing.Keys {
	return &framing.Keys{Suite: e.suite, Context: e.encoded, SenderData: e.secrets.SenderData,
		Membership: e.secrets.Membership, Secrets: e.messages}
}

// external returns the key pair of external joins, R §8.3.
func (e *epoch) external() (*suite.PrivateKey, error) {
	return e.suite.DeriveKey(e.secrets.External)
}

// nextContext returns the context of the next epoch, still with the transcript
// hash of this one: what path secrets are encrypted under, R §7.6.
func (p *public) nextContext(tree *ratchet.Tree, extensions wire.Extensions) wire.GroupContext {
	c := p.context
	c.Epoch++
	c.TreeHash = tree.Hash()
	c.Extensions = extensions
	return c
}

// derive turns a context, a commit and its secrets into the next epoch. next
// must have its tree and private keys.
func (p *public) derive(next *epoch, context wire.GroupContext, ac *wire.AuthenticatedContent,
	initSecret, commitSecret, pskSecret []byte, limits schedule.Limits) (joiner []byte) {
	s := p.suite
	next.suite = s
	context.ConfirmedTranscriptHash = schedule.Confirmed(s, p.interim, ac)
	next.setContext(context)
	joiner = schedule.Joiner(s, initSecret, commitSecret, next.encoded)
	next.begin(schedule.FromJoiner(s, joiner, pskSecret, next.encoded), limits)
	return joiner
}

// resumptionSecret is the resumption PSK of an epoch, R §8.6.
type resumptionSecret struct {
	epoch  uint64
	secret []byte
}
