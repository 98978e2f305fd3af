package main

import (
	"bytes"
	"errors"
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

type welcomeCase struct {
	Suite      uint16 `json:"cipher_suite"`
	InitPriv   hx     `json:"init_priv"`
	SignerPub  hx     `json:"signer_pub"`
	KeyPackage hx     `json:"key_package"`
	Welcome    hx     `json:"welcome"`
}

func welcome(c *welcomeCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	var kp, w wire.Message
	if err := first(wire.Decode(c.KeyPackage, &kp), wire.Decode(c.Welcome, &w)); err != nil {
		return err
	}
	ref := kp.KeyPackage.Ref(s)
	for _, e := range w.Welcome.Secrets {
		if bytes.Equal(e.NewMember, ref) {
			return c.open(s, w.Welcome, &e)
		}
	}
	return errors.New("no secrets for the key package")
}

func (c *welcomeCase) open(s *suite.Suite, w *wire.Welcome, e *wire.EncryptedGroupSecrets) error {
	k, err := s.ParseKey(c.InitPriv)
	if err != nil {
		return err
	}
	plain, err := s.DecryptWithLabel(k, "Welcome", w.GroupInfo, e.Secrets.KEMOutput, e.Secrets.Ciphertext)
	if err != nil {
		return err
	}
	var secrets wire.GroupSecrets
	if err := wire.Decode(plain, &secrets); err != nil {
		return err
	}
	if len(secrets.PSKs) > 0 {
		return fmt.Errorf("%w: %d PSKs", errSkip, len(secrets.PSKs))
	}
	psk := schedule.PSKSecret(s, nil)
	key, nonce := schedule.WelcomeKey(s, schedule.Welcome(s, secrets.JoinerSecret, psk))
	raw, err := s.Open(key, nonce, nil, w.GroupInfo)
	if err != nil {
		return err
	}
	var info wire.GroupInfo
	if err := first(wire.Decode(raw, &info), info.Verify(s, c.SignerPub)); err != nil {
		return err
	}
	epoch := schedule.FromJoiner(s, secrets.JoinerSecret, psk, codec.Encode(&info.Context))
	return compare(pair{"confirmation tag",
		s.MAC(epoch.Confirmation, info.Context.ConfirmedTranscriptHash), info.ConfirmationTag})
}
