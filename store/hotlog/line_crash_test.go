package hotlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// runLine does what run does by a line, on which up to 32 calls are under way.
func (q *crashQueue) runLine(s *Store, r *rand.Rand, stop *atomic.Bool) error {
	l := s.NewLine()
	room := make(chan struct{}, 32)
	var failed atomic.Pointer[error]
	for !stop.Load() && failed.Load() == nil {
		n := q.tried.Load()
		messages := make([]store.Message, 1+r.IntN(4))
		for i := range messages {
			messages[i] = testMessage(q.id, n+1+uint64(i))
		}
		q.tried.Add(uint64(len(messages)))
		room <- struct{}{}
		l.Enqueue(messages, func(results []store.Result, err error) {
			for i := range results {
				if results[i] != (store.Result{Status: store.Stored, Seq: n + 1 + uint64(i)}) {
					err = fmt.Errorf("message %d: %+v", n+1+uint64(i), results[i])
				}
			}
			if err != nil {
				failed.Store(&err)
			} else if last := n + uint64(len(messages)); last > q.sure.Load() { // one at a time is told of: it is one line
				q.sure.Store(last)
			}
			<-room
		})
		if sure := q.sure.Load(); r.IntN(4) == 0 && sure > q.triedAcked.Load() {
			q.triedAcked.Store(sure)
			if err := s.Acknowledge(context.Background(), []store.Cursor{{Queue: q.id, Seq: sure}}); err != nil {
				return err
			}
		}
	}
	for range cap(room) {
		room <- struct{}{}
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// TestLineCrash crashes the machine at any time while lines store and the log is retired: what was told of is there, in order, and nothing twice.
func TestLineCrash(t *testing.T) {
	for seed := range uint64(crashes(t)) {
		percent := []int{0, 50, 100}[seed%3]
		t.Run(fmt.Sprintf("%d percent/%d", percent, seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 10))
			mem := vfs.NewCrashableMem()
			o := small("/store")
			o.FS = mem
			crashAndCheck(t, o, mem, crashQueues(12), (*crashQueue).runLine, r, percent)
		})
	}
}
