package mls_test

import (
	"fmt"
	"log"

	"quicnprotochat/mls"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Two clients meet in a group and talk. The messages pass through a delivery
// service that is not shown.
func Example() {
	suite := mls.X25519_AES128GCM_SHA256_Ed25519
	alice, err := mls.GenerateBasicIdentity(suite, []byte("alice"))
	check(err)
	bob, err := mls.GenerateBasicIdentity(suite, []byte("bob"))
	check(err)

	// Bob publishes a KeyPackage.
	bundle, err := mls.NewKeyPackage(bob, mls.KeyPackageOptions{})
	check(err)

	// Alice creates a group and adds him.
	atAlice, err := mls.NewGroup([]byte("our group"), alice, mls.GroupOptions{})
	check(err)
	add, err := mls.Add(bundle.Public())
	check(err)
	result, err := atAlice.Commit(mls.CommitOptions{Proposals: []mls.Proposal{add}})
	check(err)
	check(atAlice.MergePending()) // once the delivery service has accepted it

	// Bob joins with the Welcome.
	atBob, err := mls.Join(result.Welcome, bundle, bob, mls.JoinOptions{})
	check(err)
	bundle.Wipe()

	message, err := atAlice.Protect([]byte("Hello Bob!"), nil)
	check(err)
	got, err := atBob.Process(message)
	check(err)
	fmt.Printf("%s: %s\n", got.SenderCredential.Identity, got.Plaintext)
	// Output: alice: Hello Bob!
}

// GroupMember merges its commits at once and needs no identity of its own.
func ExampleGroupMember() {
	alice, err := mls.NewGroupMember([]byte("alice"))
	check(err)
	bob, err := mls.NewGroupMember([]byte("bob"))
	check(err)
	check(alice.CreateGroup([]byte("our group")))
	keyPackage, err := bob.GenerateKeyPackage()
	check(err)
	_, welcome, err := alice.AddMember(keyPackage)
	check(err)
	check(bob.JoinGroup(welcome))
	message, err := bob.SendMessage([]byte("Hello Alice!"))
	check(err)
	plaintext, err := alice.ReceiveMessage(message)
	check(err)
	fmt.Printf("%s\n", plaintext)
	// Output: Hello Alice!
}

// A client stores what changed, in one transaction, before it sends.
func ExampleGroup_Changes() {
	id, err := mls.GenerateBasicIdentity(mls.X25519_AES128GCM_SHA256_Ed25519, []byte("alice"))
	check(err)
	group, err := mls.NewGroup([]byte("our group"), id, mls.GroupOptions{})
	check(err)
	disk := make(map[string][]byte)
	save := func() int {
		changes := group.Changes()
		for _, r := range changes {
			if r.Value == nil {
				delete(disk, r.Key)
			} else {
				disk[r.Key] = r.Value
			}
		}
		group.Saved()
		return len(changes)
	}
	save()
	for range 2 {
		_, err = group.Protect([]byte("hello"), nil)
		check(err)
		fmt.Println("records after a message:", save())
	}

	var records []mls.Record
	for k, v := range disk {
		records = append(records, mls.Record{Key: k, Value: v})
	}
	group, err = mls.LoadGroup(records, id, mls.Policy{})
	check(err)
	fmt.Println("epoch", group.Epoch(), "of", string(group.GroupID()))
	// Output:
	// records after a message: 2
	// records after a message: 1
	// epoch 0 of our group
}
