package wire

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/mls/internal/codec"
)

var (
	genBytes = rapid.SliceOfN(rapid.Byte(), 0, 80)
	genU16s  = rapid.Custom(func(t *rapid.T) U16s {
		return MakeU16s(rapid.SliceOfN(rapid.Uint16(), 0, 6).Draw(t, "list")...)
	})
	genCredential = rapid.Custom(func(t *rapid.T) Credential {
		if rapid.Bool().Draw(t, "basic") {
			return Credential{Type: CredentialBasic, Identity: genBytes.Draw(t, "identity")}
		}
		return Credential{Type: CredentialX509, Chain: rapid.SliceOfN(genBytes, 0, 3).Draw(t, "chain")}
	})
	genExtensions = rapid.Custom(func(t *rapid.T) Extensions {
		var l Extensions
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			l = append(l, Extension{rapid.Uint16().Draw(t, "type"), genBytes.Draw(t, "data")})
		}
		return l
	})
	genLeaf = rapid.Custom(func(t *rapid.T) *LeafNode {
		n := &LeafNode{EncryptionKey: genBytes.Draw(t, "key"), SignatureKey: genBytes.Draw(t, "signer"),
			Credential: genCredential.Draw(t, "credential"),
			Capabilities: Capabilities{genU16s.Draw(t, "versions"), genU16s.Draw(t, "suites"), genU16s.Draw(t, "extensions"),
				genU16s.Draw(t, "proposals"), genU16s.Draw(t, "credentials")},
			Source: rapid.Uint8Range(1, 3).Draw(t, "source"), Extensions: genExtensions.Draw(t, "extensions"),
			Signature: genBytes.Draw(t, "signature")}
		switch n.Source {
		case SourceKeyPackage:
			n.NotBefore, n.NotAfter = rapid.Uint64().Draw(t, "from"), rapid.Uint64().Draw(t, "to")
		case SourceCommit:
			n.ParentHash = genBytes.Draw(t, "parent hash")
		}
		return reread(t, n)
	})
	genPackage = rapid.Custom(func(t *rapid.T) *KeyPackage {
		return reread(t, &KeyPackage{Version: rapid.Uint16().Draw(t, "version"), Suite: rapid.Uint16().Draw(t, "suite"),
			InitKey: genBytes.Draw(t, "init"), Leaf: *genLeaf.Draw(t, "leaf"),
			Extensions: genExtensions.Draw(t, "extensions"), Signature: genBytes.Draw(t, "signature")})
	})
	genPSK = rapid.Custom(func(t *rapid.T) *PSKID {
		if rapid.Bool().Draw(t, "external") {
			return &PSKID{Type: PSKExternal, ID: genBytes.Draw(t, "id"), Nonce: genBytes.Draw(t, "nonce")}
		}
		return &PSKID{Type: PSKResumption, Usage: rapid.Uint8Range(1, 3).Draw(t, "usage"), GroupID: genBytes.Draw(t, "group"),
			Epoch: rapid.Uint64().Draw(t, "epoch"), Nonce: genBytes.Draw(t, "nonce")}
	})
	genProposal = rapid.Custom(func(t *rapid.T) *Proposal {
		p := &Proposal{Type: rapid.Uint16Range(1, 7).Draw(t, "type")}
		switch p.Type {
		case ProposalAdd:
			p.Add = genPackage.Draw(t, "package")
		case ProposalUpdate:
			p.Update = genLeaf.Draw(t, "leaf")
		case ProposalRemove:
			p.Remove = rapid.Uint32().Draw(t, "leaf index")
		case ProposalPSK:
			p.PSK = genPSK.Draw(t, "psk")
		case ProposalReInit:
			p.ReInit = &ReInit{genBytes.Draw(t, "group"), rapid.Uint16().Draw(t, "version"), rapid.Uint16().Draw(t, "suite"), genExtensions.Draw(t, "list")}
		case ProposalExternalInit:
			p.ExternalInit = genBytes.Draw(t, "kem output")
		default:
			p.Extensions = genExtensions.Draw(t, "list")
		}
		return p
	})
	genCommit = rapid.Custom(func(t *rapid.T) *Commit {
		c := &Commit{}
		for range rapid.IntRange(0, 3).Draw(t, "proposals") {
			if rapid.Bool().Draw(t, "by value") {
				c.Proposals = append(c.Proposals, ProposalOrRef{Proposal: genProposal.Draw(t, "proposal")})
			} else {
				c.Proposals = append(c.Proposals, ProposalOrRef{Ref: genBytes.Draw(t, "ref")})
			}
		}
		if rapid.Bool().Draw(t, "path") {
			c.Path = &UpdatePath{Leaf: *genLeaf.Draw(t, "leaf")}
			for range rapid.IntRange(0, 3).Draw(t, "nodes") {
				n := UpdatePathNode{EncryptionKey: genBytes.Draw(t, "key")}
				for range rapid.IntRange(0, 2).Draw(t, "secrets") {
					n.Secrets = append(n.Secrets, Ciphertext{genBytes.Draw(t, "enc"), genBytes.Draw(t, "ct")})
				}
				c.Path.Nodes = append(c.Path.Nodes, n)
			}
		}
		return c
	})
)

