// Package framing signs, authenticates and encrypts the messages of one epoch:
// PublicMessage and PrivateMessage, R §6.
package framing

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/treemath"
	"quicnprotochat/mls/internal/wire"
)

var (
	// ErrMembershipTag says that a PublicMessage is not from a member.
	ErrMembershipTag = errors.New("membership tag does not verify")
	// ErrPadding says that padding is not all zero, R §6.3.1.
	ErrPadding = errors.New("padding is not zero")
	// ErrPublicApplication says that application data came as a PublicMessage.
	ErrPublicApplication = errors.New("application data must be encrypted")
)

// Keys is what an epoch holds for framing.
type Keys struct {
	Suite      *suite.Suite
	Context    []byte // encoded GroupContext
	SenderData []byte
	Membership []byte
	Secrets    *schedule.SecretTree
}

const signLabel = "FramedContentTBS"

// buffers holds what is being signed, for the next one to use: it is as long as
// the message.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxBuffer is the size in bytes of the largest buffer that is kept.
const maxBuffer = 1 << 20

// withSigned calls f with the labelled FramedContentTBS, which it then wipes.
func (k *Keys) withSigned(ac *wire.AuthenticatedContent, f func(labelled []byte) error) error {
	p := buffers.Get().(*[]byte)
	b := slices.Grow((*p)[:0], ac.ToBeSignedSize(k.Context)+64)
	b, labelled := suite.Label(b, signLabel, func(b []byte) []byte { return ac.AppendToBeSigned(b, k.Context) })
	err := f(labelled)
	clear(b)
	if cap(b) <= maxBuffer {
		*p = b
		buffers.Put(p)
	}
	return err
}

// Sign sets the signature.
func (k *Keys) Sign(ac *wire.AuthenticatedContent, key *suite.SignatureKey) error {
	return k.withSigned(ac, func(labelled []byte) (err error) {
		ac.Auth.Signature, err = k.Suite.SignLabelled(key, labelled)
		return err
	})
}

// Verify checks the signature against the sender's public key.
func (k *Keys) Verify(ac *wire.AuthenticatedContent, pub []byte) error {
	return k.withSigned(ac, func(labelled []byte) error {
		return k.Suite.VerifyLabelled(pub, labelled, ac.Auth.Signature)
	})
}

// Public frames a signed content as a PublicMessage, R §6.2.
func (k *Keys) Public(ac *wire.AuthenticatedContent) *wire.PublicMessage {
	m := &wire.PublicMessage{Content: ac.Content, Auth: ac.Auth}
	if ac.Content.Sender.Type == wire.SenderMember {
		m.MembershipTag = k.Suite.MAC(k.Membership, k.toBeMACed(ac))
	}
	return m
}

func (k *Keys) toBeMACed(ac *wire.AuthenticatedContent) []byte {
	b := make([]byte, 0, ac.ToBeSignedSize(k.Context)+128)
	return ac.Auth.Append(ac.AppendToBeSigned(b, k.Context), ac.Content.Type)
}

// OpenPublic checks the membership tag. The signature is still to be verified.
func (k *Keys) OpenPublic(m *wire.PublicMessage) (*wire.AuthenticatedContent, error) {
	if m.Content.Type == wire.ContentApplication {
		return nil, ErrPublicApplication
	}
	ac := &wire.AuthenticatedContent{WireFormat: wire.FormatPublicMessage, Content: m.Content, Auth: m.Auth}
	if m.Content.Sender.Type == wire.SenderMember &&
		!k.Suite.VerifyMAC(k.Membership, k.toBeMACed(ac), m.MembershipTag) {
		return nil, ErrMembershipTag
	}
	return ac, nil
}

func kindOf(contentType uint8) schedule.Kind {
	if contentType == wire.ContentApplication {
		return schedule.Application
	}
	return schedule.Handshake
}

// senderDataLen is the size of SenderData: leaf, generation, reuse guard.
const senderDataLen = 12

// Seal encrypts a signed content of the member at its sender index and returns
// it as an MLSMessage, R §6.3. The plaintext is padded with zeros to what pad
// says for its length.
func (k *Keys) Seal(ac *wire.AuthenticatedContent, pad func(int) int) ([]byte, error) {
	c := &ac.Content
	generation, key, err := k.Secrets.Next(treemath.Leaf(c.Sender.Index), kindOf(c.Type))
	if err != nil {
		return nil, err
	}
	var sender [senderDataLen]byte
	guard := sender[8:]
	codec.AppendU32(codec.AppendU32(sender[:0], c.Sender.Index), generation)
	if _, err := rand.Read(guard); err != nil {
		return nil, err
	}
	guardNonce(key.Nonce, guard)
	m := &wire.PrivateMessage{GroupID: c.GroupID, Epoch: c.Epoch, Type: c.Type, AAD: c.AAD}
	aead := k.Suite.AEAD(key.Key)
	// The content is encrypted where it stands in the message, behind room for
	// what comes first.
	head := headRoom + len(c.GroupID) + len(c.AAD)
	b := appendPlain(head, ac, pad, aead.Overhead())
	m.Ciphertext = aead.Seal(b[head:head], key.Nonce, b[head:], contentAAD(m))
	clear(key.Key)
	clear(key.Nonce)
	sdKey, sdNonce := k.SenderDataKey(m.Ciphertext)
	m.SenderData = k.Suite.Seal(sdKey, sdNonce, senderAAD(m), sender[:])
	b = b[:head+len(m.Ciphertext)]
	first := m.AppendHead(codec.AppendU16(codec.AppendU16(make([]byte, 0, head), wire.Version), wire.FormatPrivateMessage))
	b = b[head-len(first):]
	copy(b, first)
	return b, nil
}

