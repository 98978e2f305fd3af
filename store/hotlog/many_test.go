package hotlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// pairOp stores one message in each of two queues that there are, and a value in the tree, all in one record.
type pairOp struct {
	streams [2]*stream
	message store.Message
	key     []byte
	value   []byte
}

func (o *pairOp) size() (int, int) {
	return manySize(3, 2*(maxHeader+len(o.message.Payload))+2+len(o.key)+len(o.value)+8), 1
}
func (o *pairOp) needs() (bool, bool) { return true, true }

func (o *pairOp) decide(b *batch) {
	parts := make([]part, 0, 3)
	for _, st := range o.streams {
		st.object.mu.Lock()
		parts = append(parts, part{stream: st, header: b.header(st, len(o.message.Payload), &o.message.ID, b.s.expires(b.ms, o.message.Expires)),
			id: b.s.names.id(&st.name, &o.message.ID), payload: o.message.Payload})
		st.object.mu.Unlock()
	}
	var c changes
	c.set(o.key, o.value)
	parts = append(parts, part{text: append([]byte{recordTree}, c...)})
	b.many(parts)
	b.change(c)
}

var pairKey = []byte("Tpair")

// pairs does n pairOps on a store, and counts those that were answered.
func pairs(s *Store, n uint64, done *atomic.Uint64) error {
	ctx := context.Background()
	queues := [2]store.QueueID{{Owner: store.Identity{1}}, {Owner: store.Identity{2}, Group: "g"}}
	o := &pairOp{key: pairKey}
	for i, q := range queues {
		if _, err := s.Enqueue(ctx, []store.Message{testMessage(q, 1)}); err != nil {
			return err
		}
		object, err := s.pin(keyOf(&q))
		if err != nil {
			return err
		}
		defer object.unpin()
		o.streams[i] = object.find(q.Group)
	}
	for i := uint64(2); i <= n; i++ {
		o.message, o.value = testMessage(queues[0], i), binary.BigEndian.AppendUint64(nil, i)
		if err := s.do(ctx, o); err != nil {
			return err
		}
		done.Store(i)
	}
	return nil
}

// TestManyTogether crashes the machine at any time while records of many parts are written and retired: each is there whole or not at all.
func TestManyTogether(t *testing.T) {
	for seed := range uint64(crashes(t)) {
		percent := []int{0, 50, 100}[seed%3]
		t.Run(fmt.Sprintf("%d percent/%d", percent, seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 4))
			mem := vfs.NewCrashableMem()
			o := small("/store")
			o.FS = mem
			s := mustOpen(t, o)
			var done atomic.Uint64
			ended := make(chan error, 1)
			go func() { ended <- pairs(s, 1200, &done) }()
			for at := 1 + r.Uint64N(1100); done.Load() < at && len(ended) == 0; {
				if _, err := s.Read(t.Context(), store.QueueID{Owner: store.Identity{1}}, 0, 1, 1); err != nil {
					t.Fatal(err)
				}
			}
			sure := done.Load()
			o.FS = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			s = mustOpen(t, o)
			defer mustClose(t, s)
			checkPairs(t, s, sure)
		})
	}
}

func checkPairs(t *testing.T, s *Store, sure uint64) {
	value, err := s.tree.getRaw(pairKey)
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(1)
	if value != nil {
		last = binary.BigEndian.Uint64(value)
	}
	if last < sure {
		t.Errorf("the tree has %d, %d were answered", last, sure)
	}
	for _, q := range []store.QueueID{{Owner: store.Identity{1}}, {Owner: store.Identity{2}, Group: "g"}} {
		p, err := s.Read(t.Context(), q, 0, 10_000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if p.Last != last || uint64(len(p.Messages)) != last {
			t.Errorf("queue %q has %d messages up to %d, the tree says %d", q.Group, len(p.Messages), p.Last, last)
		}
		for i, d := range p.Messages {
			if n := binary.BigEndian.Uint64(d.Payload); n != uint64(i)+1 {
				t.Fatalf("queue %q: message %d holds %d", q.Group, i+1, n)
			}
		}
	}
}
