package as_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"quicnprotochat/as"
	"quicnprotochat/ds"

	"quicnprotochat/mls"
	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

func TestPool(t *testing.T) {
	f := start(t, as.Limits{})
	alice, bob := f.person(1), f.person(2)
	k := make([][]byte, 3)
	for i := range k {
		k[i] = alice.keyPackage(f.clock(), nil)
	}
	last := alice.keyPackage(f.clock(), func(s *keyPackageSpec) { s.opts.LastResort = true })
	sum := sha256.Sum256(k[0])
	for _, key := range [][]byte{nil, alice.key[:]} {
		if got, err := alice.upload(key, k[0]); err != nil || !bytes.Equal(got, sum[:]) {
			t.Fatalf("fingerprint %x, %v, want %x", got, err, sum)
		}
	}
	available, fingerprints, err := alice.uploadMany(k[1], k[2], last, k[0])
	if err != nil || available != 3 || len(fingerprints) != 4 || !bytes.Equal(fingerprints[3], sum[:]) {
		t.Fatalf("%d available, %d fingerprints, %v", available, len(fingerprints), err)
	}
	for i := range k {
		if got, err := bob.fetch(alice.key[:]); err != nil || !bytes.Equal(got, k[i]) {
			t.Fatalf("package %d: %v", i, err)
		}
	}
	for range 2 {
		if got, err := bob.fetch(alice.key[:]); err != nil || !bytes.Equal(got, last) {
			t.Fatalf("last resort: %v", err)
		}
	}
	if got, err := alice.upload(nil, k[0]); err != nil || !bytes.Equal(got, sum[:]) {
		t.Fatalf("again after hand-out: %v", err)
	}
	if n, l := alice.pool(); n != 0 || !l {
		t.Fatalf("pool of %d, last resort %v", n, l)
	}
	if got, err := alice.fetch(bob.key[:]); err != nil || len(got) != 0 {
		t.Fatalf("an empty pool gave %d bytes, %v", len(got), err)
	}
	got := f.Calls()
	for name, want := range map[string]uint64{"uploadKeyPackage": 3, "fetchKeyPackage": 6, "uploadKeyPackages": 1, "poolStatus": 1, "serverInfo": 0, "sameClient": 0} {
		if n, ok := got[name]; !ok || n != want {
			t.Errorf("%d calls of %s, want %d", n, name, want)
		}
	}
}

// TestValidation: each package that breaks a rule is refused, and none of a batch with one such is taken.
func TestValidation(t *testing.T) {
	f := start(t, as.Limits{MaxLifetime: 100 * 24 * time.Hour, Suites: []mls.Suite{1, 3}})
	alice, bob := f.person(1), f.person(2)
	now := f.clock()
	flip := func(at int) []byte {
		raw := alice.keyPackage(now, nil)
		raw[(at+len(raw))%len(raw)] ^= 1
		return raw
	}
	good := alice.keyPackage(now, nil)
	cases := map[string][]byte{
		"empty":                 {},
		"noise":                 bytes.Repeat([]byte{7}, 300),
		"truncated":             good[:len(good)-1],
		"trailing byte":         append(bytes.Clone(good), 0),
		"too large":             make([]byte, store.MaxKeyPackage+1),
		"package signature":     flip(-1),
		"init key":              flip(10),
		"wrapped":               alice.keyPackage(now, func(s *keyPackageSpec) { s.wrap = true }),
		"expired":               alice.keyPackage(now.Add(-200*24*time.Hour), nil),
		"of the future":         alice.keyPackage(now.Add(3*time.Hour), nil),
		"lives too long":        alice.keyPackage(now, func(s *keyPackageSpec) { s.opts.Lifetime = 101 * 24 * time.Hour }),
		"other suite":           alice.keyPackage(now, func(s *keyPackageSpec) { s.suite = 2 }),
		"lived too long":        alice.keyPackage(now.Add(-90*24*time.Hour), func(s *keyPackageSpec) { s.opts.Lifetime = 102 * 24 * time.Hour }),
		"another's credential":  alice.keyPackage(now, func(s *keyPackageSpec) { s.identity = bob.key[:] }),
		"a name for credential": alice.keyPackage(now, func(s *keyPackageSpec) { s.identity = []byte("alice") }),
		"another's key":         alice.keyPackage(now, func(s *keyPackageSpec) { s.seed = bob.seed }),
		"all another's":         bob.keyPackage(now, nil),
	}
	for name, raw := range cases {
		if _, err := alice.upload(nil, raw); !errors.Is(err, quicrpc.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Logf("%s: %v", name, err)
		}
		if _, _, err := alice.uploadMany(alice.keyPackage(now, nil), raw); !errors.Is(err, quicrpc.ErrInvalidArgument) {
			t.Errorf("%s, the second of two: %v", name, err)
		}
	}
	if _, err := alice.upload(bob.key[:], good); !errors.Is(err, quicrpc.ErrNotAuthorized) {
		t.Errorf("for another: %v", err)
	}
	if _, err := alice.upload(bob.key[:31], good); !errors.Is(err, quicrpc.ErrInvalidArgument) {
		t.Errorf("for a short key: %v", err)
	}
	if _, err := alice.fetch(bob.key[:31]); !errors.Is(err, quicrpc.ErrInvalidArgument) {
		t.Errorf("fetch of a short key: %v", err)
	}
	if _, _, err := alice.uploadMany(); !errors.Is(err, quicrpc.ErrInvalidArgument) {
		t.Errorf("no packages: %v", err)
	}
	if n, last := alice.pool(); n != 0 || last {
		t.Fatalf("%d packages were taken, last resort %v", n, last)
	}
	if _, err := alice.upload(nil, alice.keyPackage(now, func(s *keyPackageSpec) { s.suite = 3 })); err != nil {
		t.Errorf("suite 3: %v", err)
	}
}

