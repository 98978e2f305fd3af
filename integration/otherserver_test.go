package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"quicnprotochat/client"
)

// TestOtherServer: what belongs to the account's own server neither goes to another one nor is lost there.
func TestOtherServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	home, other := startInProcess(t).Addr().String(), startInProcess(t).Addr().String()
	a := newMember(t, ctx, home)
	if _, err := a.CreateGroup("g"); err != nil {
		t.Fatal(err)
	}
	s, err := a.Dial(ctx, client.DialOptions{Addr: other})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := a.Flush(ctx, s); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("flush: %v", err)
	}
	if _, err := a.Sync(ctx, s); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("sync: %v", err)
	}
	if err := a.Listen(ctx, s, nil, func() {}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("listen: %v", err)
	}
	if n, err := a.Unsent(); n != 1 || err != nil {
		t.Fatalf("%d entries wait, %v", n, err)
	}
	if err := a.Flush(ctx, a.s); err != nil {
		t.Errorf("flush at home: %v", err)
	}
	if n, err := a.Unsent(); n != 0 || err != nil {
		t.Errorf("%d entries wait, %v", n, err)
	}
}
