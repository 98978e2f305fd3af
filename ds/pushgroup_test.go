package ds

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"quicnprotochat/store"
)

// TestPushGroup: what one member posts is pushed to all who listen, to each from its own cursor on, on a stream beside that of a queue of the same name; who was
// removed gets the commit that removed it as the last.
func TestPushGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(Limits{})
		defer f.Close()
		alice, bob := f.caller(t, 1), f.caller(t, 2)
		const g = testGroup
		alice.want(alice.create(g, 0, nil), nil)
		alice.mustCommit(change{group: g, id: 1, added: []byte{2}, welcomes: map[byte][]byte{2: welcomeText}}, 1)
		alice.mustPost(g, 2, 1, 2)
		f.put(t, queueOf(bob.c, g), []byte("not shared"))
		f.listen(t, alice.c, 0, 0)
		f.listen(t, bob.c, 0, 0, store.Cursor{Queue: store.QueueID{Group: g, Shared: true}, Seq: 0})
		as, group, after := alice.c.accept(t)
		if group != sharedMark+g || after != 0 {
			t.Fatalf("alice: %q after %d", group, after)
		}
		expect(t, as, 1, 2)
		streams := map[string]*stream{}
		for range 3 {
			s, name, _ := bob.c.accept(t)
			streams[name] = s
		}
		bs := streams[sharedMark+g]
		if bs == nil || streams[g] == nil || streams[""] == nil {
			t.Fatalf("bob's streams: %v", streams)
		}
		expect(t, bs, 2, 2)
		expect(t, streams[g], 1, 1)
		bob.mustPost(g, 3, 1, 3)
		expect(t, as, 3, 3)
		expect(t, bs, 3, 3)
		alice.mustCommit(change{group: g, epoch: 1, id: 4, removed: []byte{2}}, 4)
		alice.mustPost(g, 5, 2, 5)
		expect(t, as, 4, 5)
		expect(t, bs, 4, 4)
		quiet(t, bob.c, bs)
		if err := bs.ack(5); err != nil {
			t.Fatal(err)
		}
		if _, err := bs.deliver(); !errors.Is(err, errCut) {
			t.Fatalf("acknowledging what was not delivered: %v", err)
		}
		if err := as.ack(5); err != nil {
			t.Fatal(err)
		}
		if _, err := as.deliver(); !errors.Is(err, io.EOF) {
			t.Fatalf("at the end of the idle time: %v", err)
		}
	})
}
