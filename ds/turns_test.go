package ds

import (
	"context"
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
		synctest.Wait() // all four are open: in which order their goroutines came to it is not decided
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

// TestFewStreams: the client allows two streams, which are idle; a third queue does not wait until they are closed for being idle.
func TestFewStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		c.limit = 2
		f.listen(t, c, 0, 0)
		defer f.end(c)
		for n := range 6 {
			begin := time.Now()
			f.put(t, queueOf(c, fmt.Sprint(n)), size(1))
			s, group, _ := c.accept(t)
			if group != fmt.Sprint(n) {
				t.Fatalf("group %q", group)
			}
			expect(t, s, 1, 1)
			if d := time.Since(begin); d > time.Second {
				t.Fatalf("queue %d waited %v", n, d)
			}
			if err := s.ack(1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if c.maxOpen > 2 {
			t.Fatalf("%d streams open", c.maxOpen)
		}
	})
}

// TestListingFails: the store cannot list the queues when listen begins, and can a while later.
func TestListingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := start(Limits{}), newConn(1)
		f.put(t, queueOf(c, "g"), size(1))
		b := &failingLists{Store: f.store, left: 3}
		f.Service.store = b
		f.listen(t, c, 0, 0)
		defer f.end(c)
		s, _, _ := c.accept(t)
		expect(t, s, 1, 1)
		if b.left != 0 {
			t.Fatalf("%d failures left", b.left)
		}
	})
}

type failingLists struct {
	store.Store
	left int
}

func (s *failingLists) Queues(ctx context.Context, from store.QueueID, n int) ([]store.QueueStatus, bool, error) {
	if s.left > 0 {
		s.left--
		return nil, false, store.ErrCorrupt
	}
	return s.Store.Queues(ctx, from, n)
}
