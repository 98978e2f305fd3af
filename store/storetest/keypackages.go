package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

func (e *engine) publish(o int, packages ...store.KeyPackage) {
	e.Helper()
	if err := e.PutKeyPackages(e.Context(), owner(o), packages); err != nil {
		e.Fatalf("put: %v", err)
	}
}

// take expects the package want, or none.
func (e *engine) take(o int, want *store.KeyPackage) {
	e.Helper()
	got, err := e.TakeKeyPackage(e.Context(), owner(o))
	switch {
	case want == nil && errors.Is(err, store.ErrNotFound):
	case want == nil:
		e.Fatalf("took %+v, %v, want none", got, err)
	case err != nil:
		e.Fatalf("take: %v", err)
	case got.Fingerprint != want.Fingerprint || string(got.Data) != string(want.Data) || got.InitKey != want.InitKey || got.LastResort != want.LastResort || got.NotAfter.Unix() != want.NotAfter.Unix():
		e.Fatalf("took %+v, want %+v", got, *want)
	}
}

func (e *engine) count(o, available int, last bool) {
	e.Helper()
	if s, err := e.CountKeyPackages(e.Context(), owner(o)); err != nil || s != (store.PoolStatus{Available: available, LastResort: last}) {
		e.Fatalf("count: %+v, %v, want %d and %v", s, err, available, last)
	}
}

func testKeyPackages(t *testing.T, e *engine) {
	e.start(store.Quota{KeyPackages: 5})
	k := make([]store.KeyPackage, 8)
	for i := range k {
		k[i] = e.keyPackage(i, time.Hour)
	}
	e.take(1, nil)
	e.count(1, 0, false)
	e.publish(1, k[0], k[1], k[2])
	e.publish(1, k[1], k[0])
	e.count(1, 3, false)
	e.take(2, nil)
	e.take(1, &k[0])
	e.publish(1, k[0]) // even though it was handed out
	e.count(1, 2, false)
	e.again()
	e.publish(1, k[0])
	e.take(1, &k[1])
	e.publish(1, k[3], k[4])
	e.count(1, 3, false)
	if err := e.PutKeyPackages(t.Context(), owner(1), k[5:8]); !errors.Is(err, store.ErrQuota) {
		t.Fatalf("sixth: %v", err)
	}
	e.count(1, 3, false)
	e.publish(1, k[5], k[5], k[6], k[1])
	e.count(1, 5, false)
	for _, n := range []int{2, 3, 4, 5, 6} {
		e.take(1, &k[n])
	}
	e.take(1, nil)
	e.again()
	e.take(1, nil)
}

func testTakeOnce(t *testing.T, e *engine) {
	e.start(store.Quota{})
	const takers, each, total = 256, 4, 700
	var all []store.KeyPackage
	for i := range total {
		all = append(all, e.keyPackage(i, time.Hour))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := map[[32]byte]int{}
	wg.Go(func() {
		for i := 0; i < total; i += 70 {
			if err := e.PutKeyPackages(t.Context(), owner(1), all[i:i+70]); err != nil {
				t.Error(err)
			}
		}
	})
	for range takers {
		wg.Go(func() {
			for range each {
				k, err := e.TakeKeyPackage(t.Context(), owner(1))
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				taken[k.Fingerprint]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	e.again()
	for {
		k, err := e.TakeKeyPackage(t.Context(), owner(1))
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken[k.Fingerprint]++
	}
	if len(taken) != total {
		t.Errorf("%d different packages taken, want %d", len(taken), total)
	}
	for _, n := range taken {
		if n != 1 {
			t.Fatalf("a package was taken %d times", n)
		}
	}
}

func testKeyPackagesExpire(t *testing.T, e *engine) {
	e.start(store.Quota{KeyPackages: 4})
	short, long := e.keyPackage(1, time.Hour), e.keyPackage(2, 3*time.Hour)
	short2, long2 := e.keyPackage(3, time.Hour), e.keyPackage(4, 3*time.Hour)
	e.publish(1, short, long, short2, long2)
	e.pass(time.Hour)
	e.count(1, 2, false)
	e.take(1, &long)
	e.count(1, 1, false)
	for {
		r, err := e.Sweep(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if !r.More {
			break
		}
	}
	e.count(1, 1, false)
	e.publish(1, e.keyPackage(5, 3*time.Hour), e.keyPackage(6, 3*time.Hour), e.keyPackage(7, 3*time.Hour))
	e.publish(1, long) // known until it expires
	e.count(1, 4, false)
	e.take(1, &long2)
	e.pass(24 * time.Hour)
	e.count(1, 0, false)
	e.take(1, nil)
	if r, err := e.Sweep(t.Context(), 100); err != nil || r.Removed == 0 || r.More {
		t.Fatalf("sweep: %+v, %v", r, err)
	}
	if r, err := e.Sweep(t.Context(), 100); err != nil || r.Removed != 0 {
		t.Fatalf("sweep again: %+v, %v", r, err)
	}
}

func testLastResort(t *testing.T, e *engine) {
	e.start(store.Quota{KeyPackages: 1})
	single, last, newer := e.keyPackage(1, time.Hour), e.keyPackage(2, time.Hour), e.keyPackage(3, 2*time.Hour)
	last.LastResort, newer.LastResort = true, true
	e.publish(1, last, single)
	e.count(1, 1, true)
	e.take(1, &single)
	for range 3 {
		e.take(1, &last)
	}
	e.publish(1, newer)
	e.take(1, &newer)
	e.again()
	e.take(1, &newer)
	e.pass(time.Hour)
	if _, err := e.Sweep(t.Context(), 100); err != nil { // removes what is known of the replaced one
		t.Fatal(err)
	}
	e.take(1, &newer)
	e.pass(time.Hour)
	e.take(1, nil)
	e.count(1, 0, false)
	if _, err := e.Sweep(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	e.take(1, nil)
}

func testKeyPackageConflicts(t *testing.T, e *engine) {
	e.start(store.Quota{})
	a, b, c := e.keyPackage(1, time.Hour), e.keyPackage(2, time.Hour), e.keyPackage(3, time.Hour)
	b.InitKey = a.InitKey
	if err := e.PutKeyPackages(t.Context(), owner(1), []store.KeyPackage{c, a, b}); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("in one call: %v", err)
	}
	e.count(1, 0, false)
	e.publish(1, a)
	e.take(1, &a)
	if err := e.PutKeyPackages(t.Context(), owner(1), []store.KeyPackage{c, b}); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("after hand-out: %v", err)
	}
	e.count(1, 0, false)
	e.publish(2, b) // another owner's business
	e.count(2, 1, false)
}