func TestConflictsAndQuota(t *testing.T) {
	f := &fixture{t: t, now: time.Unix(1_750_000_000, 0)}
	f.Service = as.New(as.Config{Store: memory.New(memory.Options{Clock: f.clock, Quota: store.Quota{KeyPackages: 2}}), Clock: f.clock})
	alice := f.person(1)
	k := alice.keyPackage(f.clock(), nil)
	if _, _, err := alice.uploadMany(k, alice.keyPackage(f.clock(), nil), alice.keyPackage(f.clock(), nil)); !errors.Is(err, quicrpc.ErrQuotaExceeded) {
		t.Fatalf("three packages: %v", err)
	}
	if n, _ := alice.pool(); n != 0 {
		t.Fatalf("%d packages of a refused call", n)
	}
	if _, _, err := alice.uploadMany(k, k); err != nil {
		t.Fatalf("the same twice: %v", err)
	}
	if n, _ := alice.pool(); n != 1 {
		t.Fatalf("%d packages, want 1", n)
	}
	f.pass(84 * 24 * time.Hour)
	if n, _ := alice.pool(); n != 0 {
		t.Fatalf("%d expired packages counted", n)
	}
	if got, err := alice.fetch(alice.key[:]); err != nil || len(got) != 0 {
		t.Fatalf("an expired package was served: %v", err)
	}
}

// TestEarlyData: calls with an effect wait for the handshake, those without do not.
func TestEarlyData(t *testing.T) {
	f := start(t, as.Limits{})
	bob := f.person(2)
	k := bob.keyPackage(f.clock(), nil)
	if _, err := bob.upload(nil, k); err != nil {
		t.Fatal(err)
	}
	early := f.person(2)
	early.sess.done = make(chan struct{})
	if n, _ := early.pool(); n != 1 {
		t.Fatalf("pool of %d", n)
	}
	taken := make(chan []byte)
	go func() {
		raw, err := early.fetch(bob.key[:])
		if err != nil {
			t.Error(err)
		}
		taken <- raw
	}()
	if n, _ := f.person(2).pool(); n != 1 { // another connection, whose calls do not wait behind the first's
		t.Fatalf("pool of %d while the claim waits", n)
	}
	close(early.sess.done)
	if raw := <-taken; !bytes.Equal(raw, k) {
		t.Fatal("another package")
	}
}

func TestInfo(t *testing.T) {
	f := start(t, as.Limits{})
	p := f.person(1)
	fut, release := p.as.ServerInfo(t.Context(), nil)
	defer release()
	r, err := fut.Struct()
	if err != nil {
		t.Fatal(err)
	}
	i, err := r.Info()
	if err != nil {
		t.Fatal(err)
	}
	name, err := i.Name()
	l := ds.DefaultLimits()
	if err != nil || name != "quicnprotochat" || i.Time() != f.clock().UnixMilli() || i.MaxPayload() != uint32(l.MaxPayload) ||
		i.MaxBatch() != uint32(l.MaxBatch) || i.MaxRecipients() != uint32(l.MaxRecipients) || i.MaxCallBytes() == 0 {
		t.Fatalf("%q %d %d %d %d %d, %v", name, i.Time(), i.MaxPayload(), i.MaxBatch(), i.MaxRecipients(), i.MaxCallBytes(), err)
	}
	f.Close()
	if _, err := p.fetch(p.key[:]); !errors.Is(err, quicrpc.ErrUnavailable) {
		t.Fatalf("after Close: %v", err)
	}
}
