package client

import (
	"context"
	"errors"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/mls"
)

// fakePool is a server's pool of one account.
type fakePool struct {
	single [][]byte
	last   []byte
	fail   error // of the next uploads
	lost   bool  // the server has done what fails
	calls  int
}

func (p *fakePool) PoolStatus(context.Context) (PoolStatus, error) {
	st := PoolStatus{Available: len(p.single), LowWater: 10, LastResort: p.last != nil}
	if p.single != nil || p.last != nil {
		st.Suites = []SuiteStatus{{suite, len(p.single), p.last != nil}}
	}
	return st, nil
}

func (p *fakePool) UploadKeyPackages(_ context.Context, packages [][]byte) (int, error) {
	p.calls++
	if p.fail != nil && !p.lost {
		return 0, p.fail
	}
	for _, raw := range packages {
		info, err := mls.InspectKeyPackage(raw)
		switch {
		case err != nil:
			return 0, err
		case info.LastResort:
			p.last = raw
		default:
			p.single = append(p.single, raw)
		}
	}
	return len(p.single), p.fail
}

// publish does what PublishKeyPackages does.
func (p *fakePool) publish(t *testing.T, a *Account, n int) {
	t.Helper()
	pool, _ := p.PoolStatus(t.Context())
	if _, err := a.publish(t.Context(), p, pool, n); err != nil {
		t.Fatal(err)
	}
}

// lastResorts counts an account's records, and those of them that are current; each has its private half.
func lastResorts(t *testing.T, a *Account) (all, current int) {
	t.Helper()
	if err := a.state.update(func(tx *bolt.Tx) error {
		return eachLastResort(tx, func(ref []byte, r *lastResortRecord) bool {
			if all++; r.current() {
				current++
			}
			if tx.Bucket(bucketKeyPackages).Get(ref) == nil {
				t.Error("a last-resort KeyPackage without its private half")
			}
			return false
		})
	}); err != nil {
		t.Fatal(err)
	}
	return all, current
}

// TestLastResort: a last-resort KeyPackage stands behind the others, serves more than one Welcome, and is replaced once it was used; a Welcome for the one before is
// still accepted, until it cannot be on its way any more.
func TestLastResort(t *testing.T) {
	f, p := newFakeServer(), new(fakePool)
	alice, bob := newAccount(t, t.TempDir()), newAccount(t, t.TempDir())
	defer alice.Close()
	defer bob.Close()
	p.publish(t, bob, 3)
	first := p.last
	p.publish(t, bob, 3)
	if len(p.single) != 6 || first == nil || string(p.last) != string(first) {
		t.Fatalf("%d single-use ones; the last-resort one was replaced: %v", len(p.single), string(p.last) != string(first))
	}
	into := func(name string) (joined int, err error) {
		g, err := alice.CreateGroup(name)
		if err != nil {
			t.Fatal(err)
		}
		inviteBy(t, f, alice, g.ID, bob, first)
		f.deliver(t, bob, 0)
		groups, err := bob.Join(name, false)
		return len(groups), err
	}
	for _, name := range []string{"a", "b"} {
		if n, err := into(name); n != 1 || err != nil {
			t.Fatalf("group %s: %d joined, %v", name, n, err)
		}
	}
	if err := bob.fill(t.Context(), p, false); err != nil || string(p.last) == string(first) || len(p.single) != 20 {
		t.Fatalf("not replaced though used: %v; or the pool was not filled: %d", string(p.last) == string(first), len(p.single))
	}
	if n, err := into("c"); n != 1 || err != nil {
		t.Fatalf("by the one before: %d joined, %v", n, err)
	}
	if all, current := lastResorts(t, bob); all != 2 || current != 1 {
		t.Fatalf("%d, %d of them current", all, current)
	}
	if err := bob.state.update(func(tx *bolt.Tx) error { // a month later
		return eachLastResort(tx, func(_ []byte, r *lastResortRecord) bool {
			if !r.current() {
				r.Until = r.Until.Add(-lateWelcome)
			}
			return true
		})
	}); err != nil {
		t.Fatal(err)
	}
	second := p.last
	if err := bob.fill(t.Context(), p, true); err != nil || string(p.last) == string(second) {
		t.Fatalf("not replaced though the server said that it was used: %v", err)
	}
	if n, err := into("d"); n != 0 || err != nil { // dropped when it came
		t.Fatalf("by one of long ago: %d joined, %v", n, err)
	}
	if all, current := lastResorts(t, bob); all != 2 || current != 1 {
		t.Fatalf("%d, %d of them current", all, current)
	}
}

// TestLastResortFails: whatever becomes of uploads, the one that the server has is kept, and few others are.
func TestLastResortFails(t *testing.T) {
	a, p := newAccount(t, t.TempDir()), new(fakePool)
	defer a.Close()
	p.publish(t, a, 20)
	first := p.last
	p.fail = errors.New("refused")
	for range 2 * maxLastResort {
		if err := a.fill(t.Context(), p, true); !errors.Is(err, p.fail) {
			t.Fatal(err)
		}
	}
	if all, current := lastResorts(t, a); all != maxLastResort+1 || current != 1 {
		t.Fatalf("%d, %d of them current", all, current)
	}
	p.lost = true
	if err := a.fill(t.Context(), p, false); !errors.Is(err, p.fail) || string(p.last) == string(first) {
		t.Fatal(err)
	}
	p.fail = nil
	for range 2 * maxLastResort {
		if err := a.fill(t.Context(), p, true); err != nil {
			t.Fatal(err)
		}
		info, err := mls.InspectKeyPackage(p.last)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.state.view(func(tx *bolt.Tx) error {
			if tx.Bucket(bucketKeyPackages).Get(info.Ref) == nil {
				t.Error("the private half of what the server hands out is gone")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if all, current := lastResorts(t, a); all > maxLastResort+1 || current != 1 {
		t.Fatalf("%d, %d of them current", all, current)
	}
	before := p.calls
	if err := a.fill(t.Context(), p, false); err != nil || p.calls != before {
		t.Errorf("published without need: %v", err)
	}
}

// TestExpiredKeyPackages: private halves go when no Welcome for them can be on its way any more, and not before.
func TestExpiredKeyPackages(t *testing.T) {
	a, p := newAccount(t, t.TempDir()), new(fakePool)
	defer a.Close()
	now := time.Now()
	package1(t, a, mls.KeyPackageOptions{Now: now.Add(-mls.DefaultLifetime - lateWelcome - time.Hour)})
	package1(t, a, mls.KeyPackageOptions{Now: now.Add(-mls.DefaultLifetime - lateWelcome + time.Hour)})
	if err := a.state.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketKeyPackages).Put([]byte("broken"), []byte("x")) }); err != nil {
		t.Fatal(err)
	}
	p.publish(t, a, 1)
	if err := a.state.view(func(tx *bolt.Tx) error {
		if n := countKeys(tx.Bucket(bucketKeyPackages)); n != 3 { // a late one, a fresh one, a last-resort one
			t.Errorf("%d private halves are kept", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
