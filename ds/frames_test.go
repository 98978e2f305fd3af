package ds

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

// pagesStore counts the reads of a group that ask for more than its first message.
type pagesStore struct {
	store.Store
	pages int
}

func (s *pagesStore) Read(ctx context.Context, q store.QueueID, after uint64, messages, size int) (store.Page, error) {
	page, err := s.Store.Read(ctx, q, after, messages, size)
	if q.Shared && messages > 1 && len(page.Messages) > 0 {
		s.pages++
	}
	return page, err
}

// TestSharedFrames: a frame that was made for one member goes to the others too; but who was removed gets nothing from after that.
func TestSharedFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &pagesStore{Store: memory.New(memory.Options{})}
		f := startOn(st, Limits{})
		defer f.Close()
		alice := f.caller(t, 1)
		alice.want(alice.create(testGroup, 0, nil), nil)
		alice.mustCommit(change{group: testGroup, id: 1, added: []byte{2, 3, 4}}, 1)
		alice.mustPost(testGroup, 2, 1, 2)
		alice.mustPost(testGroup, 3, 1, 3)
		alice.mustCommit(change{group: testGroup, epoch: 1, id: 4, removed: []byte{2}}, 4)
		alice.mustPost(testGroup, 5, 2, 5)

		open := func(peer byte) (*caller, *stream) {
			k := f.caller(t, peer)
			f.listen(t, k.c, 0, 0)
			s, _, after := k.c.accept(t)
			if after != 1 {
				t.Fatalf("member %d: after %d", peer, after)
			}
			return k, s
		}
		_, carol := open(3)
		expect(t, carol, 2, 5)
		read := st.pages
		_, dave := open(4)
		expect(t, dave, 2, 5)
		if st.pages != read {
			t.Fatal("what was read and encoded for one member was read again for the other")
		}
		bob, bs := open(2)
		expect(t, bs, 2, 4)
		quiet(t, bob.c, bs)
	})
}

// TestFrameShows: a frame is for who may read all of it, in the group that it was made in.
func TestFrameShows(t *testing.T) {
	at := time.UnixMilli(1000)
	messages := []store.Delivery{{Seq: 5, ID: store.MessageID{1}, Payload: []byte("a"), AcceptedAt: at}, {Seq: 7, ID: store.MessageID{2}, Payload: []byte("b"), AcceptedAt: at}}
	f, err := newSharedFrame("g", messages, 2)
	if err != nil {
		t.Fatal(err)
	}
	page := func(first store.Delivery, last uint64) *store.Page {
		return &store.Page{Messages: []store.Delivery{first}, Last: last}
	}
	other, later, next := messages[0], messages[0], messages[0]
	other.ID, later.AcceptedAt, next.Seq = store.MessageID{3}, at.Add(time.Millisecond), 6
	for name, c := range map[string]struct {
		page *store.Page
		want bool
	}{
		"the same": {page(messages[0], 7), true}, "sees more": {page(messages[0], 9), true}, "sees less": {page(messages[0], 6), false}, "nothing": {&store.Page{Last: 9}, false},
		"another message": {page(other, 7), false}, "another time": {page(later, 7), false}, "another place": {page(next, 7), false},
	} {
		if got := f.shows(c.page); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	f.made = f.made.Add(-2 * framesAge)
	if f.shows(page(messages[0], 7)) {
		t.Error("a frame whose messages may have expired is shown")
	}
}

// TestPeek: before there is a stream for a queue, only a little of it is kept.
func TestPeek(t *testing.T) {
	st := memory.New(memory.Options{})
	defer st.Close()
	l := &listener{s: New(Config{Store: st}), ctx: t.Context(), window: window{100, 4 << 20}}
	for owner, size := range map[byte]int{1: 100, 2: firstBytes, 3: firstBytes + 1} {
		q := store.QueueID{Owner: store.Identity{owner}}
		if _, err := st.Enqueue(t.Context(), []store.Message{{Queue: q, ID: store.MessageID{owner}, Payload: make([]byte, size)}}); err != nil {
			t.Fatal(err)
		}
		first, _, some, err := l.peek(q, 0)
		if err != nil || !some || payloads(first) != size && size <= firstBytes || first != nil && size > firstBytes {
			t.Errorf("a message of %d bytes: kept %d, some %v, %v", size, len(first), some, err)
		}
	}
	if first, _, some, err := l.peek(store.QueueID{Owner: store.Identity{9}}, 0); first != nil || some || err != nil {
		t.Errorf("an empty queue: %d, %v, %v", len(first), some, err)
	}
}

// TestFramesRoom: what is kept is bounded, the newest stays, and a frame in place of another is not dropped with it.
func TestFramesRoom(t *testing.T) {
	f := newFrames(1000)
	add := func(first uint64, size int) {
		f.keep(&sharedFrame{key: frameKey{"g", first}, encoded: make([]byte, size)})
	}
	has := func(want ...uint64) {
		t.Helper()
		size := 0
		for _, s := range f.line {
			size += len(s.encoded)
		}
		if len(f.at) != len(want) || size != f.size || size > f.room {
			t.Fatalf("%d frames of %d bytes, want %v", len(f.at), size, want)
		}
		for _, n := range want {
			if f.find(frameKey{"g", n}) == nil {
				t.Fatalf("frame %d is gone", n)
			}
		}
	}
	add(1, 400)
	add(2, 400)
	has(1, 2)
	add(3, 400)
	has(2, 3)
	add(2, 300)
	has(2, 3)
	add(4, 300)
	has(2, 3, 4)
	add(5, 1001)
	has(2, 3, 4)
	add(6, 1000)
	has(6)
}
