package ds

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
)

// world is a random history: senders, and connections of one recipient that read, stall, acknowledge, refuse streams and vanish. Afterwards every
// message that was sent must have been received, in order, and within the window at every moment.
type world struct {
	t    *testing.T
	f    *fixture
	seed uint64

	mu       sync.Mutex
	r        *rand.Rand
	sent     map[string]uint64
	received map[string]uint64 // all up to here came, on one stream or another
	acked    map[string]uint64 // highest asked for
}

const (
	modelSeeds   = 40
	modelOwner   = 1
	modelSeconds = 120
)

func TestModel(t *testing.T) {
	for seed := range uint64(modelSeeds) {
		synctest.Test(t, func(t *testing.T) {
			w := &world{
				t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 1)),
				sent: map[string]uint64{}, received: map[string]uint64{}, acked: map[string]uint64{},
			}
			w.f = start(Limits{MaxStreams: 1 + w.rand(4), Idle: time.Duration(1+w.rand(10)) * time.Second})
			w.run()
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (w *world) rand(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.r.IntN(n)
}

func (w *world) run() {
	ctx, stop := context.WithTimeout(context.Background(), modelSeconds*time.Second)
	defer stop()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { w.sender(ctx) })
		wg.Go(func() {
			for ctx.Err() == nil {
				w.connection(ctx, time.Duration(1+w.rand(20_000))*time.Millisecond, false)
			}
		})
	}
	wg.Wait()
	w.connection(context.Background(), 5*time.Minute, true) // a good one, for the rest
	for g, n := range w.sent {
		if w.received[g] != n {
			w.t.Errorf("group %q: %d of %d received", g, w.received[g], n)
		}
		acked, last := w.f.cursor(w.t, store.QueueID{Owner: store.Identity{modelOwner}, Group: g})
		if acked != n || last != n {
			w.t.Errorf("group %q: cursor %d of %d, want %d", g, acked, last, n)
		}
	}
	if st := w.f.Stats(); st.Listeners != 0 || st.Streams != 0 {
		w.t.Errorf("left: %+v", st)
	}
}

// payload of message n is of a size that follows from n.
func payload(n uint64) []byte {
	b := make([]byte, 8+n*n%700)
	binary.BigEndian.PutUint64(b, n)
	return b
}

func (w *world) sender(ctx context.Context) {
	for ctx.Err() == nil {
		g := fmt.Sprint(w.rand(6))
		if g == "0" {
			g = ""
		}
		n := 1 + w.rand(30)
		w.mu.Lock() // one sender a group at a time, so that the numbers are the seqs
		payloads := make([][]byte, n)
		for i := range payloads {
			w.sent[g]++
			payloads[i] = payload(w.sent[g])
		}
		w.f.put(w.t, store.QueueID{Owner: store.Identity{modelOwner}, Group: g}, payloads...)
		w.mu.Unlock()
		time.Sleep(time.Duration(w.rand(3000)) * time.Millisecond)
	}
}

// connection listens for a while; a good one does nothing wrong.
func (w *world) connection(ctx context.Context, life time.Duration, good bool) {
	c := newConn(modelOwner)
	ctx, stop := context.WithTimeout(ctx, life)
	defer stop()
	var cursors []store.Cursor
	w.mu.Lock()
	for g, n := range w.received {
		if w.r.IntN(2) == 0 { // what was received may be acknowledged like this, too
			cursors = append(cursors, store.Cursor{Queue: store.QueueID{Group: g}, Seq: n})
			w.acked[g] = max(w.acked[g], n)
		}
	}
	w.mu.Unlock()
	messages, bytes := uint32(1+w.rand(40)), uint32(1+w.rand(4000))
	granted := w.f.listen(w.t, c, messages, bytes, cursors...)
	var wg sync.WaitGroup
	for ctx.Err() == nil {
		select {
		case s := <-c.streams:
			wg.Go(func() { w.stream(ctx, s, granted, good) })
		case <-ctx.Done():
		}
	}
	if w.rand(2) == 0 || good {
		w.f.end(c)
	} else { // the connection is over a little before the service hears of it
		c.cancel()
		time.Sleep(time.Millisecond)
		w.f.Closed(c)
	}
	wg.Wait()
}

