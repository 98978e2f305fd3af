package framing

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// member returns the keys of one epoch of 4 leaves, as each member has them.
func member(s *suite.Suite) *Keys {
	secret := func(b byte) []byte { return bytes.Repeat([]byte{b}, s.Nh) }
	return &Keys{Suite: s, Context: []byte("context"), SenderData: secret(1), Membership: secret(2),
		Secrets: schedule.NewSecretTree(s, 4, secret(3), schedule.Limits{Forward: 10, Kept: 10})}
}

func content(format uint16, data, aad []byte) *wire.AuthenticatedContent {
	ac := &wire.AuthenticatedContent{WireFormat: format}
	ac.Content = wire.Content{GroupID: []byte("group"), Epoch: 7, AAD: aad, Sender: wire.Sender{Type: wire.SenderMember, Index: 2}}
	ac.Content.SetApplication(data)
	return ac
}

func signer(t interface{ Fatal(...any) }, s *suite.Suite) *suite.SignatureKey {
	k, err := s.GenerateSignatureKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func lookup(t interface{ Fatal(...any) }, id uint16) *suite.Suite {
	s, err := suite.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t interface{ Fatal(...any) }, raw []byte) *wire.PrivateMessage {
	var m wire.Message
	r := codec.NewReader(raw)
	m.Decode(r)
	if err := r.Done(); err != nil || m.Private == nil {
		t.Fatal("no PrivateMessage", err)
	}
	return m.Private
}

// openFrom opens a message as its receiver.
func openFrom(k *Keys, m *wire.PrivateMessage) (*Opened, error) {
	leaf, generation, guard, err := k.Sender(m)
	if err != nil {
		return nil, err
	}
	return k.Open(m, leaf, generation, guard)
}

// TestSealOpen encrypts in place whatever the sizes of data, AAD and padding,
// changes nothing of the caller's, and leaves no plaintext behind the message.
func TestSealOpen(t *testing.T) {
	classical, _ := suite.All()
	keys := make(map[uint16]*suite.SignatureKey)
	for _, id := range classical {
		keys[id] = signer(t, lookup(t, id))
	}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.SampledFrom(classical).Draw(t, "suite")
		s := lookup(t, id)
		sender, receiver := member(s), member(s)
		for range rapid.IntRange(1, 3).Draw(t, "messages") {
			data := bytes.Repeat([]byte("secret words "), rapid.IntRange(0, 1500).Draw(t, "data"))
			aad := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "aad")
			ac := content(wire.FormatPrivateMessage, data, aad)
			if err := sender.Sign(ac, keys[id]); err != nil {
				t.Fatal(err)
			}
			wantData, wantAAD := bytes.Clone(data), bytes.Clone(aad)
			pads := rapid.SliceOfN(rapid.IntRange(-5, 40000), 2, 2).Draw(t, "pads")
			call := 0
			raw, err := sender.Seal(ac, func(n int) int { // answers differently each time
				call++
				return n + pads[call%2]
			})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(data, wantData) || !bytes.Equal(aad, wantAAD) {
				t.Fatal("what the caller holds was changed")
			}
			if len(data) > 0 && bytes.Contains(raw[:cap(raw)], data[:13]) {
				t.Fatal("plaintext is left in the message's memory")
			}
			m := parse(t, raw)
			o, err := openFrom(receiver, m)
			if err != nil {
				t.Fatal(err)
			}
			if err := receiver.Verify(&o.AuthenticatedContent, keys[id].Public()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(o.Content.Application, data) || !bytes.Equal(o.Content.AAD, aad) || o.Content.Sender.Index != 2 {
				t.Fatalf("opened something else: %d bytes of leaf %d", len(o.Content.Application), o.Content.Sender.Index)
			}
			clear(raw)
			if !bytes.Equal(o.Content.Application, wantData) {
				t.Fatal("the plaintext is memory of the message")
			}
			o.Key.Spend()
		}
	})
}

