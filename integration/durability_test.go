package integration

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

const group = "durability"

// rounds is how often the daemon is killed; QUICNPROTOCHAT_CRASH_ROUNDS sets another number.
func rounds(t *testing.T) int {
	if s := os.Getenv("QUICNPROTOCHAT_CRASH_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 20
}

// alert makes a client notice soon that its server has died.
func alert() *quicrpc.Limits {
	l := quicrpc.DefaultClientLimits()
	l.KeepAlive, l.IdleTimeout, l.HandshakeTimeout = 200*time.Millisecond, 3*time.Second, time.Second
	return &l
}

// numberedSender submits 0, 1, 2, ... in batches, each until it is acknowledged, with the same ids at each attempt.
type numberedSender struct {
	number  uint64   // which sender
	acked   chan int // has room for the whole test: the load never waits for the one who counts
	stop    chan struct{}
	stopped chan uint64 // how many were acknowledged
}

func (n *numberedSender) run(ctx context.Context, t *testing.T, addr string, from, to *person) {
	next := uint64(0)
	defer func() { n.stopped <- next }()
	var s *client.Session
	defer func() {
		if s != nil {
			s.Close()
		}
	}()
	for {
		select {
		case <-n.stop:
			return
		default:
		}
		batch := make([]client.Submission, 16)
		for i := range batch {
			var id client.MessageID
			binary.BigEndian.PutUint64(id[:], n.number)
			binary.BigEndian.PutUint64(id[8:], next+uint64(i))
			payload := make([]byte, 256)
			copy(payload, id[:])
			batch[i] = client.Submission{ID: id, Group: group, Payload: payload, Recipients: []certs.Identity{to.id}}
		}
		for {
			var err error
			if s == nil {
				s, err = client.Dial(ctx, client.Config{Addr: addr, Key: from.key, Limits: alert()})
			}
			if err == nil {
				var out [][]client.Outcome
				if out, err = s.Submit(ctx, batch); err == nil {
					checkStored(t, out)
					break
				}
			}
			if ctx.Err() != nil {
				return
			}
			if s != nil {
				s.Close()
				s = nil
			}
		}
		next += uint64(len(batch))
		n.acked <- len(batch)
	}
}

func checkStored(t *testing.T, outcomes [][]client.Outcome) {
	for _, o := range outcomes {
		if st := o[0].Status; st != schemas.EnqueueStatus_stored && st != schemas.EnqueueStatus_duplicate {
			t.Errorf("outcome %v", st)
		}
	}
}

// checkingReader listens, again after each loss of the connection, from its cursor, and checks order and uniqueness.
type checkingReader struct {
	mu     sync.Mutex
	cursor uint64
	next   map[uint64]uint64 // sender: the number expected next
	total  uint64
	news   chan struct{}
}

func (r *checkingReader) run(ctx context.Context, t *testing.T, addr string, who *person) {
	for ctx.Err() == nil {
		s, err := client.Dial(ctx, client.Config{Addr: addr, Key: who.key, Limits: alert()})
		if err != nil {
			continue
		}
		r.mu.Lock()
		cursors := []client.Cursor{{Queue: client.Queue{Group: group}, Seq: r.cursor}}
		r.mu.Unlock()
		_ = s.Listen(ctx, client.ListenOptions{Cursors: cursors}, func(_ context.Context, _ client.Queue, batch []client.Envelope) error {
			r.take(t, batch)
			return nil
		})
		s.Close()
	}
}

func (r *checkingReader) take(t *testing.T, batch []client.Envelope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range batch {
		if e.Seq <= r.cursor {
			continue
		}
		r.cursor = e.Seq
		from, number := binary.BigEndian.Uint64(e.ID[:]), binary.BigEndian.Uint64(e.ID[8:])
		if number != r.next[from] {
			t.Errorf("sender %d: message %d came where %d was due (seq %d)", from, number, r.next[from], e.Seq)
		}
		r.next[from] = number + 1
		r.total++
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// TestKilledUnderLoad: the real daemon is killed with -9 under load, again and again; every acknowledged message arrives exactly once, in
// the order of its sender.
func TestKilledUnderLoad(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir, "127.0.0.1:0")
	addr := d.addr
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	reader := newPerson(t)
	r := &checkingReader{next: make(map[uint64]uint64), news: make(chan struct{}, 1)}
	readerCtx, stopReader := context.WithCancel(ctx)
	var readerDone, sendersDone sync.WaitGroup
	readerDone.Go(func() { r.run(readerCtx, t, addr, reader) })
	defer readerDone.Wait()
	defer stopReader()

	const senders = 3
	acked, stop := make(chan int, 1<<16), make(chan struct{})
	all := make([]*numberedSender, senders)
	for i := range all {
		all[i] = &numberedSender{number: uint64(i + 1), acked: acked, stop: stop, stopped: make(chan uint64, 1)}
		from := newPerson(t)
		sendersDone.Go(func() { all[i].run(ctx, t, addr, from, reader) })
	}
	for range rounds(t) {
		// The kill comes after some acknowledgements of this life, at a place that the test does not choose.
		for left := 50 + rand.IntN(400); left > 0; {
			select {
			case n := <-acked:
				left -= n
			case <-ctx.Done():
				t.Fatalf("no progress:\n%s", d.logText())
			}
		}
		d.kill()
		for len(acked) > 0 {
			<-acked
		}
		d = startDaemon(t, dir, addr)
	}
	close(stop)
	sendersDone.Wait()
	want := make(map[uint64]uint64)
	total := uint64(0)
	for _, n := range all {
		want[n.number] = <-n.stopped
		total += want[n.number]
	}
	for {
		r.mu.Lock()
		done, have := r.total >= total, r.total
		r.mu.Unlock()
		if done {
			break
		}
		select {
		case <-r.news:
		case <-ctx.Done():
			t.Fatalf("%d of %d acknowledged messages arrived:\n%s", have, total, d.logText())
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, count := range want {
		// A batch that was stored, but whose acknowledgement was lost with the last kill, was sent again: nothing may come beyond.
		if r.next[n] != count {
			t.Errorf("sender %d: %d arrived, %d were acknowledged", n, r.next[n], count)
		}
	}
	t.Logf("%d rounds, %d messages acknowledged, all arrived once and in order", rounds(t), total)
}
