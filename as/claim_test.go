package as_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"quicnprotochat/as"
	"quicnprotochat/mls"
	"quicnprotochat/quicrpc"
)

func (p *person) ofSuite(f *fixture, suite uint16, last bool) []byte {
	return p.keyPackage(f.clock(), func(s *keyPackageSpec) { s.suite, s.opts.LastResort = mls.Suite(suite), last })
}

// TestClaim: one of each suite that is asked for, each once, and the last resort of a suite only when it has no other.
func TestClaim(t *testing.T) {
	f := start(t, as.Limits{LowWater: 1})
	alice, bob := f.person(1), f.person(2)
	one, other, three := alice.ofSuite(f, 1, false), alice.ofSuite(f, 1, false), alice.ofSuite(f, 3, false)
	last1, last3 := alice.ofSuite(f, 1, true), alice.ofSuite(f, 3, true)
	if _, _, err := alice.uploadMany(last1, one, three, other, last3); err != nil {
		t.Fatal(err)
	}
	if got := alice.pools(); got != "1:2L 3:1L" {
		t.Fatalf("pools %s", got)
	}
	claim := func(suites []uint16, want ...[]byte) {
		t.Helper()
		got, err := bob.claim(alice.key[:], suites...)
		if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%d packages, %v", len(got), err)
		}
	}
	claim([]uint16{3, 1}, three, one)
	claim([]uint16{2, 3}, last3)
	claim([]uint16{1}, other)
	claim([]uint16{1, 3}, last1, last3)
	claim([]uint16{7})
	if got, err := alice.claim(bob.key[:], 1); err != nil || len(got) != 0 {
		t.Fatalf("of an owner without: %d, %v", len(got), err)
	}
	for _, suites := range [][]uint16{{}, {1, 1}, make([]uint16, 17)} {
		if _, err := bob.claim(alice.key[:], suites...); !errors.Is(err, quicrpc.ErrInvalidArgument) {
			t.Fatalf("suites %v: %v", suites, err)
		}
	}
	if _, err := bob.claim(alice.key[:31], 1); !errors.Is(err, quicrpc.ErrInvalidArgument) {
		t.Fatalf("short key: %v", err)
	}
}

// TestPoolLow: the owner hears of a low pool of a suite, of its last resort, and of nothing to give.
func TestPoolLow(t *testing.T) {
	f := start(t, as.Limits{LowWater: 2})
	alice, bob := f.person(1), f.person(2)
	var packages [][]byte
	for range 3 {
		packages = append(packages, alice.ofSuite(f, 1, false))
	}
	packages = append(packages, alice.ofSuite(f, 3, false), alice.ofSuite(f, 3, false), alice.ofSuite(f, 3, true))
	if _, _, err := alice.uploadMany(packages...); err != nil {
		t.Fatal(err)
	}
	told := func(want ...notice) {
		t.Helper()
		if got := f.told(); !slices.Equal(got, want) {
			t.Fatalf("told %v, want %v", got, want)
		}
	}
	claim := func(suites ...uint16) {
		t.Helper()
		if _, err := bob.claim(alice.key[:], suites...); err != nil {
			t.Fatal(err)
		}
	}
	claim(1)
	told()
	claim(1, 3)
	told(notice{alice.key, 1, false})
	claim(2)
	told()
	claim(3)
	told(notice{alice.key, 0, false})
	claim(3)
	told(notice{alice.key, 0, true})
	if _, err := bob.fetch(alice.key[:]); err != nil {
		t.Fatal(err)
	}
	told(notice{alice.key, 0, false})
	if _, err := alice.fetch(bob.key[:]); err != nil {
		t.Fatal(err)
	}
	told(notice{bob.key, 0, false})
}