// reread returns v as a decoder sees it.
func reread[T any, P interface {
	*T
	Decoder
	codec.Encoder
}](t *rapid.T, v P) P {
	out := P(new(T))
	if err := Decode(codec.Encode(v), out); err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	return out
}

type both interface {
	Decoder
	codec.Encoder
}

// same checks that an encoding decodes into fresh and encodes to itself.
func same(t *rapid.T, b []byte, fresh both) {
	t.Helper()
	if err := Decode(b, fresh); err != nil {
		t.Fatalf("%T: %v", fresh, err)
	}
	if !bytes.Equal(codec.Encode(fresh), b) {
		t.Fatalf("%T is encoded differently", fresh)
	}
	for _, cut := range []int{0, len(b) / 3, len(b) - 1} {
		if err := Decode(b[:cut], fresh); err == nil {
			t.Fatalf("%T decodes from %d of %d bytes", fresh, cut, len(b))
		}
	}
	if err := Decode(append(bytes.Clone(b), 0), fresh); !errors.Is(err, codec.ErrTrailing) {
		t.Fatalf("%T: trailing byte: %v", fresh, err)
	}
}

func TestStructuresRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		same(t, genLeaf.Draw(t, "leaf").Append(nil), new(LeafNode))
		same(t, genPackage.Draw(t, "package").Append(nil), new(KeyPackage))
		same(t, genProposal.Draw(t, "proposal").Append(nil), new(Proposal))
		same(t, genCommit.Draw(t, "commit").Append(nil), new(Commit))
		context := GroupContext{1, rapid.Uint16().Draw(t, "suite"), genBytes.Draw(t, "id"), rapid.Uint64().Draw(t, "epoch"),
			genBytes.Draw(t, "tree"), genBytes.Draw(t, "transcript"), genExtensions.Draw(t, "list")}
		same(t, context.Append(nil), new(GroupContext))
		info := GroupInfo{Context: context, Extensions: genExtensions.Draw(t, "info"), ConfirmationTag: genBytes.Draw(t, "tag"),
			Signer: rapid.Uint32().Draw(t, "signer"), Signature: genBytes.Draw(t, "signature")}
		same(t, info.Append(nil), new(GroupInfo))
		secrets := GroupSecrets{JoinerSecret: genBytes.Draw(t, "joiner"), PSKs: []PSKID{*genPSK.Draw(t, "psk")}}
		if rapid.Bool().Draw(t, "path secret") {
			secrets.PathSecret = append([]byte{}, genBytes.Draw(t, "secret")...)
		}
		same(t, secrets.Append(nil), new(GroupSecrets))
	})
}

func TestMessagesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Content{GroupID: genBytes.Draw(t, "id"), Epoch: rapid.Uint64().Draw(t, "epoch"), AAD: genBytes.Draw(t, "aad"),
			Sender: Sender{Type: rapid.Uint8Range(1, 4).Draw(t, "sender")}}
		if c.Sender.Type <= SenderExternal {
			c.Sender.Index = rapid.Uint32().Draw(t, "index")
		}
		switch rapid.IntRange(1, 3).Draw(t, "content") {
		case 1:
			c.SetApplication(genBytes.Draw(t, "data"))
		case 2:
			c.SetProposal(genProposal.Draw(t, "proposal"))
		case 3:
			c.SetCommit(genCommit.Draw(t, "commit"))
		}
		auth := Auth{Signature: genBytes.Draw(t, "signature"), ConfirmationTag: genBytes.Draw(t, "tag")}
		pub := &PublicMessage{Content: c, Auth: auth, MembershipTag: genBytes.Draw(t, "membership")}
		same(t, (&AuthenticatedContent{1, c, auth}).Append(nil), new(AuthenticatedContent))
		priv := &PrivateMessage{c.GroupID, c.Epoch, c.Type, c.AAD, genBytes.Draw(t, "sender data"), genBytes.Draw(t, "ciphertext")}
		welcome := &Welcome{1, []EncryptedGroupSecrets{{genBytes.Draw(t, "ref"), Ciphertext{genBytes.Draw(t, "enc"), genBytes.Draw(t, "ct")}}}, genBytes.Draw(t, "info")}
		for _, m := range []*Message{
			{Format: FormatPublicMessage, Public: pub}, {Format: FormatPrivateMessage, Private: priv},
			{Format: FormatWelcome, Welcome: welcome}, {Format: FormatKeyPackage, KeyPackage: genPackage.Draw(t, "package")},
		} {
			same(t, m.Append(nil), new(Message))
		}
	})
}

func TestUnknownTypes(t *testing.T) {
	for name, v := range map[string]struct {
		b    []byte
		into Decoder
		want error
	}{
		"credential":      {[]byte{0, 9, 0}, new(Credential), ErrUnsupported},
		"proposal":        {[]byte{0x0a, 0x0a, 0}, new(Proposal), ErrUnsupported},
		"version":         {[]byte{0, 2, 0, 1}, new(Message), ErrUnsupported},
		"wire format":     {[]byte{0, 1, 0, 6}, new(Message), ErrUnsupported},
		"sender":          {[]byte{5}, new(Sender), codec.ErrEnum},
		"psk type":        {[]byte{3}, new(PSKID), codec.ErrEnum},
		"psk usage":       {[]byte{2, 4}, new(PSKID), codec.ErrEnum},
		"proposal or ref": {[]byte{3}, new(ProposalOrRef), codec.ErrEnum},
		"odd list":        {[]byte{1, 0}, new(Capabilities), codec.ErrTruncated},
	} {
		if err := Decode(v.b, v.into); !errors.Is(err, v.want) {
			t.Errorf("%s: %v, want %v", name, err, v.want)
		}
	}
}

func TestDetachSharesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genLeaf.Draw(t, "leaf")
		d := n.Detach()
		want := codec.Encode(n)
		for i := range n.raw {
			n.raw[i] ^= 0xff
		}
		if !bytes.Equal(codec.Encode(d), want) || !bytes.Equal(d.Raw(), want) {
			t.Fatal("a detached leaf changes with its message")
		}
	})
}

func TestExtensions(t *testing.T) {
	l := Extensions{{1, []byte("a")}, {2, []byte("b")}}
	m := l.Set(2, []byte("c")).Set(3, nil)
	if d, _ := l.Find(2); string(d) != "b" || len(m) != 3 || !m.Unique() || append(m, m[0]).Unique() {
		t.Errorf("%v %v", l, m)
	}
}

// decoders are all structures that come from peers.
var decoders = []func() both{
	func() both { return new(Message) }, func() both { return new(Proposal) }, func() both { return new(Commit) },
	func() both { return new(GroupSecrets) }, func() both { return new(GroupInfo) }, func() both { return new(KeyPackage) },
	func() both { return new(LeafNode) }, func() both { return new(AuthenticatedContent) },
	func() both { return new(RequiredCapabilities) }, func() both { return new(ExternalSenders) }, func() both { return new(UpdatePath) },
}

// FuzzDecode reads every structure: what can be read is written back the same.
func FuzzDecode(f *testing.F) {
	f.Add(uint8(0), []byte{0, 1, 0, 1, 1, 'g', 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 2, 'h', 'i', 0, 0})
	f.Add(uint8(2), []byte{3, 2, 1, 'r', 0})
	f.Add(uint8(3), []byte{1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		v := decoders[int(which)%len(decoders)]()
		if Decode(b, v) == nil && !bytes.Equal(codec.Encode(v), b) {
			t.Fatalf("%T is written back differently", v)
		}
	})
}