// TestForged changes a bit of each part of a message: it is refused, and the
// message itself can be opened afterwards.
func TestForged(t *testing.T) {
	s := lookup(t, suite.X25519AES128)
	key := signer(t, s)
	sender, receiver := member(s), member(s)
	ac := content(wire.FormatPrivateMessage, []byte("data"), []byte("aad"))
	if err := sender.Sign(ac, key); err != nil {
		t.Fatal(err)
	}
	raw, err := sender.Seal(ac, func(n int) int { return n })
	if err != nil {
		t.Fatal(err)
	}
	good := parse(t, raw)
	forge := map[string]func(*wire.PrivateMessage){
		"group id":         func(m *wire.PrivateMessage) { m.GroupID[0] ^= 1 },
		"epoch":            func(m *wire.PrivateMessage) { m.Epoch++ },
		"content type":     func(m *wire.PrivateMessage) { m.Type = wire.ContentCommit },
		"AAD":              func(m *wire.PrivateMessage) { m.AAD[0] ^= 1 },
		"sender data":      func(m *wire.PrivateMessage) { m.SenderData[0] ^= 1 },
		"short sender":     func(m *wire.PrivateMessage) { m.SenderData = m.SenderData[:5] },
		"ciphertext":       func(m *wire.PrivateMessage) { m.Ciphertext[0] ^= 1 },
		"ciphertext's end": func(m *wire.PrivateMessage) { m.Ciphertext[len(m.Ciphertext)-1] ^= 1 },
		"no ciphertext":    func(m *wire.PrivateMessage) { m.Ciphertext = nil },
	}
	for name, f := range forge {
		m := parse(t, bytes.Clone(raw))
		f(m)
		if _, err := openFrom(receiver, m); !errors.Is(err, suite.ErrDecrypt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	leaf, generation, guard, err := receiver.Sender(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() (*Opened, error){
		"another leaf":       func() (*Opened, error) { return receiver.Open(good, leaf+1, generation, guard) },
		"another generation": func() (*Opened, error) { return receiver.Open(good, leaf, generation+1, guard) },
		"another guard":      func() (*Opened, error) { return receiver.Open(good, leaf, generation, []byte{1, 2, 3, 4}) },
	} {
		if _, err := f(); !errors.Is(err, suite.ErrDecrypt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o, err := openFrom(receiver, good)
	if err != nil || string(o.Content.Application) != "data" {
		t.Fatalf("after all forgeries: %v", err)
	}
	other := signer(t, s)
	if err := receiver.Verify(&o.AuthenticatedContent, other.Public()); !errors.Is(err, suite.ErrSignature) {
		t.Errorf("another's signature: %v", err)
	}
}

// TestPadding encrypts contents that no member of ours would.
func TestPadding(t *testing.T) {
	s := lookup(t, suite.X25519AES128)
	for name, c := range map[string]struct {
		plain []byte
		err   error
	}{
		"no zero":     {[]byte{2, 'h', 'i', 1, 's', 0, 0, 1}, ErrPadding},
		"first":       {[]byte{2, 'h', 'i', 1, 's', 9, 0, 0}, ErrPadding},
		"cut":         {[]byte{2, 'h'}, codec.ErrTruncated},
		"nothing":     {nil, codec.ErrTruncated},
		"no auth":     {[]byte{2, 'h', 'i'}, codec.ErrTruncated},
		"all in turn": {[]byte{2, 'h', 'i', 1, 's', 0, 0, 0}, nil},
	} {
		sender, receiver := member(s), member(s)
		generation, key, err := sender.Secrets.Next(2, schedule.Application)
		if err != nil {
			t.Fatal(err)
		}
		m := &wire.PrivateMessage{GroupID: []byte("group"), Type: wire.ContentApplication}
		m.Ciphertext = s.Seal(key.Key, key.Nonce, contentAAD(m), c.plain)
		o, err := receiver.Open(m, 2, generation, make([]byte, 4))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && string(o.Content.Application) != "hi" {
			t.Errorf("%s: %q", name, o.Content.Application)
		}
	}
}

// TestPublic checks membership tags.
func TestPublic(t *testing.T) {
	s := lookup(t, suite.X25519AES128)
	k := member(s)
	ac := content(wire.FormatPublicMessage, nil, []byte("aad"))
	ac.Content.SetProposal(&wire.Proposal{Type: wire.ProposalRemove, Remove: 1})
	if err := k.Sign(ac, signer(t, s)); err != nil {
		t.Fatal(err)
	}
	if got, err := k.OpenPublic(k.Public(ac)); err != nil || !bytes.Equal(got.Auth.Signature, ac.Auth.Signature) {
		t.Fatalf("%v", err)
	}
	for name, f := range map[string]func(*wire.PublicMessage){
		"tag":       func(m *wire.PublicMessage) { m.MembershipTag[0] ^= 1 },
		"no tag":    func(m *wire.PublicMessage) { m.MembershipTag = nil },
		"content":   func(m *wire.PublicMessage) { m.Content.Epoch++ },
		"signature": func(m *wire.PublicMessage) { m.Auth.Signature = bytes.Repeat([]byte{1}, 64) },
	} {
		m := k.Public(ac)
		f(m)
		if _, err := k.OpenPublic(m); !errors.Is(err, ErrMembershipTag) {
			t.Errorf("%s: %v", name, err)
		}
	}
	app := content(wire.FormatPublicMessage, []byte("data"), nil)
	if _, err := k.OpenPublic(k.Public(app)); !errors.Is(err, ErrPublicApplication) {
		t.Errorf("application data: %v", err)
	}
}

// TestBuffers signs and verifies in many goroutines, which share the buffers.
func TestBuffers(t *testing.T) {
	s := lookup(t, suite.X25519AES128)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := signer(t, s)
			for n := range 40 {
				data := bytes.Repeat(fmt.Appendf(nil, "%d of %d.", n, i), 1+n*50)
				ac := content(wire.FormatPrivateMessage, data, nil)
				if err := member(s).Sign(ac, key); err != nil {
					t.Error(err)
				}
				if err := member(s).Verify(ac, key.Public()); err != nil {
					t.Errorf("message %d of %d: %v", n, i, err)
				}
			}
		})
	}
	wg.Wait()
	for range 20 {
		b := *buffers.Get().(*[]byte)
		if b = b[:cap(b)]; !bytes.Equal(b, make([]byte, len(b))) {
			t.Fatal("a buffer was given back with what was signed")
		}
	}
}
