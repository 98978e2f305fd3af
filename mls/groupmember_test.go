package mls_test

import (
	"bytes"
	"errors"
	"testing"

	"quicnprotochat/mls"
)

func newMemberOf(t *testing.T, s mls.Suite, name string) *mls.GroupMember {
	t.Helper()
	return mls.NewGroupMemberWith(must2(mls.GenerateBasicIdentity(s, []byte(name)))(t))
}

// TestGroupMember runs the simple face through its life in every suite, saved
// and loaded at each step.
func TestGroupMember(t *testing.T) {
	for _, s := range append(mls.Suites(), mls.PostQuantumSuites()...) {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			alice, bob := newMemberOf(t, s, "alice"), newMemberOf(t, s, "bob")
			again := func(m *mls.GroupMember) {
				t.Helper()
				b := must2(m.MarshalBinary())(t)
				*m = mls.GroupMember{}
				ok(t, m.UnmarshalBinary(b))
			}
			ok(t, alice.CreateGroup([]byte("g")))
			raw := must2(bob.GenerateKeyPackage())(t)
			again(bob)
			_, welcome, err := alice.AddMember(raw)
			ok(t, err)
			again(alice)
			ok(t, bob.JoinGroup(welcome))
			again(bob)
			for _, pair := range [][2]*mls.GroupMember{{alice, bob}, {bob, alice}, {alice, bob}} {
				m := must2(pair[0].SendMessage([]byte("hello")))(t)
				again(pair[0])
				got := must2(pair[1].ReceiveMessage(m))(t)
				again(pair[1])
				if string(got) != "hello" {
					t.Errorf("%q", got)
				}
			}
			res := must2(bob.Group().Commit(mls.CommitOptions{}))(t)
			again(bob)
			ok(t, bob.Group().MergePending())
			if got, err := alice.ReceiveMessage(res.Commit); err != nil || got != nil {
				t.Errorf("a commit gives %q, %v", got, err)
			}
			if !bytes.Equal(alice.Group().EpochAuthenticator(), bob.Group().EpochAuthenticator()) {
				t.Error("authenticators differ")
			}
			if string(bob.GroupID()) != "g" || string(bob.Identity()) != "bob" {
				t.Errorf("%q in %q", bob.Identity(), bob.GroupID())
			}
		})
	}
}

func TestGroupMemberWithoutGroup(t *testing.T) {
	m := must2(mls.NewGroupMember([]byte("alone")))(t)
	if m.GroupID() != nil || m.Group() != nil {
		t.Error("in a group")
	}
	if _, err := m.SendMessage(nil); !errors.Is(err, mls.ErrNotMember) {
		t.Errorf("send: %v", err)
	}
	if _, err := m.ReceiveMessage(nil); !errors.Is(err, mls.ErrNotMember) {
		t.Errorf("receive: %v", err)
	}
	if _, _, err := m.AddMember(nil); !errors.Is(err, mls.ErrNotMember) {
		t.Errorf("add: %v", err)
	}
	if err := m.JoinGroup(nil); !errors.Is(err, mls.ErrNotForUs) {
		t.Errorf("join: %v", err)
	}
	if err := m.UnmarshalBinary([]byte{9}); !errors.Is(err, mls.ErrState) {
		t.Errorf("load: %v", err)
	}
	ok(t, m.CreateGroup([]byte("g")))
	empty := must2(m.SendMessage(nil))(t)
	if p, err := m.ReceiveMessage(empty); p != nil || !errors.Is(err, mls.ErrOwnMessage) {
		t.Errorf("own message: %q, %v", p, err)
	}
}