func TestRates(t *testing.T) {
	f := start(t, as.Limits{
		ClaimPair: as.Rate{Max: 3, Per: time.Minute}, ClaimRequester: as.Rate{Max: 5, Per: 20 * time.Minute}, ClaimTarget: as.Rate{Max: 4, Per: time.Hour},
	})
	alice, bob, carol, dora := f.person(1), f.person(2), f.person(3), f.person(4)
	claim := func(p, target *person, allowed bool) {
		t.Helper()
		_, err := p.fetch(target.key[:])
		if !allowed {
			_, err = p.claim(target.key[:], 1)
		}
		if allowed && err != nil || !allowed && !errors.Is(err, quicrpc.ErrRateLimited) {
			t.Fatalf("claim: %v, allowed %v", err, allowed)
		}
	}
	for range 3 {
		claim(alice, bob, true)
	}
	claim(alice, bob, false)
	claim(alice, carol, true)
	claim(alice, alice, true)
	claim(alice, carol, false) // the requester's
	f.pass(19 * time.Minute)
	claim(alice, carol, false)
	f.pass(time.Minute)
	claim(alice, carol, true)
	claim(dora, bob, true)
	claim(dora, bob, false) // the target's
	f.pass(40 * time.Minute)
	claim(dora, bob, true)
	claim(alice, bob, true)
}

// TestDefaultRate: 6 in 10 minutes, of which none comes back before its 10 minutes are over.
func TestDefaultRate(t *testing.T) {
	f := start(t, as.Limits{})
	alice, bob := f.person(1), f.person(2)
	for i := range 12 {
		if _, err := bob.fetch(alice.key[:]); err != nil {
			t.Fatalf("claim %d: %v", i, err)
		}
		f.pass(time.Minute)
		if i%6 != 5 {
			continue
		}
		if _, err := bob.claim(alice.key[:], 1); !errors.Is(err, quicrpc.ErrRateLimited) {
			t.Fatalf("claim %d: %v", i+1, err)
		}
		f.pass(4*time.Minute - 1)
		if _, err := bob.claim(alice.key[:], 1); !errors.Is(err, quicrpc.ErrRateLimited) {
			t.Fatalf("claim %d too early: %v", i+1, err)
		}
		f.pass(1)
	}
}

func TestRatesForget(t *testing.T) {
	f := start(t, as.Limits{Claimants: 30, ClaimPair: as.Rate{Max: 1, Per: time.Hour}})
	alice := f.person(1)
	target := make([]byte, 32)
	for i := range 100 {
		binary.BigEndian.PutUint64(target, uint64(i))
		if _, err := alice.fetch(target); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := alice.fetch(target); !errors.Is(err, quicrpc.ErrRateLimited) {
		t.Fatalf("the last again: %v", err)
	}
	binary.BigEndian.PutUint64(target, 0)
	if _, err := alice.fetch(target); err != nil {
		t.Fatalf("the first, long forgotten: %v", err)
	}
}

// TestHostileClaims: one who claims all that there is gets what the limits allow, leaves the rest alone, and makes the service remember little.
func TestHostileClaims(t *testing.T) {
	f := start(t, as.Limits{})
	alice, mallory, bob := f.person(1), f.person(2), f.person(3)
	var packages [][]byte
	for range 50 {
		packages = append(packages, alice.ofSuite(f, 1, false))
	}
	if _, _, err := alice.uploadMany(packages...); err != nil {
		t.Fatal(err)
	}
	taken, refused := 0, 0
	for i := range 10_000 {
		var err error
		if i%2 == 0 {
			_, err = mallory.fetch(alice.key[:])
		} else {
			_, err = mallory.claim(alice.key[:], 3, 1)
		}
		switch {
		case err == nil:
			taken++
		case errors.Is(err, quicrpc.ErrRateLimited):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if taken != 6 || refused != 10_000-6 || alice.pools() != "1:44" {
		t.Fatalf("%d claims allowed, %d refused, pools %s", taken, refused, alice.pools())
	}
	if got, err := bob.claim(alice.key[:], 1); err != nil || !bytes.Equal(got[0], packages[6]) {
		t.Fatalf("somebody else: %v", err)
	}
	for n := 4; n < 100; n++ { // many identities of one attacker: the owner's own limit holds
		p := f.person(byte(n))
		for range 6 {
			_, _ = p.claim(alice.key[:], 7)
		}
	}
	if _, err := bob.claim(alice.key[:], 1); !errors.Is(err, quicrpc.ErrRateLimited) {
		t.Fatalf("the target's limit: %v", err)
	}
}
