package hotlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
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
			queues := make([]*crashQueue, 12)
			for i := range queues {
				queues[i] = &crashQueue{id: store.QueueID{Owner: benchOwner(i / 2), Group: []string{"", "g"}[i%2]}}
			}
			s := mustOpen(t, o)
			var stop atomic.Bool
			var wg sync.WaitGroup
			for i, q := range queues {
				wg.Go(func() {
					if err := q.runLine(s, rand.New(rand.NewPCG(uint64(i), 11)), &stop); err != nil {
						t.Error(err)
						stop.Store(true)
					}
				})
			}
			for want := 1 + r.Uint64N(4); s.Internals().Retired < want && !stop.Load(); {
				if _, err := s.Sweep(t.Context(), 10); err != nil {
					t.Error(err)
				}
			}
			sure := uint64(0)
			for _, q := range queues {
				q.sureAtCrash, q.ackedAt = q.sure.Load(), q.triedAcked.Load()
				sure += q.sureAtCrash
			}
			o.FS = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
			stop.Store(true)
			wg.Wait()
			mustClose(t, s)
			if sure == 0 {
				t.Error("nothing was sure")
			}
			s = mustOpen(t, o)
			for _, q := range queues {
				if err := q.check(s); err != nil {
					t.Errorf("queue %x %q: %v", q.id.Owner[:4], q.id.Group, err)
				}
			}
			mustClose(t, s)
		})
	}
}