// headRoom bounds the size in bytes of an MLSMessage with a PrivateMessage
// without group id, AAD and ciphertext: versions, headers, epoch, sender data.
const headRoom = 96

// appendPlain encodes PrivateMessageContent, R §6.3.1, behind head bytes, with
// room for the overhead of encryption.
func appendPlain(head int, ac *wire.AuthenticatedContent, pad func(int) int, overhead int) []byte {
	c := &ac.Content
	bound := c.BodySize() + len(ac.Auth.Signature) + len(ac.Auth.ConfirmationTag) + 8
	b := make([]byte, head, head+max(bound, pad(bound))+overhead+64)
	b = ac.Auth.Append(c.AppendBody(b), c.Type)
	size := len(b) - head
	if n := pad(size); n > size {
		b = append(b, make([]byte, n-size)...)
	}
	// pad may answer differently the second time: the room behind is made sure of, not counted on.
	return slices.Grow(b, overhead)
}

func guardNonce(nonce, guard []byte) {
	for i := range guard {
		nonce[i] ^= guard[i]
	}
}

// contentAAD is PrivateContentAAD.
func contentAAD(m *wire.PrivateMessage) []byte {
	b := make([]byte, 0, len(m.GroupID)+len(m.AAD)+17)
	b = append(codec.AppendU64(codec.AppendVec(b, m.GroupID), m.Epoch), m.Type)
	return codec.AppendVec(b, m.AAD)
}

// senderAAD is SenderDataAAD.
func senderAAD(m *wire.PrivateMessage) []byte {
	b := make([]byte, 0, len(m.GroupID)+13)
	return append(codec.AppendU64(codec.AppendVec(b, m.GroupID), m.Epoch), m.Type)
}

// SenderDataKey derives the key from a sample of the ciphertext, R §6.3.2.
func (k *Keys) SenderDataKey(ciphertext []byte) (key, nonce []byte) {
	sample := ciphertext[:min(k.Suite.Nh, len(ciphertext))]
	return k.Suite.ExpandWithLabel(k.SenderData, "key", sample, k.Suite.Nk),
		k.Suite.ExpandWithLabel(k.SenderData, "nonce", sample, k.Suite.Nn)
}

// Opened is a decrypted PrivateMessage.
type Opened struct {
	wire.AuthenticatedContent
	Generation uint32
	Key        *schedule.Pending // to be spent once the content was accepted, else discarded
}

// Sender decrypts who sent a PrivateMessage, and its generation.
func (k *Keys) Sender(m *wire.PrivateMessage) (leaf, generation uint32, guard []byte, err error) {
	key, nonce := k.SenderDataKey(m.Ciphertext)
	b, err := k.Suite.Open(key, nonce, senderAAD(m), m.SenderData)
	if err != nil {
		return 0, 0, nil, fmt.Errorf("sender data: %w", err)
	}
	r := codec.NewReader(b)
	leaf, generation, guard = r.U32(), r.U32(), r.Bytes(4)
	return leaf, generation, guard, r.Done()
}

// Open decrypts a PrivateMessage of the given sender, R §6.3.1. The signature
// is still to be verified. Nothing changes until the key is spent.
func (k *Keys) Open(m *wire.PrivateMessage, leaf, generation uint32, guard []byte) (*Opened, error) {
	pending, err := k.Secrets.Find(treemath.Leaf(leaf), kindOf(m.Type), generation)
	if err != nil {
		return nil, err
	}
	o, err := k.open(m, leaf, pending.Key, guard)
	if err != nil {
		pending.Discard()
		return nil, err
	}
	o.Generation, o.Key = generation, pending
	return o, nil
}

// open decrypts a PrivateMessage under its key.
func (k *Keys) open(m *wire.PrivateMessage, leaf uint32, key schedule.Key, guard []byte) (*Opened, error) {
	nonce := slices.Clone(key.Nonce)
	guardNonce(nonce, guard)
	plain, err := k.Suite.Open(key.Key, nonce, contentAAD(m), m.Ciphertext)
	if err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	o := new(Opened)
	o.WireFormat = wire.FormatPrivateMessage
	o.Content = wire.Content{GroupID: m.GroupID, Epoch: m.Epoch, AAD: m.AAD, Type: m.Type,
		Sender: wire.Sender{Type: wire.SenderMember, Index: leaf}}
	r := codec.NewReader(plain)
	o.Content.DecodeBody(r)
	o.Auth.Decode(r, m.Type)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	for _, b := range r.Rest() {
		if b != 0 {
			return nil, ErrPadding
		}
	}
	return o, nil
}