// stream reads one stream as a client does.
func (w *world) stream(ctx context.Context, s *stream, granted window, good bool) {
	f, err := s.next()
	if err != nil {
		return // cut off before it began
	}
	o, err := f.Open()
	if err != nil {
		w.t.Errorf("seed %d: %v", w.seed, err)
		return
	}
	id, err := o.GroupId()
	if err != nil || (window{o.WindowMessages(), o.WindowBytes()}) != granted {
		w.t.Errorf("seed %d: %v, window %d and %d", w.seed, err, o.WindowMessages(), o.WindowBytes())
	}
	r := &reading{w: w, s: s, group: string(id), last: o.After(), acked: o.After(), window: granted}
	for {
		batch, err := s.deliver()
		if err != nil {
			return
		}
		if !r.check(batch) {
			s.Cancel(quicrpc.StreamErrNone)
			return
		}
		if !good {
			switch w.rand(40) {
			case 0:
				s.Cancel(quicrpc.StreamErrNone)
				return
			case 1: // a reader that stalls
				select {
				case <-time.After(time.Duration(w.rand(30)) * time.Second):
				case <-ctx.Done():
				}
			case 2: // one that acknowledges nothing for a while
				continue
			}
			time.Sleep(time.Duration(w.rand(50)) * time.Millisecond)
		}
		if r.acknowledge(good) != nil {
			return
		}
	}
}

// reading is a stream as its client sees it.
type reading struct {
	w           *world
	s           *stream
	group       string
	last, acked uint64
	bytes       int // received and not acknowledged
	sizes       []int
	window      window
}

func (r *reading) check(batch []envelope) bool {
	w := r.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range batch {
		switch {
		case e.seq <= r.last:
			w.t.Errorf("seed %d: group %q: seq %d after %d", w.seed, r.group, e.seq, r.last)
			return false
		case e.seq != r.last+1 && e.seq-1 > w.acked[r.group]:
			w.t.Errorf("seed %d: group %q: seq %d after %d, acknowledged %d", w.seed, r.group, e.seq, r.last, w.acked[r.group])
			return false
		case binary.BigEndian.Uint64(e.payload) != e.seq || len(e.payload) != len(payload(e.seq)):
			w.t.Errorf("seed %d: group %q: seq %d holds another message", w.seed, r.group, e.seq)
			return false
		}
		for ; r.last+1 < e.seq; r.last++ { // acknowledged elsewhere: not on this stream, and no part of its window
			r.sizes = append(r.sizes, 0)
		}
		r.last = e.seq
		r.sizes = append(r.sizes, len(e.payload))
		r.bytes += len(e.payload)
		if e.seq <= w.received[r.group]+1 {
			w.received[r.group] = max(w.received[r.group], e.seq)
		}
	}
	return r.inWindow()
}

// inWindow checks the window; what another connection acknowledged does not count. w.mu is held.
func (r *reading) inWindow() bool {
	messages, bytes := 0, 0
	for i, size := range r.sizes {
		if r.acked+uint64(i)+1 > r.w.acked[r.group] && size > 0 {
			messages++
			bytes += size
		}
	}
	if messages > int(r.window.messages) || bytes > int(r.window.bytes) && messages > 1 {
		r.w.t.Errorf("seed %d: group %q: %d messages and %d bytes in a window of %+v", r.w.seed, r.group, messages, bytes, r.window)
		return false
	}
	return true
}

func (r *reading) acknowledge(all bool) error {
	upTo := r.last
	if n := int(r.last - r.acked); !all && n > 0 {
		upTo = r.acked + uint64(1+r.w.rand(n))
	}
	r.w.mu.Lock()
	// All below was received, here or on the stream whose connection acknowledged it.
	r.w.acked[r.group] = max(r.w.acked[r.group], upTo)
	r.w.mu.Unlock()
	for ; r.acked < upTo; r.acked++ {
		r.bytes -= r.sizes[0]
		r.sizes = r.sizes[1:]
	}
	return r.s.ack(upTo)
}
