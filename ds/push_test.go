package ds

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
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

// TestHostileAck: an acknowledgement above what was delivered cuts the stream, and acknowledges nothing.
func TestHostileAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		q, other := queueOf(c, "g"), queueOf(c, "other")
		for range 20 {
			f.put(t, q, size(1))
		}
		f.listen(t, c, 10, 0)
		defer f.end(c)
		for round := range 3 {
			s, _, after := c.accept(t)
			if after != 0 {
				t.Fatalf("round %d: opened after %d", round, after)
			}
			expect(t, s, 1, 10)
			if err := s.ack(11); err != nil {
				t.Fatal(err)
			}
			if _, err := s.deliver(); !errors.Is(err, errCut) || s.code != quicrpc.StreamErrProtocol {
				t.Fatalf("round %d: %v, code %v", round, err, s.code)
			}
			f.put(t, other, size(1)) // the connection's other queues go on
			o, group, _ := c.accept(t)
			if group != "other" {
				t.Fatalf("group %q", group)
			}
			expect(t, o, uint64(round)+1, uint64(round)+1)
			if err := o.ack(uint64(round) + 1); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			o.Cancel(quicrpc.StreamErrNone)
			time.Sleep(300 * time.Millisecond)
		}
		if acked, _ := f.cursor(t, q); acked != 0 {
			t.Fatalf("cursor %d", acked)
		}
		if st := f.Stats(); st.StreamsCut < 3 {
			t.Fatalf("%+v", st)
		}
	})
}

// TestSlowReader: one stream is never read. It is cut and comes again, less and less often; the others notice nothing.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		slow, quick := queueOf(c, "slow"), queueOf(c, "quick")
		for range 4000 {
			f.put(t, slow, size(2000))
		}
		f.listen(t, c, 4000, 16<<20)
		defer f.end(c)
		first := <-c.streams
		f.put(t, quick, size(1))
		s, group, _ := c.accept(t)
		if group != "quick" {
			t.Fatalf("group %q", group)
		}
		begin := time.Now()
		cuts := 0
		for n := uint64(1); n <= 600; n++ {
			expect(t, s, n, n)
			if err := s.ack(n); err != nil {
				t.Fatal(err)
			}
			select {
			case <-c.streams: // the slow one again
				cuts++
			default:
			}
			time.Sleep(time.Second)
			sent := time.Now()
			f.put(t, quick, size(1))
			synctest.Wait()
			if d := time.Since(sent); d != 0 {
				t.Fatalf("delayed by %v", d)
			}
		}
		if first.code != quicrpc.StreamErrSlowReader {
			t.Fatalf("the slow stream's code: %v", first.code)
		}
		if cuts < 8 || cuts > 20 {
			t.Fatalf("opened %d times again in %v", cuts, time.Since(begin))
		}
	})
}

// TestTwoConnections: each gets everything; what one acknowledges the other's full window does not wait for.
func TestTwoConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b := start(Limits{}), newConn(1), newConn(1)
		q := queueOf(a, "g")
		for range 30 {
			f.put(t, q, size(1))
		}
		f.listen(t, a, 100, 0)
		f.listen(t, b, 10, 0)
		defer f.end(a)
		defer f.end(b)
		sa, _, _ := a.accept(t)
		sb, _, _ := b.accept(t)
		expect(t, sa, 1, 30)
		expect(t, sb, 1, 10)
		quiet(t, b, sb)
		if err := sa.ack(25); err != nil {
			t.Fatal(err)
		}
		expect(t, sb, 26, 30) // 11 to 25 are gone
		f.put(t, q, size(1))
		expect(t, sa, 31, 31)
		expect(t, sb, 31, 31)
		if err := sb.ack(31); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := sa.deliver(); err != io.EOF {
			t.Fatalf("a's stream: %v, want its end, since b acknowledged all", err)
		}
	})
}

// TestTurns: 40 queues on 4 streams. All are served, the inbox first, though nobody acknowledges half of them.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{MaxStreams: 4}), newConn(1)
		const queues = 40
		for n := range queues {
			f.put(t, queueOf(c, fmt.Sprintf("g%02d", n)), size(1), size(1), size(1))
		}
		f.put(t, queueOf(c, ""), size(1))
		f.listen(t, c, 0, 0)
		defer f.end(c)
		seen := map[string]int{}
		for len(seen) < queues+1 {
			s, group, _ := c.accept(t)
			seen[group]++
			if len(seen) == 4 && seen[""] == 0 {
				t.Fatal("the inbox is not among the first")
			}
			last := uint64(3)
			if group == "" {
				last = 1
			}
			expect(t, s, 1, last)
			if group == "" || group[2]%2 == 0 {
				if err := s.ack(last); err != nil {
					t.Fatal(err)
				}
			}
		}
		if c.maxOpen > 4 {
			t.Fatalf("%d streams open at once", c.maxOpen)
		}
		for g, n := range seen {
			if n > 1 && g != "" && g[2]%2 == 0 {
				t.Errorf("%q was acknowledged and came %d times", g, n)
			}
		}
	})
}

// TestBusyQueuesTakeTurns: as many queues as there are streams never run dry, and yet another queue gets its turn.
func TestBusyQueuesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{MaxStreams: 2}), newConn(1)
		f.put(t, queueOf(c, "busy1"), size(1))
		f.put(t, queueOf(c, "busy2"), size(1))
		f.listen(t, c, 0, 0)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer f.end(c)
		serve := func(s *stream, group string) { // acknowledges, and each message brings another
			for {
				batch, err := s.deliver()
				if err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
				f.put(t, queueOf(c, group), size(1))
				if s.ack(batch[len(batch)-1].seq) != nil {
					return
				}
			}
		}
		for range 2 {
			s, group, _ := c.accept(t)
			wg.Go(func() { serve(s, group) })
		}
		time.Sleep(time.Second)
		f.put(t, queueOf(c, "meek"), size(1))
		begin := time.Now()
		for {
			s, group, _ := c.accept(t)
			if group == "meek" {
				expect(t, s, 1, 1)
				break
			}
			wg.Go(func() { serve(s, group) })
		}
		if d := time.Since(begin); d > 5*time.Second {
			t.Fatalf("waited %v for a turn", d)
		}
	})
}

// TestRefusedStream: the client cuts a stream (it does not know the group yet), and gets the queue again a little later.
func TestRefusedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		f.put(t, queueOf(c, "g"), size(1))
		f.listen(t, c, 0, 0)
		defer f.end(c)
		s, _, _ := c.accept(t)
		s.Cancel(quicrpc.StreamErrNone)
		begin := time.Now()
		s, _, _ = c.accept(t)
		if d := time.Since(begin); d < time.Second || d > 2*time.Second {
			t.Fatalf("came again after %v", d)
		}
		expect(t, s, 1, 1)
	})
}

// TestServiceClose ends listeners whose connections are still there.
func TestServiceClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c, idle := start(Limits{}), newConn(1), newConn(2)
		f.put(t, queueOf(c, "g"), size(1))
		f.listen(t, c, 0, 0)
		f.listen(t, idle, 0, 0)
		s, _, _ := c.accept(t)
		expect(t, s, 1, 1)
		if err := s.ack(1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.Close() // hands in what was acknowledged
		if acked, _ := f.cursor(t, queueOf(c, "g")); acked != 1 {
			t.Fatal("the acknowledgement was lost")
		}
		if st := f.Stats(); st.Listeners != 0 || st.Streams != 0 {
			t.Fatalf("left: %+v", st)
		}
		f.Closed(c)
		f.Close()
	})
}
