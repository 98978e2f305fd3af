// Package schedule is the key schedule of RFC 9420, section 8, the transcript
// hashes of section 8.2 and the secret tree of section 9.
package schedule

import (
	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// Epoch holds the secrets of one epoch, each of Nh bytes, R §8 table 4.
type Epoch struct {
	SenderData, Encryption, Exporter, External, Confirmation,
	Membership, Resumption, Authenticator, Init []byte
}

// Joiner derives the joiner secret of an epoch, R §8.
func Joiner(s *suite.Suite, initSecret, commitSecret, context []byte) []byte {
	secret := s.Extract(initSecret, commitSecret)
	defer clear(secret)
	return s.ExpandWithLabel(secret, "joiner", context, s.Nh)
}

// Welcome derives the welcome secret, R §8.
func Welcome(s *suite.Suite, joiner, psk []byte) []byte {
	member := s.Extract(joiner, psk)
	defer clear(member)
	return s.DeriveSecret(member, "welcome")
}

// WelcomeKey derives the key and nonce that encrypt the GroupInfo, R §12.4.3.1.
func WelcomeKey(s *suite.Suite, welcome []byte) (key, nonce []byte) {
	return s.ExpandWithLabel(welcome, "key", nil, s.Nk), s.ExpandWithLabel(welcome, "nonce", nil, s.Nn)
}

// FromJoiner derives the secrets of an epoch from its joiner secret, R §8.
func FromJoiner(s *suite.Suite, joiner, psk, context []byte) *Epoch {
	member := s.Extract(joiner, psk)
	defer clear(member)
	return FromEpochSecret(s, s.ExpandWithLabel(member, "epoch", context, s.Nh))
}

// FromEpochSecret derives the secrets of an epoch, R §8 table 4. It wipes the
// secret.
func FromEpochSecret(s *suite.Suite, secret []byte) *Epoch {
	e := &Epoch{}
	labels := [...]string{"sender data", "encryption", "exporter", "external", "confirm",
		"membership", "resumption", "authentication", "init"}
	for i, f := range e.fields() {
		*f = s.DeriveSecret(secret, labels[i])
	}
	clear(secret)
	return e
}

func (e *Epoch) fields() [9]*[]byte {
	return [...]*[]byte{&e.SenderData, &e.Encryption, &e.Exporter, &e.External, &e.Confirmation,
		&e.Membership, &e.Resumption, &e.Authenticator, &e.Init}
}

// Append encodes the secrets, to be saved.
func (e *Epoch) Append(b []byte) []byte {
	for _, f := range e.fields() {
		b = codec.AppendVec(b, *f)
	}
	return b
}

// Decode reads what Append encoded, once the secret tree has taken Encryption.
// The error is ErrSaved when a secret has another length than the suite's.
func (e *Epoch) Decode(r *codec.Reader, s *suite.Suite) error {
	for _, f := range e.fields() {
		*f = r.Vec()
		n := s.Nh
		if f == &e.Encryption {
			n = 0
		}
		if r.Err() == nil && len(*f) != n {
			return ErrSaved
		}
	}
	return r.Err()
}

// Wipe overwrites the secrets.
func (e *Epoch) Wipe() {
	for _, f := range e.fields() {
		clear(*f)
	}
}

// Export derives a secret for the application, R §8.5.
func (e *Epoch) Export(s *suite.Suite, label string, context []byte, n int) []byte {
	secret := s.DeriveSecret(e.Exporter, label)
	defer clear(secret)
	return s.ExpandWithLabel(secret, "exported", s.Hash(context), n)
}

// PSK is a pre-shared key with its id.
type PSK struct {
	ID     *wire.PSKID
	Secret []byte
}

// PSKSecret combines pre-shared keys, R §8.4.
func PSKSecret(s *suite.Suite, psks []PSK) []byte {
	secret := s.Zero()
	for i, p := range psks {
		label := codec.AppendU16(p.ID.Append(nil), uint16(i))
		label = codec.AppendU16(label, uint16(len(psks)))
		extracted := s.Extract(s.Zero(), p.Secret)
		input := s.ExpandWithLabel(extracted, "derived psk", label, s.Nh)
		next := s.Extract(input, secret)
		clear(extracted)
		clear(input)
		clear(secret)
		secret = next
	}
	return secret
}

// Confirmed extends the transcript by a commit, R §8.2.
func Confirmed(s *suite.Suite, interim []byte, ac *wire.AuthenticatedContent) []byte {
	b := codec.AppendU16(nil, ac.WireFormat)
	b = codec.AppendVec(ac.Content.Append(b), ac.Auth.Signature)
	return s.HashJoined(interim, b)
}

// Interim closes the transcript with the confirmation tag, R §8.2.
func Interim(s *suite.Suite, confirmed, tag []byte) []byte {
	return s.HashJoined(confirmed, codec.AppendVec(nil, tag))
}
