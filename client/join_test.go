package client

import (
	"testing"

	"quicnprotochat/mls"
)

// welcomeFor makes a Welcome to a group of that id, as a stranger can who has a KeyPackage.
func welcomeFor(t *testing.T, by *Account, id string, public []byte) []byte {
	t.Helper()
	g, err := mls.NewGroup([]byte(id), by.mlsID, mls.GroupOptions{Policy: policy()})
	if err != nil {
		t.Fatal(err)
	}
	add, err := mls.Add(public)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.Commit(mls.CommitOptions{Proposals: []mls.Proposal{add}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Welcome
}

// TestInvitesOfStrangers: whatever id a stranger gave the group, its invitation is accepted or dropped, and those behind it are accepted.
func TestInvitesOfStrangers(t *testing.T) {
	a, stranger := newAccount(t, t.TempDir()), newAccount(t, t.TempDir())
	defer a.Close()
	defer stranger.Close()
	var in []Envelope
	for i, id := range []string{"", "a", "abc", "fifteen bytes..", "AAAAAAAAAAAAAAA1", "AAAAAAAAAAAAAAA2", "real-friend-grp1"} {
		pkg := package1(t, a, mls.KeyPackageOptions{})
		in = append(in, Envelope{Seq: uint64(i + 1), Payload: welcomeFor(t, stranger, id, pkg)})
	}
	if err := a.take(Queue{}, in); err != nil {
		t.Fatal(err)
	}
	groups, err := a.Join("", false)
	if len(groups) != 3 || err == nil {
		t.Fatalf("%d joined, %v", len(groups), err)
	}
	if groups[0].Name == groups[1].Name {
		t.Errorf("two groups are called %s", groups[0].Name)
	}
	if n, err := a.Invites(); n != 0 || err != nil {
		t.Errorf("%d invitations are kept out, %v", n, err)
	}
}
