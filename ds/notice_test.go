package ds

import (
	"testing"
	"testing/synctest"

	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// TestNotice: a notice opens the inbox's stream if there is none, comes on it if there is one, and only to its owner.
func TestNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(Limits{})
		defer f.Close()
		alice, bob := f.caller(t, 1), f.caller(t, 2)
		f.listen(t, alice.c, 0, 0)
		f.listen(t, bob.c, 0, 0)
		f.Notify(store.Identity(alice.c.peer), PoolLow{Available: 3})
		s, group, _ := alice.c.accept(t)
		if group != "" {
			t.Fatalf("a stream of %q", group)
		}
		notice := func(want PoolLow) {
			t.Helper()
			frame, err := s.next()
			if err != nil || frame.Which() != schemas.PushFrame_Which_notice {
				t.Fatalf("%v, %v", frame.Which(), err)
			}
			n, err := frame.Notice()
			if err != nil || n.Which() != schemas.Notice_Which_poolLow || n.PoolLow().Available() != want.Available || n.PoolLow().LastResortUsed() != want.LastResortUsed {
				t.Fatalf("%v, %v", n, err)
			}
		}
		notice(PoolLow{Available: 3})
		f.put(t, queueOf(alice.c, ""), []byte("a message"))
		expect(t, s, 1, 1)
		f.Notify(store.Identity(alice.c.peer), PoolLow{LastResortUsed: true})
		notice(PoolLow{LastResortUsed: true})
		quiet(t, alice.c, s)
		quiet(t, bob.c)
	})
}
