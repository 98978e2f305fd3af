package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

// suited is e.keyPackage of a suite.
func (e *engine) suited(n int, suite uint16, life time.Duration) store.KeyPackage {
	k := e.keyPackage(n, life)
	k.Data = append([]byte{0, 1, byte(suite >> 8), byte(suite)}, k.Data...)
	k.Fingerprint = sha256.Sum256(k.Data)
	return k
}

// claim expects these packages, in order.
func (e *engine) claim(o int, suites []uint16, want ...store.KeyPackage) {
	e.Helper()
	got, err := e.TakeKeyPackages(e.Context(), owner(o), suites)
	if err != nil || len(got) != len(want) {
		e.Fatalf("claimed %d packages, %v, want %d", len(got), err, len(want))
	}
	for i, k := range got {
		if k.Fingerprint != want[i].Fingerprint || !bytes.Equal(k.Data, want[i].Data) || k.LastResort != want[i].LastResort {
			e.Fatalf("claimed %+v, want %+v", k, want[i])
		}
	}
}

// countSuites expects pools, each as suite:available, with an L behind it for a last-resort package.
func (e *engine) countSuites(o int, want string) {
	e.Helper()
	list, err := e.CountSuites(e.Context(), owner(o))
	got := ""
	for _, s := range list {
		got += fmt.Sprintf(" %d:%d", s.Suite, s.Available)
		if s.LastResort {
			got += "L"
		}
	}
	if got = strings.TrimSpace(got); err != nil || got != want {
		e.Fatalf("pools %q, %v, want %q", got, err, want)
	}
}

func testSuites(t *testing.T, e *engine) {
	e.start(store.Quota{KeyPackages: 8})
	one, two, three := e.suited(1, 1, time.Hour), e.suited(2, 1, 3*time.Hour), e.suited(3, 3, 3*time.Hour)
	short, last1, last3 := e.suited(4, 2, time.Hour), e.suited(5, 1, 3*time.Hour), e.suited(6, 3, 3*time.Hour)
	last1.LastResort, last3.LastResort = true, true
	e.claim(1, []uint16{1, 2, 3})
	e.publish(1, last1, one, short, three, two, last3)
	e.countSuites(1, "1:2L 2:1 3:1L")
	e.count(1, 4, true)
	e.claim(1, []uint16{7})
	e.claim(1, []uint16{3, 2}, three, short)
	e.countSuites(1, "1:2L 3:0L")
	e.claim(1, []uint16{3, 2}, last3)
	e.again()
	e.claim(1, []uint16{2, 3}, last3)
	e.pass(time.Hour) // the end of one
	e.countSuites(1, "1:1L 3:0L")
	e.claim(1, []uint16{1, 3}, two, last3)
	e.claim(1, []uint16{1, 3}, last1, last3)
	newer := e.suited(7, 1, 4*time.Hour)
	newer.LastResort = true
	e.publish(1, newer)
	e.claim(1, []uint16{3, 1}, last3, newer)
	e.take(1, &last3) // the oldest
	e.publish(1, e.suited(8, 3, time.Hour))
	e.again()
	e.pass(2 * time.Hour)
	e.claim(1, []uint16{3, 1}, newer)
	e.countSuites(1, "1:0L")
	e.claim(2, []uint16{1})
	for _, bad := range [][]uint16{nil, {1, 2, 1}, make([]uint16, store.MaxSuites+1)} {
		if _, err := e.TakeKeyPackages(t.Context(), owner(1), bad); !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("suites %v: %v", bad, err)
		}
	}
}

// testLastResorts: one of each suite, and not of any number of suites.
func testLastResorts(t *testing.T, e *engine) {
	e.start(store.Quota{})
	var some []store.KeyPackage
	for i := range store.MaxSuites + 1 {
		k := e.suited(i, uint16(i), time.Hour)
		k.LastResort = true
		some = append(some, k)
	}
	if err := e.PutKeyPackages(t.Context(), owner(1), some); !errors.Is(err, store.ErrQuota) {
		t.Fatalf("%d suites: %v", len(some), err)
	}
	e.countSuites(1, "")
	again := e.suited(100, 0, time.Hour)
	again.LastResort = true
	e.publish(1, append(some[:store.MaxSuites:store.MaxSuites], again)...)
	if err := e.PutKeyPackages(t.Context(), owner(1), some); !errors.Is(err, store.ErrQuota) {
		t.Fatalf("one suite more: %v", err)
	}
	e.claim(1, []uint16{0, 15, 16}, again, some[15])
}

// testClaimOnce: of many that claim the same suites at once, each gets another package.
func testClaimOnce(t *testing.T, e *engine) {
	e.start(store.Quota{})
	const each = 100
	var some []store.KeyPackage
	for i := range 2 * each {
		some = append(some, e.suited(i, uint16(1+i%2), time.Hour))
	}
	e.publish(1, some...)
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := map[[32]byte]bool{}
	for range each {
		wg.Go(func() {
			got, err := e.TakeKeyPackages(t.Context(), owner(1), []uint16{2, 1})
			if err != nil || len(got) != 2 || got[0].Suite() != 2 || got[1].Suite() != 1 {
				t.Errorf("%d packages, %v", len(got), err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, k := range got {
				taken[k.Fingerprint] = true
			}
		})
	}
	wg.Wait()
	if len(taken) != 2*each {
		t.Fatalf("%d packages were handed out, want %d", len(taken), 2*each)
	}
	e.claim(1, []uint16{1, 2})
}
