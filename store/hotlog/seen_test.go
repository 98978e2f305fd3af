package hotlog

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// TestAcknowledgeWhatWasRead: the acknowledgement of messages in the tree that were read just before does the same as of those that nobody has read: the queue counts the
// same bytes, and the same ids are known later.
func TestAcknowledgeWhatWasRead(t *testing.T) {
	type result struct {
		queues []store.QueueStatus
		status []store.Status // of messages stored again a day later
	}
	const messages = 20
	q := store.QueueID{Owner: benchOwner(1), Group: "g"}
	run := func(page int, upTo uint64, wait time.Duration) (r result, seenTo uint64) {
		c, o := newClock(), small("/store")
		o.FS, o.Clock = vfs.NewMem(), c.now
		s := mustOpen(t, o)
		defer mustClose(t, s)
		for n := uint64(1); n <= messages; n++ {
			put(t, s, testMessage(q, n))
		}
		retireAll(t, s)
		for after := uint64(0); page > 0 && after < upTo; {
			p, err := s.Read(t.Context(), q, after, page, 1<<20)
			if err != nil || len(p.Messages) == 0 {
				t.Fatalf("read after %d: %d messages, %v", after, len(p.Messages), err)
			}
			after = p.Messages[len(p.Messages)-1].Seq
		}
		c.pass(wait)
		key := keyOf(&q)
		object, err := s.pin(key)
		if err != nil {
			t.Fatal(err)
		}
		seenTo = object.find(q.Group).seen.to
		object.unpin()
		if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: upTo}}); err != nil {
			t.Fatal(err)
		}
		if r.queues, _, err = s.Queues(t.Context(), store.QueueID{Owner: q.Owner}, 10); err != nil {
			t.Fatal(err)
		}
		c.pass(20 * time.Hour)
		sweepAll(t, s, 1000)
		put(t, s, testMessage(store.QueueID{Owner: benchOwner(2)}, 1)) // with which the tree learns of the ids that are kept
		for n := uint64(1); n <= messages; n++ {
			out, err := s.Enqueue(t.Context(), []store.Message{testMessage(q, n)})
			if err != nil {
				t.Fatal(err)
			}
			r.status = append(r.status, out[0].Status)
		}
		return r, seenTo
	}
	for _, wait := range []time.Duration{0, 20 * time.Hour} {
		for _, upTo := range []uint64{1, 7, messages} {
			want, _ := run(0, upTo, wait)
			for _, page := range []int{1, 3, messages} {
				got, seenTo := run(page, upTo, wait)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("pages of %d up to %d, after %v:\n%v, not read\n%v", page, upTo, wait, got, want)
				}
				if last := (upTo + uint64(page) - 1) / uint64(page) * uint64(page); seenTo != min(last, messages) {
					t.Errorf("pages of %d up to %d: seen up to %d", page, upTo, seenTo)
				}
			}
		}
	}
}
