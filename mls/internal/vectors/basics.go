package main

import (
	"fmt"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/treemath"
)

type deserializationCase struct {
	Header hx  `json:"vlbytes_header"`
	Length int `json:"length"`
}

func deserialization(c *deserializationCase) error {
	r := codec.NewReader(c.Header)
	n := r.Length()
	if err := r.Done(); err != nil {
		return err
	}
	if n != c.Length {
		return fmt.Errorf("length is %d, want %d", n, c.Length)
	}
	return compare(pair{"header", codec.AppendLength(nil, c.Length), c.Header})
}

type treeMathCase struct {
	Leaves  uint32    `json:"n_leaves"`
	Nodes   uint32    `json:"n_nodes"`
	Root    uint32    `json:"root"`
	Left    []*uint32 `json:"left"`
	Right   []*uint32 `json:"right"`
	Parent  []*uint32 `json:"parent"`
	Sibling []*uint32 `json:"sibling"`
}

func treeMath(c *treeMathCase) error {
	root := treemath.Root(c.Leaves)
	if uint32(root) != c.Root || treemath.Width(c.Leaves) != c.Nodes {
		return fmt.Errorf("root %d, width %d", root, treemath.Width(c.Leaves))
	}
	for i := range c.Nodes {
		x := treemath.Node(i)
		for _, f := range []struct {
			name string
			have bool
			of   func() treemath.Node
			want *uint32
		}{
			{"left", !x.IsLeaf(), x.Left, c.Left[i]},
			{"right", !x.IsLeaf(), x.Right, c.Right[i]},
			{"parent", x != root, x.Parent, c.Parent[i]},
			{"sibling", x != root, x.Sibling, c.Sibling[i]},
		} {
			if f.have != (f.want != nil) || f.have && uint32(f.of()) != *f.want {
				return fmt.Errorf("%s of node %d", f.name, i)
			}
		}
	}
	return nil
}

type cryptoBasicsCase struct {
	Suite   uint16 `json:"cipher_suite"`
	RefHash struct {
		Label string `json:"label"`
		Value hx     `json:"value"`
		Out   hx     `json:"out"`
	} `json:"ref_hash"`
	Expand struct {
		Secret  hx     `json:"secret"`
		Label   string `json:"label"`
		Context hx     `json:"context"`
		Length  int    `json:"length"`
		Out     hx     `json:"out"`
	} `json:"expand_with_label"`
	Derive struct {
		Secret hx     `json:"secret"`
		Label  string `json:"label"`
		Out    hx     `json:"out"`
	} `json:"derive_secret"`
	Tree struct {
		Secret     hx     `json:"secret"`
		Label      string `json:"label"`
		Generation uint32 `json:"generation"`
		Length     int    `json:"length"`
		Out        hx     `json:"out"`
	} `json:"derive_tree_secret"`
	Sign struct {
		Priv      hx     `json:"priv"`
		Pub       hx     `json:"pub"`
		Content   hx     `json:"content"`
		Label     string `json:"label"`
		Signature hx     `json:"signature"`
	} `json:"sign_with_label"`
	Encrypt struct {
		Priv       hx     `json:"priv"`
		Pub        hx     `json:"pub"`
		Label      string `json:"label"`
		Context    hx     `json:"context"`
		Plaintext  hx     `json:"plaintext"`
		KEMOutput  hx     `json:"kem_output"`
		Ciphertext hx     `json:"ciphertext"`
	} `json:"encrypt_with_label"`
}

func cryptoBasics(c *cryptoBasicsCase) error {
	s, err := suite.Lookup(c.Suite)
	if err != nil {
		return err
	}
	err = compare(
		pair{"RefHash", s.RefHash(c.RefHash.Label, c.RefHash.Value), c.RefHash.Out},
		pair{"ExpandWithLabel", s.ExpandWithLabel(c.Expand.Secret, c.Expand.Label, c.Expand.Context, c.Expand.Length), c.Expand.Out},
		pair{"DeriveSecret", s.DeriveSecret(c.Derive.Secret, c.Derive.Label), c.Derive.Out},
		pair{"DeriveTreeSecret", s.DeriveTreeSecret(c.Tree.Secret, c.Tree.Label, c.Tree.Generation, c.Tree.Length), c.Tree.Out})
	return first(err, c.signature(s), c.encryption(s))
}

func (c *cryptoBasicsCase) signature(s *suite.Suite) error {
	v := &c.Sign
	if err := s.VerifyWithLabel(v.Pub, v.Label, v.Content, v.Signature); err != nil {
		return err
	}
	k, err := s.ParseSignatureKey(v.Priv)
	if err != nil {
		return err
	}
	sig, err := s.SignWithLabel(k, v.Label, v.Content)
	if err != nil {
		return err
	}
	return first(compare(pair{"signature key", k.Public(), v.Pub}), s.VerifyWithLabel(v.Pub, v.Label, v.Content, sig))
}

func (c *cryptoBasicsCase) encryption(s *suite.Suite) error {
	v := &c.Encrypt
	k, err := s.ParseKey(v.Priv)
	if err != nil {
		return err
	}
	plain, err := s.DecryptWithLabel(k, v.Label, v.Context, v.KEMOutput, v.Ciphertext)
	if err != nil {
		return err
	}
	enc, ct, err := s.EncryptWithLabel(v.Pub, v.Label, v.Context, v.Plaintext)
	if err != nil {
		return err
	}
	again, err := s.DecryptWithLabel(k, v.Label, v.Context, enc, ct)
	return first(err, compare(pair{"HPKE key", k.Public(), v.Pub},
		pair{"plaintext", plain, v.Plaintext}, pair{"own plaintext", again, v.Plaintext}))
}
