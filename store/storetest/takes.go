package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

// testTakeOnceRestarted has many takers empty a pool while the store is closed under them and opened again: none gets what another one got.
func testTakeOnceRestarted(t *testing.T, e *engine) {
	const takers, packages = 256, 1000
	e.start(store.Quota{KeyPackages: packages})
	for n := 0; n < packages; n += 100 {
		var some []store.KeyPackage
		for i := range 100 {
			some = append(some, e.keyPackage(n+i, time.Hour))
		}
		if err := e.PutKeyPackages(t.Context(), owner(1), some); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	taken := map[[32]byte]int{}
	half := make(chan struct{})
	take := func(s Engine) (wait func()) {
		var wg sync.WaitGroup
		for range takers {
			wg.Go(func() {
				for {
					k, err := s.TakeKeyPackage(context.Background(), owner(1))
					if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if taken[k.Fingerprint]++; taken[k.Fingerprint] == 1 && len(taken) == packages/2 {
						close(half)
					}
					mu.Unlock()
				}
			})
		}
		return wg.Wait
	}
	wait := take(e.Engine)
	select {
	case <-half:
	case <-time.After(time.Minute):
		t.Fatal("the takers do not get on")
	}
	again := e.again()
	wait()
	if again {
		take(e.Engine)()
	}
	for _, n := range taken {
		if n != 1 {
			t.Fatal("a package was handed out twice")
		}
	}
	if len(taken) != packages {
		t.Fatalf("%d of %d packages were handed out", len(taken), packages)
	}
}

// testLargePosts sends the largest payloads through a log and an inbox.
func testLargePosts(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 1)
	payload := content(store.MaxPayload, 1)
	for n := range 6 {
		p := post("g", 1, n)
		p.Payload = payload
		if r := e.postAs(p); r.Status != store.Stored {
			t.Fatalf("%+v", r)
		}
	}
	c := change("g", 1, 3, 10)
	c.Payload, c.Info, c.Added = payload[:len(payload)/4], payload[:len(payload)/4], owners(2)
	c.Welcomes = []store.Message{{Queue: inbox(2), ID: id(11), Payload: payload[:len(payload)/4]}}
	e.commit(c)
	e.again()
	p := e.read(shared(1, "g"), 0)
	if len(p.Messages) != 7 {
		t.Fatalf("%d posts came back", len(p.Messages))
	}
	for _, m := range p.Messages[:6] {
		if string(m.Payload) != string(payload) {
			t.Fatalf("post %d is another", m.Seq)
		}
	}
	if some, err := e.Read(t.Context(), shared(1, "g"), 0, 100, 3<<20); err != nil || len(some.Messages) != 3 || !some.More {
		t.Fatalf("%d posts in 3 MiB, %v", len(some.Messages), err)
	}
	if w := e.read(inbox(2), 0); len(w.Messages) != 1 || string(w.Messages[0].Payload) != string(payload[:len(payload)/4]) {
		t.Fatalf("%d Welcomes", len(w.Messages))
	}
}
