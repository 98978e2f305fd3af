package mls

import (
	"bytes"
	"fmt"

	"quicnprotochat/mls/internal/codec"
)

// GroupMember is the simple face of this package: one client in one group, with
// suite 1 and its commits merged at once. It is not safe for concurrent use.
// Clients that share a group through a delivery service want [Group], which
// waits for the service before it merges.
type GroupMember struct {
	id     *Identity
	bundle *KeyPackageBundle // nil: none outstanding
	group  *Group            // nil: in no group
}

// NewGroupMember returns a member with a fresh signature key and the identity
// as its basic credential.
func NewGroupMember(identity []byte) (*GroupMember, error) {
	id, err := GenerateBasicIdentity(X25519_AES128GCM_SHA256_Ed25519, identity)
	if err != nil {
		return nil, err
	}
	return &GroupMember{id: id}, nil
}

// NewGroupMemberWith returns a member with an identity that exists already.
func NewGroupMemberWith(id *Identity) *GroupMember { return &GroupMember{id: id} }

// GenerateKeyPackage returns a fresh KeyPackage, not wrapped in an MLSMessage.
// The member joins with the last one that it made.
func (m *GroupMember) GenerateKeyPackage() ([]byte, error) {
	b, err := NewKeyPackage(m.id, KeyPackageOptions{})
	if err != nil {
		return nil, err
	}
	m.bundle = b
	return b.Public(), nil
}

// CreateGroup creates a group with this member alone.
func (m *GroupMember) CreateGroup(groupID []byte) error {
	g, err := NewGroup(groupID, m.id, GroupOptions{})
	if err != nil {
		return err
	}
	m.group = g
	return nil
}

// AddMember adds the client of a KeyPackage. The commit is for all other
// members, the Welcome for the new one.
func (m *GroupMember) AddMember(keyPackage []byte) (commit, welcome []byte, err error) {
	if m.group == nil {
		return nil, nil, op("add member", ErrNotMember)
	}
	p, err := Add(keyPackage)
	if err != nil {
		return nil, nil, err
	}
	r, err := m.group.Commit(CommitOptions{Proposals: []Proposal{p}})
	if err != nil {
		return nil, nil, err
	}
	return r.Commit, r.Welcome, m.group.MergePending()
}

// JoinGroup joins the group of a Welcome for the last KeyPackage, whose private
// keys it then deletes.
func (m *GroupMember) JoinGroup(welcome []byte) error {
	if m.bundle == nil {
		return op("join", ErrNotForUs)
	}
	g, err := Join(welcome, m.bundle, m.id, JoinOptions{})
	if err != nil {
		return err
	}
	m.bundle.Wipe()
	m.group, m.bundle = g, nil
	return nil
}

// SendMessage encrypts a message for the group.
func (m *GroupMember) SendMessage(plaintext []byte) ([]byte, error) {
	if m.group == nil {
		return nil, op("send", ErrNotMember)
	}
	return m.group.Protect(plaintext, nil)
}

// ReceiveMessage processes a message of the group. It returns the plaintext of
// application data, which is not nil, and nil for a commit or proposal.
func (m *GroupMember) ReceiveMessage(message []byte) ([]byte, error) {
	if m.group == nil {
		return nil, op("receive", ErrNotMember)
	}
	p, err := m.group.Process(message)
	if err != nil || p.Kind != KindApplication {
		return nil, err
	}
	return append([]byte{}, p.Plaintext...), nil
}

// GroupID returns the id of the group, or nil in none.
func (m *GroupMember) GroupID() []byte {
	if m.group == nil {
		return nil
	}
	return m.group.GroupID()
}

// Identity returns the bytes of the member's basic credential.
func (m *GroupMember) Identity() []byte { return bytes.Clone(m.id.credential.Identity) }

// Group returns the member's group, or nil in none.
func (m *GroupMember) Group() *Group { return m.group }

const memberVersion = 1

// MarshalBinary encodes the member's whole state: a secret.
func (m *GroupMember) MarshalBinary() ([]byte, error) {
	b := codec.AppendU16([]byte{memberVersion}, m.id.suite.ID)
	b = codec.AppendVec(b, m.id.key.Bytes())
	b = m.id.credential.wire().Append(b)
	var bundle []byte
	if m.bundle != nil {
		bundle, _ = m.bundle.MarshalBinary() // never fails
	}
	b = codec.AppendVec(b, bundle)
	return codec.AppendNested(b, func(b []byte) []byte {
		if m.group == nil {
			return b
		}
		for _, r := range m.group.Snapshot() {
			b = codec.AppendVec(codec.AppendString(b, r.Key), r.Value)
		}
		return b
	}), nil
}

// UnmarshalBinary restores what MarshalBinary encoded.
func (m *GroupMember) UnmarshalBinary(data []byte) error {
	n, err := loadMember(bytes.Clone(data))
	if err != nil {
		return op("load member", err)
	}
	*m = *n
	return nil
}

func loadMember(data []byte) (*GroupMember, error) {
	r := codec.NewReader(data)
	if r.U8() != memberVersion {
		return nil, ErrState
	}
	s, key := Suite(r.U16()), r.Vec()
	var c Credential
	w := c.wire()
	w.Decode(r)
	bundle, sub := r.Vec(), r.Sub()
	var records []Record
	for sub.More() {
		records = append(records, Record{string(sub.Vec()), sub.Vec()})
	}
	r.Join(sub)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	id, err := newIdentity(s, key, fromWireCredential(w))
	if err != nil {
		return nil, err
	}
	m := &GroupMember{id: id}
	if len(bundle) > 0 {
		m.bundle = new(KeyPackageBundle)
		if err := m.bundle.UnmarshalBinary(bundle); err != nil {
			return nil, err
		}
	}
	if len(records) > 0 {
		m.group, err = LoadGroup(records, id, Policy{})
	}
	return m, err
}
