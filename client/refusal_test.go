package client

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
)

// TestLargestText: the largest text that Send takes is one that the server takes too; what is too large leaves nothing in the outbox.
func TestLargestText(t *testing.T) {
	f := newFakeServer()
	alice, bob := newAccount(t, t.TempDir()), newAccount(t, t.TempDir())
	defer alice.Close()
	defer bob.Close()
	g, err := alice.CreateGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	invite(t, f, alice, g.ID, bob)
	if err := alice.Send(g.ID, make([]byte, MaxText)); err != nil {
		t.Errorf("%d bytes: %v", MaxText, err)
	}
	f.flush(t, alice, false)
	q := f.groups[g.ID].log
	if size := len(q[len(q)-1].Payload); size > maxPayload {
		t.Errorf("a text of %d bytes became a payload of %d, the server takes %d", MaxText, size, maxPayload)
	}
	err = alice.state.update(func(tx *bolt.Tx) error {
		return putOutbox(tx, outboxRecord{Kind: outboxPost, Group: []byte(g.ID), Payload: make([]byte, maxPayload+1)})
	})
	if n, nerr := alice.Unsent(); !errors.Is(err, ErrTooLarge) || nerr != nil || n != 0 {
		t.Errorf("a payload that is too large: %v; %d in the outbox, %v", err, n, nerr)
	}
}

// TestInitInterrupted: whatever an init that was killed left behind, the next one works, and keeps the key.
func TestInitInterrupted(t *testing.T) {
	dir := t.TempDir()
	key, err := certs.NewIdentityKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := certs.SaveIdentityKey(filepath.Join(dir, keyFile), key); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".state-1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	pin := certs.Pin{1}
	id, err := Create(dir, "127.0.0.1:7000", &pin)
	if err != nil || id != certs.IdentityOf(key) {
		t.Fatalf("%v %v", id, err)
	}
	a, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got, err := a.pin("127.0.0.1:7000"); err != nil || got == nil || *got != pin {
		t.Errorf("pin %v, %v", got, err)
	}
}

// TestInitKeepsWhatIsThere: no new key beside an old state, and nobody else's directory made private.
func TestInitKeepsWhatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	newAccount(t, dir).Close()
	if err := os.Remove(filepath.Join(dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir, "127.0.0.1:1", nil); !errors.Is(err, ErrStateExists) {
		t.Errorf("beside an old state: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, keyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was made: %v", err)
	}
	shared := t.TempDir()
	if err := errors.Join(os.Chmod(shared, 0o755), os.WriteFile(filepath.Join(shared, "letter"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(shared, "127.0.0.1:1", nil); !errors.Is(err, ErrState) {
		t.Errorf("a directory with other things: %v", err)
	}
	if info, err := os.Stat(shared); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("its mode is now %v, %v", info.Mode(), err)
	}
}

// TestInvitesAreBounded: many Welcomes for one KeyPackage, in one batch and in several, keep to the bound.
func TestInvitesAreBounded(t *testing.T) {
	alice, bob := newAccount(t, t.TempDir()), newAccount(t, t.TempDir())
	defer alice.Close()
	defer bob.Close()
	g, err := alice.CreateGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	f := newFakeServer()
	invite(t, f, alice, g.ID, bob)
	welcome := f.inboxes[bob.id][0].Payload
	seq := uint64(0)
	for range 3 {
		batch := make([]Envelope, maxInvites/2+10)
		for i := range batch {
			seq++
			batch[i] = Envelope{Seq: seq, Payload: welcome}
		}
		if err := bob.take(Queue{}, batch); err != nil {
			t.Fatal(err)
		}
		if n, err := bob.Invites(); n > maxInvites || err != nil {
			t.Errorf("%d invitations, %v", n, err)
		}
	}
}

// TestKeyPackageOfAnother: the server cannot pass off somebody else's KeyPackage.
func TestKeyPackageOfAnother(t *testing.T) {
	alice, bob := newAccount(t, t.TempDir()), newAccount(t, t.TempDir())
	defer alice.Close()
	defer bob.Close()
	pkg := package1(t, bob, mls.KeyPackageOptions{})
	if _, err := checkKeyPackage(pkg, bob.id); err != nil {
		t.Errorf("bob's own: %v", err)
	}
	if _, err := checkKeyPackage(pkg, alice.id); !errors.Is(err, ErrInvalid) {
		t.Errorf("bob's for alice's: %v", err)
	}
	pkg[len(pkg)-1] ^= 1
	if _, err := checkKeyPackage(pkg, bob.id); !errors.Is(err, ErrInvalid) || !errors.Is(err, mls.ErrSignature) {
		t.Errorf("forged: %v", err)
	}
}
