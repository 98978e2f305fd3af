package main

import (
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/framing"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/treemath"
	"quicnprotochat/mls/internal/wire"
)

var limits = schedule.Limits{Forward: 1 << 20, Kept: 1000}

type secretTreeCase struct {
	Suite      uint16 `json:"cipher_suite"`
	Encryption hx     `json:"encryption_secret"`
	SenderData struct {
		Secret     hx `json:"sender_data_secret"`
		Ciphertext hx `json:"ciphertext"`
		Key        hx `json:"key"`
		Nonce      hx `json:"nonce"`
	} `json:"sender_data"`
	Leaves [][]struct {
		Generation       uint32 `json:"generation"`
		HandshakeKey     hx     `json:"handshake_key"`
		HandshakeNonce   hx     `json:"handshake_nonce"`
		ApplicationKey   hx     `json:"application_key"`
		ApplicationNonce hx     `json:"application_nonce"`
	} `json:"leaves"`
}

func secretTree(c *secretTreeCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	sd := &c.SenderData
	keys := &framing.Keys{Suite: s, SenderData: sd.Secret}
	key, nonce := keys.SenderDataKey(sd.Ciphertext)
	if err := compare(pair{"sender data key", key, sd.Key}, pair{"sender data nonce", nonce, sd.Nonce}); err != nil {
		return err
	}
	t := schedule.NewSecretTree(s, uint32(len(c.Leaves)), c.Encryption, limits)
	for l, generations := range c.Leaves {
		for _, g := range generations {
			for kind, want := range [][2]hx{
				schedule.Handshake:   {g.HandshakeKey, g.HandshakeNonce},
				schedule.Application: {g.ApplicationKey, g.ApplicationNonce},
			} {
				p, err := t.Find(treemath.Leaf(l), schedule.Kind(kind), g.Generation)
				if err != nil {
					return err
				}
				err = compare(pair{"message key", p.Key.Key, want[0]}, pair{"message nonce", p.Key.Nonce, want[1]})
				if err != nil {
					return fmt.Errorf("leaf %d, generation %d: %w", l, g.Generation, err)
				}
				p.Spend()
			}
		}
	}
	return nil
}

type keyScheduleCase struct {
	Suite   uint16 `json:"cipher_suite"`
	GroupID hx     `json:"group_id"`
	Init    hx     `json:"initial_init_secret"`
	Epochs  []struct {
		TreeHash       hx `json:"tree_hash"`
		CommitSecret   hx `json:"commit_secret"`
		PSKSecret      hx `json:"psk_secret"`
		ConfirmedHash  hx `json:"confirmed_transcript_hash"`
		GroupContext   hx `json:"group_context"`
		Joiner         hx `json:"joiner_secret"`
		Welcome        hx `json:"welcome_secret"`
		Init           hx `json:"init_secret"`
		SenderData     hx `json:"sender_data_secret"`
		Encryption     hx `json:"encryption_secret"`
		Exporter       hx `json:"exporter_secret"`
		Authenticator  hx `json:"epoch_authenticator"`
		External       hx `json:"external_secret"`
		Confirmation   hx `json:"confirmation_key"`
		Membership     hx `json:"membership_key"`
		Resumption     hx `json:"resumption_psk"`
		ExternalPub    hx `json:"external_pub"`
		ExporterOutput struct {
			Label   string `json:"label"`
			Context hx     `json:"context"`
			Length  int    `json:"length"`
			Secret  hx     `json:"secret"`
		} `json:"exporter"`
	} `json:"epochs"`
}

func keySchedule(c *keyScheduleCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	initSecret := []byte(c.Init)
	for i := range c.Epochs {
		v := &c.Epochs[i]
		context := codec.Encode(&wire.GroupContext{Version: wire.Version, Suite: s.ID, GroupID: c.GroupID,
			Epoch: uint64(i), TreeHash: v.TreeHash, ConfirmedTranscriptHash: v.ConfirmedHash})
		joiner := schedule.Joiner(s, initSecret, v.CommitSecret, context)
		welcome := schedule.Welcome(s, joiner, v.PSKSecret)
		e := schedule.FromJoiner(s, joiner, v.PSKSecret, context)
		external, err := s.DeriveKey(e.External)
		if err != nil {
			return err
		}
		x := &v.ExporterOutput
		if err := compare(
			pair{"group context", context, v.GroupContext},
			pair{"joiner", joiner, v.Joiner}, pair{"welcome", welcome, v.Welcome},
			pair{"init", e.Init, v.Init}, pair{"sender data", e.SenderData, v.SenderData},
			pair{"encryption", e.Encryption, v.Encryption}, pair{"exporter", e.Exporter, v.Exporter},
			pair{"authenticator", e.Authenticator, v.Authenticator}, pair{"external", e.External, v.External},
			pair{"confirmation", e.Confirmation, v.Confirmation}, pair{"membership", e.Membership, v.Membership},
			pair{"resumption", e.Resumption, v.Resumption}, pair{"external pub", external.Public(), v.ExternalPub},
			pair{"exported", e.Export(s, x.Label, x.Context, x.Length), x.Secret},
		); err != nil {
			return fmt.Errorf("epoch %d: %w", i, err)
		}
		initSecret = e.Init
	}
	return nil
}

type pskSecretCase struct {
	Suite uint16 `json:"cipher_suite"`
	PSKs  []struct {
		ID    hx `json:"psk_id"`
		PSK   hx `json:"psk"`
		Nonce hx `json:"psk_nonce"`
	} `json:"psks"`
	Secret hx `json:"psk_secret"`
}

func pskSecret(c *pskSecretCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	var psks []schedule.PSK
	for _, p := range c.PSKs {
		psks = append(psks, schedule.PSK{Secret: p.PSK,
			ID: &wire.PSKID{Type: wire.PSKExternal, ID: p.ID, Nonce: p.Nonce}})
	}
	return compare(pair{"psk secret", schedule.PSKSecret(s, psks), c.Secret})
}

type transcriptHashesCase struct {
	Suite         uint16 `json:"cipher_suite"`
	Confirmation  hx     `json:"confirmation_key"`
	Content       hx     `json:"authenticated_content"`
	InterimBefore hx     `json:"interim_transcript_hash_before"`
	Confirmed     hx     `json:"confirmed_transcript_hash_after"`
	InterimAfter  hx     `json:"interim_transcript_hash_after"`
}

func transcriptHashes(c *transcriptHashesCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	var ac wire.AuthenticatedContent
	if err := wire.Decode(c.Content, &ac); err != nil {
		return err
	}
	if ac.Content.Commit == nil {
		return fmt.Errorf("content type %d is no commit", ac.Content.Type)
	}
	return compare(
		pair{"confirmed hash", schedule.Confirmed(s, c.InterimBefore, &ac), c.Confirmed},
		pair{"interim hash", schedule.Interim(s, c.Confirmed, ac.Auth.ConfirmationTag), c.InterimAfter},
		pair{"confirmation tag", s.MAC(c.Confirmation, c.Confirmed), ac.Auth.ConfirmationTag})
}
