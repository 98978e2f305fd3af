package as_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"quicnprotochat/as"
	"quicnprotochat/names"
	"quicnprotochat/quicrpc"
)

// check expects an error, or none.
func check(t *testing.T, what string, err, want error) {
	t.Helper()
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// audited reads the whole log, in pages, and checks it.
func audited(t *testing.T, p *person) *names.Audit {
	t.Helper()
	r, err := p.resolve("x")
	if err != nil {
		t.Fatal(err)
	}
	a := names.NewAudit(r.log)
	for {
		number, hash := a.Head()
		entries, last, sum, err := p.nameLog(number+1, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			if last != number || !bytes.Equal(sum, hash[:]) {
				t.Fatalf("head %d %x, the log ends with %d %x", last, sum, number, hash)
			}
			return a
		}
		for _, e := range entries {
			if _, err := a.Next(e); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestNames(t *testing.T) {
	f := start(t, as.Limits{})
	alice, bob, phone := f.person(1), f.person(2), f.person(3)
	if r, err := bob.resolve("alice"); err != nil || r.version != 0 || len(r.key) != 0 || r.log == (names.LogID{}) {
		t.Fatalf("free: %+v, %v", r, err)
	}
	claim := alice.next(names.Claim, "alice", names.Key(alice.key))
	entry, err := alice.claimName("alice", claim.Sign(alice.private()))
	check(t, "claim", err, nil)
	again, err := alice.claimName("alice", claim.Sign(alice.private()))
	if check(t, "claim again", err, nil); !bytes.Equal(again, entry) {
		t.Error("another entry for the same claim")
	}
	check(t, "taken", second(bob.claimName("alice", bob.next(names.Claim, "alice", names.Key(bob.key)).Sign(bob.private()))), quicrpc.ErrExists)
	bob.mustClaim("bob")

	f.pass(time.Hour)
	rotateRefused(t, alice, phone, bob)
	revokeForGood(t, alice, phone, bob)
	a := audited(t, bob)
	if n, _ := a.Head(); n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
	entries, more, err := bob.history("alice", 0, 2)
	if err != nil || !more || len(entries) != 2 || !bytes.Equal(entries[0], entry) {
		t.Fatalf("history: %d entries, more %v, %v", len(entries), more, err)
	}
	if rest, more, err := bob.history("alice", 4, 256); err != nil || more || len(rest) != 1 {
		t.Fatalf("rest of the history: %d entries, more %v, %v", len(rest), more, err)
	}
}

// rotateRefused hands alice's name on to her phone, after all that must not do it.
func rotateRefused(t *testing.T, alice, phone, bob *person) {
	c := alice.next(names.Rotate, "alice", names.Key(phone.key))
	old, new := c.Sign(alice.private()), c.Sign(phone.private())
	check(t, "rotation by a stranger", second(bob.rotateName(c, old, new)), quicrpc.ErrNotAuthorized)
	check(t, "without the old key's signature", second(phone.rotateName(c, new, new)), quicrpc.ErrNotAuthorized)
	check(t, "without the new key's signature", second(phone.rotateName(c, old, old)), quicrpc.ErrNotAuthorized)
	late := *c
	late.Version++
	check(t, "another version", second(alice.rotateName(&late, late.Sign(alice.private()), late.Sign(phone.private()))), quicrpc.ErrInvalidArgument)
	other := *c
	other.New = names.Key(bob.key)
	check(t, "to another client", second(alice.rotateName(&other, other.Sign(alice.private()), other.Sign(bob.private()))), quicrpc.ErrExists)
	elsewhere := *c
	elsewhere.Log[0] ^= 1
	check(t, "signed for another log", second(alice.rotateName(c, elsewhere.Sign(alice.private()), elsewhere.Sign(phone.private()))), quicrpc.ErrNotAuthorized)
	for range 2 {
		_, err := phone.rotateName(c, old, new)
		check(t, "rotation", err, nil)
	}
	if r, err := bob.resolve("alice"); err != nil || r.version != 2 || !bytes.Equal(r.key, phone.key[:]) || r.revoked {
		t.Fatalf("rotated: %+v, %v", r, err)
	}
	for _, pair := range []struct {
		a, b *person
		want bool
	}{{alice, phone, true}, {phone, alice, true}, {bob, bob, true}, {alice, bob, false}, {bob, phone, false}} {
		if same, err := bob.same(pair.a.key[:], pair.b.key[:]); err != nil || same != pair.want {
			t.Errorf("same client: %v, %v, want %v", same, err, pair.want)
		}
	}
}

// revokeForGood has nobody get the name again.
func revokeForGood(t *testing.T, alice, phone, bob *person) {
	revoke := alice.next(names.Revoke, "alice", names.Key{})
	check(t, "revoked by the key before", second(alice.revokeName(revoke, revoke.Sign(alice.private()))), quicrpc.ErrNotAuthorized)
	_, err := bob.revokeName(revoke, revoke.Sign(phone.private())) // whoever hands it in
	check(t, "revoke", err, nil)
	for _, p := range []*person{alice, phone, bob} {
		check(t, "claim of a revoked name", second(p.claimName("alice", p.next(names.Claim, "alice", names.Key(p.key)).Sign(p.private()))), quicrpc.ErrExists)
	}
	if r, err := bob.resolve("alice"); err != nil || r.version != 3 || !r.revoked || !bytes.Equal(r.key, phone.key[:]) {
		t.Fatalf("revoked: %+v, %v", r, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestNamesRefused(t *testing.T) {
	f := start(t, as.Limits{MaxNames: 2, NameChanges: as.Rate{Max: 30, Per: time.Hour}})
	alice, bob := f.person(1), f.person(2)
	for _, name := range []string{"", "Alice", "a/b", "-a", "a.", "a b", "ä", string(make([]byte, 65)), "a\x00"} {
		check(t, fmt.Sprintf("%q", name), second(alice.resolve(name)), quicrpc.ErrInvalidArgument)
		check(t, fmt.Sprintf("claim of %q", name), second(alice.claimName(name, names.Signature{})), quicrpc.ErrInvalidArgument)
	}
	check(t, "no signature", second(alice.claimName("alice", names.Signature{})), quicrpc.ErrNotAuthorized)
	c := alice.next(names.Rotate, "alice", names.Key(bob.key))
	c.Version = 2
	check(t, "rotation of a free name", second(alice.rotateName(c, c.Sign(alice.private()), c.Sign(bob.private()))), quicrpc.ErrNotFound)
	check(t, "revocation of a free name", second(alice.revokeName(c, c.Sign(alice.private()))), quicrpc.ErrNotFound)
	alice.mustClaim("a1")
	alice.mustClaim("a2")
	revoke := alice.next(names.Revoke, "a2", names.Key{})
	check(t, "revoke", second(alice.revokeName(revoke, revoke.Sign(alice.private()))), nil)
	check(t, "third name", second(alice.claimName("a3", alice.next(names.Claim, "a3", names.Key(alice.key)).Sign(alice.private()))), quicrpc.ErrQuotaExceeded)
	c = alice.next(names.Rotate, "a1", names.Key(bob.key))
	check(t, "rotate", second(alice.rotateName(c, c.Sign(alice.private()), c.Sign(bob.private()))), nil)
	check(t, "third name of the client", second(bob.claimName("a3", bob.next(names.Claim, "a3", names.Key(bob.key)).Sign(bob.private()))), quicrpc.ErrQuotaExceeded)
	for _, most := range []uint32{0, 257} {
		_, _, err := bob.history("a1", 1, most)
		check(t, "history", err, quicrpc.ErrInvalidArgument)
		_, _, _, err = bob.nameLog(1, most)
		check(t, "log", err, quicrpc.ErrInvalidArgument)
	}
	_, _, _, err := bob.nameLog(0, 1)
	check(t, "log from 0", err, quicrpc.ErrInvalidArgument)
	check(t, "same client", second(bob.same(alice.key[:], bob.key[:31])), quicrpc.ErrInvalidArgument)
	if n, _ := audited(t, bob).Head(); n != 4 {
		t.Errorf("the log has %d entries", n)
	}
}

func TestNameRates(t *testing.T) {
	f := start(t, as.Limits{NameChanges: as.Rate{Max: 2, Per: time.Hour}, AllNameChanges: as.Rate{Max: 3, Per: time.Hour}})
	alice, bob := f.person(1), f.person(2)
	alice.mustClaim("a1")
	alice.mustClaim("a2")
	claim := func(p *person, name string) error {
		c := p.next(names.Claim, name, names.Key(p.key))
		c.Version, c.Old = 1, names.Key{}
		return second(p.claimName(name, c.Sign(p.private())))
	}
	check(t, "third change", claim(alice, "a3"), quicrpc.ErrRateLimited)
	check(t, "another's", claim(bob, "b1"), nil)
	check(t, "once more, which writes nothing", claim(bob, "b1"), nil)
	carol := f.person(3)
	check(t, "fourth of all", claim(carol, "c1"), quicrpc.ErrRateLimited)
	revoke := carol.next(names.Revoke, "b1", names.Key{})
	check(t, "revocation", second(carol.revokeName(revoke, revoke.Sign(bob.private()))), nil)
	f.pass(time.Hour)
	check(t, "an hour later", claim(alice, "a3"), nil)
}
