package mls

import (
	"bytes"
	"testing"
)

func TestTwoMembers(t *testing.T) {
	for _, s := range append(Suites(), PostQuantumSuites()...) {
		t.Run(s.String(), func(t *testing.T) {
			mk := func(n string) *GroupMember {
				id, err := GenerateBasicIdentity(s, []byte(n))
				if err != nil {
					t.Fatal(err)
				}
				return NewGroupMemberWith(id)
			}
			alice, bob := mk("alice"), mk("bob")
			if err := alice.CreateGroup([]byte("g")); err != nil {
				t.Fatal(err)
			}
			kp, err := bob.GenerateKeyPackage()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := InspectKeyPackage(kp); err != nil {
				t.Fatal(err)
			}
			_, welcome, err := alice.AddMember(kp)
			if err != nil {
				t.Fatal(err)
			}
			if err := bob.JoinGroup(welcome); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				for _, pair := range [][2]*GroupMember{{alice, bob}, {bob, alice}} {
					m, err := pair[0].SendMessage([]byte("hello"))
					if err != nil {
						t.Fatal(err)
					}
					got, err := pair[1].ReceiveMessage(m)
					if err != nil || string(got) != "hello" {
						t.Fatalf("%q, %v", got, err)
					}
				}
				from, to := alice, bob
				if i%2 == 1 {
					from, to = bob, alice
				}
				res, err := from.Group().Commit(CommitOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if err := from.Group().MergePending(); err != nil {
					t.Fatal(err)
				}
				if _, err := to.ReceiveMessage(res.Commit); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(alice.Group().EpochAuthenticator(), bob.Group().EpochAuthenticator()) {
					t.Fatal("authenticators differ")
				}
				b, err := bob.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				bob = new(GroupMember)
				if err := bob.UnmarshalBinary(b); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
