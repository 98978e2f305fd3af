package hotlog

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// TestThrottle: who stores is held up while the retirer cannot follow, but not the retirer itself.
func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, byHand(vfs.NewMem(), newClock()))
		defer mustClose(t, s)
		q := store.QueueID{Owner: benchOwner(1)}
		took := func(what string, want time.Duration, do func()) {
			t.Helper()
			s.retirer.late.Store(true) // until the decider looks, after what it does now
			begun := time.Now()
			do()
			if d := time.Since(begun); d != want {
				t.Errorf("%s took %v, want %v", what, d, want)
			}
		}
		ask := func() {
			if err := s.retirer.do(&takeOp{}); err != nil {
				t.Error(err)
			}
		}
		took("a message while the retirer works", lateness, func() { put(t, s, testMessage(q, 1)) })
		took("the retirer's own op", 0, ask)
		took("a message after that", 0, func() { put(t, s, testMessage(q, 2)) }) // one is let go for each
		took("a message while the retirer begins to wait", lateness/4, func() {
			time.AfterFunc(lateness/4, ask)
			put(t, s, testMessage(q, 3))
		})
		took("a message without the retirer", 0, func() {
			s.retirer.late.Store(false)
			put(t, s, testMessage(q, 4))
		})
	})
}
