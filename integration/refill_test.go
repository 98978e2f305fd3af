package integration

import (
	"context"
	"testing"
	"time"
)

// TestRefill: an account that listens publishes KeyPackages when few are left: when it begins to listen, and when others claim them.
func TestRefill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	addr := startInProcess(t).Addr().String()
	alice := newMember(t, ctx, addr) // has published 5
	ended := make(chan error, 1)
	listening, stop := context.WithCancel(ctx)
	go func() { ended <- alice.Listen(listening, alice.s, nil, func() {}) }()
	defer func() { stop(); <-ended }()
	filled := func() {
		t.Helper()
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			pool, err := alice.s.PoolStatus(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if pool.Available == 20 {
				tick.Stop()
				return
			}
			<-tick.C
		}
	}
	filled()
	for range 11 {
		if _, err := dial(t, addr, newPerson(t)).FetchKeyPackage(ctx, alice.Identity()); err != nil {
			t.Fatal(err)
		}
	}
	filled()
}
