package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"quicnprotochat/client"
	"quicnprotochat/mls"
	"quicnprotochat/names"
	"quicnprotochat/quicrpc"
)

// TestNames: over QUIC, a name is had by one, handed on, and revoked; the log tells it all and stays what it was over a restart of the server.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	alice, phone, bob := newPerson(t), newPerson(t), newPerson(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var audit *names.Audit
	t.Run("before", func(t *testing.T) {
		addr := startInProcessAt(t, dir).Addr().String()
		a, b := dial(t, addr, alice), dial(t, addr, bob)
		if n, err := b.ResolveName(ctx, "alice"); err != nil || n.Version != 0 {
			t.Fatalf("free: %+v, %v", n, err)
		}
		if _, err := a.ClaimName(ctx, "alice", alice.key); err != nil {
			t.Fatal(err)
		}
		if _, err := b.ClaimName(ctx, "alice", bob.key); !errors.Is(err, quicrpc.ErrExists) {
			t.Fatalf("taken: %v", err)
		}
		if _, err := b.ClaimName(ctx, "bob", alice.key); !errors.Is(err, quicrpc.ErrNotAuthorized) {
			t.Fatalf("with another's signature: %v", err)
		}
		if _, err := b.RotateName(ctx, "alice", alice.key, phone.key); !errors.Is(err, quicrpc.ErrNotAuthorized) {
			t.Fatalf("rotation by a third: %v", err)
		}
		if _, err := a.RotateName(ctx, "alice", alice.key, phone.key); err != nil {
			t.Fatal(err)
		}
		if n, err := b.ResolveName(ctx, "alice"); err != nil || n.Key != phone.id || n.Version != 2 {
			t.Fatalf("rotated: %+v, %v", n, err)
		}
		same, err := b.SameClient(ctx, alice.id, phone.id)
		other, err2 := b.SameClient(ctx, alice.id, bob.id)
		if !same || other || err != nil || err2 != nil {
			t.Fatalf("same client: %v, %v; another: %v, %v", same, err, other, err2)
		}
		if audit, err = b.AuditNames(ctx, nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("after", func(t *testing.T) {
		b := dial(t, startInProcessAt(t, dir).Addr().String(), bob)
		if _, err := b.RevokeName(ctx, "alice", phone.key); err != nil {
			t.Fatal(err)
		}
		history, err := b.NameHistory(ctx, "alice")
		if err != nil || len(history) != 3 {
			t.Fatalf("%d changes, %v", len(history), err)
		}
		if audit, err = b.AuditNames(ctx, audit); err != nil {
			t.Fatal(err)
		}
		if n, _ := audit.Head(); n != 3 || !audit.Resolve("alice").Revoked {
			t.Errorf("the audit saw %d changes, %+v", n, audit.Resolve("alice"))
		}
	})
	t.Run("another server", func(t *testing.T) {
		b := dial(t, startInProcess(t).Addr().String(), bob)
		if _, err := b.AuditNames(ctx, audit); !errors.Is(err, client.ErrProtocol) {
			t.Fatalf("another log: %v", err)
		}
	})
}

// TestNamesRace: of many who claim a name at once one gets it.
func TestNamesRace(t *testing.T) {
	addr := startInProcess(t).Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const people, each = 8, 4
	var wg sync.WaitGroup
	var mu sync.Mutex
	winners := map[string]int{}
	for range people {
		p := newPerson(t)
		s := dial(t, addr, p)
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprint("name", i)
				_, err := s.ClaimName(ctx, name, p.key)
				if err != nil && !errors.Is(err, quicrpc.ErrExists) {
					t.Error(err)
				}
				mu.Lock()
				if err == nil {
					winners[name]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for name, n := range winners {
		if n != 1 {
			t.Errorf("%s was given to %d", name, n)
		}
	}
	audit, err := dial(t, addr, newPerson(t)).AuditNames(ctx, nil)
	if err != nil || len(winners) != each {
		t.Fatalf("%d names, %v", len(winners), err)
	}
	if n, _ := audit.Head(); n != each {
		t.Errorf("%d changes, want %d", n, each)
	}
}

// TestClaims: over QUIC, one KeyPackage a suite, six claims in ten minutes, and the owner hears of its pool.
func TestClaims(t *testing.T) {
	addr := startInProcess(t).Addr().String()
	alice, bob := newPerson(t), newPerson(t)
	a, b := dial(t, addr, alice), dial(t, addr, bob)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var packages [][]byte
	for _, suite := range []mls.Suite{1, 1, 3, 3} {
		id, err := mls.NewBasicIdentity(suite, alice.key[:32], alice.id[:])
		if err != nil {
			t.Fatal(err)
		}
		k, err := mls.NewKeyPackage(id, mls.KeyPackageOptions{LastResort: len(packages)%2 == 1})
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, k.Public())
	}
	if _, err := a.UploadKeyPackages(ctx, packages); err != nil {
		t.Fatal(err)
	}
	type notice struct {
		available int
		last      bool
	}
	notices := make(chan notice, 100)
	listening := make(chan struct{})
	go func() {
		close(listening)
		opts := client.ListenOptions{PoolLow: func(available int, last bool) { notices <- notice{available, last} }}
		_ = a.Listen(ctx, opts, func(context.Context, client.Queue, []client.Envelope) error { return nil })
	}()
	<-listening
	for i := range 6 {
		got, err := b.ClaimKeyPackages(ctx, alice.id, []mls.Suite{3, 1, 2})
		if err != nil || len(got) != 2 {
			t.Fatalf("claim %d: %d packages, %v", i, len(got), err)
		}
		want := [][]byte{packages[2], packages[0]}
		if i > 0 {
			want = [][]byte{packages[3], packages[1]}
		}
		for n := range got {
			if string(got[n]) != string(want[n]) {
				t.Fatalf("claim %d: another package %d", i, n)
			}
		}
	}
	if _, err := b.FetchKeyPackage(ctx, alice.id); !errors.Is(err, quicrpc.ErrRateLimited) {
		t.Fatalf("seventh: %v", err)
	}
	pool, err := a.PoolStatus(ctx)
	if err != nil || pool.Available != 0 || len(pool.Suites) != 2 || !pool.Suites[1].LastResort || pool.Suites[1].Suite != 3 {
		t.Fatalf("pool: %+v, %v", pool, err)
	}
	// Listen may have begun after the first claims: a claim by somebody else is heard for sure once one notice came.
	for heard := false; !heard; {
		if _, err := dial(t, addr, newPerson(t)).ClaimKeyPackages(ctx, alice.id, []mls.Suite{1}); err != nil {
			t.Fatal(err)
		}
		select {
		case n := <-notices:
			if n.available != 0 {
				t.Fatalf("notice: %+v", n)
			}
			heard = true
		case <-time.After(50 * time.Millisecond):
		}
	}
}
