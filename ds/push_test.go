package ds

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

func size(n int) []byte { return make([]byte, n) }

// expect reads frames until it has the envelopes from seq first to last.
func expect(t *testing.T, s *stream, first, last uint64) {
	t.Helper()
	for first <= last {
		batch, err := s.deliver()
		if err != nil {
			t.Fatalf("seq %d: %v", first, err)
		}
		for _, e := range batch {
			if e.seq != first {
				t.Fatalf("seq %d, want %d", e.seq, first)
			}
			first++
		}
	}
}

// quiet checks that no frame and no new stream come by themselves.
func quiet(t *testing.T, c *conn, streams ...*stream) {
	t.Helper()
	synctest.Wait()
	for _, s := range streams {
		if len(s.frames) > 0 {
			t.Fatal("a frame that should not come")
		}
	}
	if len(c.streams) > 0 {
		t.Fatal("a stream that should not come")
	}
}

func TestBacklogThenLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		q := queueOf(c, "g")
		f.put(t, q, size(1), size(2), size(3))
		if w := f.listen(t, c, 0, 0); w != (window{1024, 4 << 20}) {
			t.Fatalf("granted %+v", w)
		}
		s, group, after := c.accept(t)
		if group != "g" || after != 0 {
			t.Fatalf("group %q after %d", group, after)
		}
		expect(t, s, 1, 3)
		for n := range 20 {
			f.put(t, q, size(n+1))
			expect(t, s, uint64(n)+4, uint64(n)+4)
		}
		if err := s.ack(23); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if acked, last := f.cursor(t, q); acked != 23 || last != 23 {
			t.Fatalf("cursor %d of %d", acked, last)
		}
		quiet(t, c, s)
		time.Sleep(31 * time.Second)
		if _, err := s.deliver(); err != io.EOF {
			t.Fatalf("an idle stream: %v, want its end", err)
		}
		if st := f.Stats(); st.Streams != 0 || st.StreamsOpened != 1 || st.PushedMessages != 23 || st.StreamsCut != 0 {
			t.Fatalf("%+v", st)
		}
		f.put(t, q, size(9)) // news opens it again
		s, _, after = c.accept(t)
		if after != 23 {
			t.Fatalf("opened after %d", after)
		}
		expect(t, s, 24, 24)
		f.end(c)
		if st := f.Stats(); st.Listeners != 0 || st.Streams != 0 {
			t.Fatalf("left: %+v", st)
		}
	})
}

// TestNewsWhileClosing: what arrives between the decision to close an idle stream and its end is not forgotten.
func TestNewsWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		q := queueOf(c, "g")
		f.put(t, q, size(1))
		f.listen(t, c, 0, 0)
		defer f.end(c)
		for n := uint64(1); n < 5; n++ {
			c.onClose = func() {
				c.onClose = nil
				f.put(t, q, size(1))
				time.Sleep(time.Second) // the listener hears of it meanwhile
			}
			s, _, after := c.accept(t)
			if after != n-1 {
				t.Fatalf("opened after %d, want %d", after, n-1)
			}
			expect(t, s, n, n)
			if err := s.ack(n); err != nil {
				t.Fatal(err)
			}
			if _, err := s.deliver(); err != io.EOF {
				t.Fatalf("%v, want the stream's end", err)
			}
		}
	})
}

func TestWindowMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		q := queueOf(c, "g")
		for range 25 {
			f.put(t, q, size(10))
		}
		f.listen(t, c, 10, 0)
		defer f.end(c)
		s, _, _ := c.accept(t)
		expect(t, s, 1, 10)
		time.Sleep(time.Hour)
		quiet(t, c, s)
		if err := s.ack(4); err != nil {
			t.Fatal(err)
		}
		expect(t, s, 11, 14)
		quiet(t, c, s)
		if err := errors.Join(s.ack(4), s.ack(2), s.ack(14)); err != nil {
			t.Fatal(err)
		}
		expect(t, s, 15, 24)
		quiet(t, c, s)
	})
}

func TestWindowBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		q := queueOf(c, "g")
		f.put(t, q, size(400), size(400), size(400), size(5000), size(100))
		f.listen(t, c, 0, 1000)
		defer f.end(c)
		s, _, _ := c.accept(t)
		expect(t, s, 1, 2)
		quiet(t, c, s)
		if err := s.ack(1); err != nil {
			t.Fatal(err)
		}
		expect(t, s, 3, 3)
		if err := s.ack(2); err != nil {
			t.Fatal(err)
		}
		quiet(t, c, s) // the large one waits until it can go alone
		if err := s.ack(3); err != nil {
			t.Fatal(err)
		}
		expect(t, s, 4, 4)
		quiet(t, c, s)
		if err := s.ack(4); err != nil {
			t.Fatal(err)
		}
		expect(t, s, 5, 5)
	})
}

func TestGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		if w := f.listen(t, c, 1<<30, 1<<31); w != (window{4096, 16 << 20}) {
			t.Fatalf("granted %+v", w)
		}
		if _, err := f.tryListen(c, 0, 0); !errors.Is(err, quicrpc.ErrInvalidArgument) {
			t.Fatalf("second listen: %v", err)
		}
		f.end(c)
		f.Close()
		if _, err := f.tryListen(newConn(2), 0, 0); !errors.Is(err, quicrpc.ErrUnavailable) {
			t.Fatalf("listen after Close: %v", err)
		}
	})
}

// TestListenCursors: what listen names is acknowledged first; what was never stored is ignored.
func TestListenCursors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		a, b := queueOf(c, "a"), queueOf(c, "b")
		f.put(t, a, size(1), size(1), size(1))
		f.put(t, b, size(1))
		f.listen(t, c, 0, 0, store.Cursor{Queue: a, Seq: 2}, store.Cursor{Queue: b, Seq: 7}, store.Cursor{Queue: queueOf(c, "none"), Seq: 1})
		defer f.end(c)
		for range 2 {
			s, group, after := c.accept(t)
			if group == "a" && after != 2 || group == "b" && after != 0 {
				t.Fatalf("group %q after %d", group, after)
			}
			expect(t, s, after+1, after+1)
		}
	})
}

// readsStore counts reads.
type readsStore struct {
	store.Store
	reads atomic.Int64
}

func (s *readsStore) Read(ctx context.Context, q store.QueueID, after uint64, messages, size int) (store.Page, error) {
	s.reads.Add(1)
	return s.Store.Read(ctx, q, after, messages, size)
}

// TestAcknowledgementsRest: acknowledgements of a stream that has sent all there is make nobody look for more; those that a full window waits for do.
func TestAcknowledgementsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &readsStore{Store: memory.New(memory.Options{})}
		f, c := startOn(st, Limits{}), newConn(1)
		defer f.Close()
		q := queueOf(c, "g")
		f.put(t, q, size(1), size(1), size(1))
		f.listen(t, c, 4, 0)
		s, _, _ := c.accept(t)
		expect(t, s, 1, 3)
		synctest.Wait()
		before := st.reads.Load()
		if err := errors.Join(s.ack(1), s.ack(2)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := st.reads.Load() - before; n != 0 {
			t.Fatalf("%d reads after acknowledgements", n)
		}
		f.put(t, q, size(1), size(1), size(1), size(1))
		expect(t, s, 4, 6)
		quiet(t, c, s)
		if err := s.ack(3); err != nil {
			t.Fatal(err)
		}
		expect(t, s, 7, 7)
		if err := s.ack(7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultLimits().Idle + time.Second)
		if _, err := s.deliver(); err != io.EOF {
			t.Fatalf("an idle stream: %v, want its end", err)
		}
	})
}
