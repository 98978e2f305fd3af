package integration

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// BenchmarkNeighbours measures how long a message of 256 bytes takes from its submission to its recipient while somebody else behaves badly, beside how long it takes
// without, in turn: 8 pairs, each with one message under way.
//
//	go test -run '^$' -bench Neighbours -benchtime 4000x ./integration
func BenchmarkNeighbours(b *testing.B) {
	for name, misbehave := range map[string]func(*testing.B, context.Context, string) func(){
		"quiet": func(*testing.B, context.Context, string) func() { return func() {} }, "never reads": neverReadsPush,
		"never acknowledges": neverAcknowledges, "sends 1 MiB": sendsLarge,
	} {
		b.Run(name, func(b *testing.B) {
			d := startDaemon(b, b.TempDir(), "127.0.0.1:0")
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			pairs := newPairs(b, ctx, d.addr)
			const rounds = 10
			n := max(b.N/rounds/len(pairs), 1)
			measurePairs(b, ctx, pairs, n)
			var alone, beside []time.Duration
			b.ResetTimer()
			for range rounds {
				alone = append(alone, measurePairs(b, ctx, pairs, n)...)
				stop := misbehave(b, ctx, d.addr)
				beside = append(beside, measurePairs(b, ctx, pairs, n)...)
				stop()
			}
			b.StopTimer()
			before, after := quantile(alone, 0.99), quantile(beside, 0.99)
			b.ReportMetric(float64(before.Microseconds())/1e3, "ms-p99-alone")
			b.ReportMetric(float64(after.Microseconds())/1e3, "ms-p99-beside")
			b.ReportMetric(float64(after)/float64(before), "p99-ratio")
			b.ReportMetric(float64(quantile(beside, 0.5))/float64(quantile(alone, 0.5)), "p50-ratio")
		})
	}
}

func quantile(all []time.Duration, q float64) time.Duration {
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)]
}

// pair is one who sends, and one who hears.
type pair struct {
	sender *client.Session
	to     certs.Identity
	came   chan struct{}
}

func newPairs(b *testing.B, ctx context.Context, addr string) []*pair {
	b.Helper()
	pairs := make([]*pair, 8)
	for i := range pairs {
		to := newPerson(b)
		p := &pair{dial(b, addr, newPerson(b)), to.id, make(chan struct{}, 1)}
		hearing := dial(b, addr, to)
		started, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			_ = hearing.Listen(ctx, client.ListenOptions{Started: func() { close(started) }},
				func(_ context.Context, _ client.Queue, batch []client.Envelope) error {
					for range batch {
						p.came <- struct{}{}
					}
					return nil
				})
		}()
		b.Cleanup(func() { <-ended })
		<-started
		pairs[i] = p
	}
	return pairs
}

// measurePairs sends n messages from each sender, one after the other.
func measurePairs(b *testing.B, ctx context.Context, pairs []*pair, n int) (took []time.Duration) {
	b.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range pairs {
		wg.Go(func() {
			own := make([]time.Duration, 0, n)
			for range n {
				begin := time.Now()
				if err := submitOne(ctx, p.sender, p.to, 256); err != nil {
					b.Error(err)
					return
				}
				select {
				case <-p.came:
				case <-time.After(time.Minute):
					b.Error("a message did not come")
					return
				}
				own = append(own, time.Since(begin))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return took
}

func submitOne(ctx context.Context, s *client.Session, to certs.Identity, size int) error {
	m := client.Submission{Payload: make([]byte, size), Recipients: []certs.Identity{to}}
	_, _ = rand.Read(m.ID[:])
	_, err := s.Submit(ctx, []client.Submission{m})
	return err
}

// backlog puts 8 MiB into the inbox of a new person.
func backlog(b *testing.B, ctx context.Context, addr string) *person {
	b.Helper()
	p, s := newPerson(b), dial(b, addr, newPerson(b))
	defer s.Close()
	for range 64 {
		batch := make([]client.Submission, 32)
		for i := range batch {
			batch[i] = client.Submission{Payload: make([]byte, 4<<10), Recipients: []certs.Identity{p.id}}
			_, _ = rand.Read(batch[i].ID[:])
		}
		if _, err := s.Submit(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// listenRaw asks the server to push, and leaves the reading to the caller.
func listenRaw(b *testing.B, ctx context.Context, addr string, p *person) *client.Session {
	b.Helper()
	s := dial(b, addr, p)
	rpc, err := s.Conn().Bootstrap(ctx, quicrpc.StreamDS)
	if err != nil {
		b.Fatal(err)
	}
	f, release := schemas.DeliveryService(rpc.Client()).Listen(ctx, func(a schemas.DeliveryService_listen_Params) error {
		a.SetWindowMessages(4096)
		a.SetWindowBytes(16 << 20)
		return nil
	})
	defer release()
	if _, err := f.Struct(); err != nil {
		b.Fatal(err)
	}
	return s
}

// trickle goes on sending to somebody, a message at a time.
func trickle(ctx context.Context, s *client.Session, to certs.Identity, size int, pause time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(max(pause, 1)); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				if submitOne(ctx, s, to, size) != nil {
					return
				}
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// neverReadsPush listens, has 8 MiB waiting and more coming, and reads nothing of what is pushed.
func neverReadsPush(b *testing.B, ctx context.Context, addr string) func() {
	p := backlog(b, ctx, addr)
	s, from := listenRaw(b, ctx, addr, p), dial(b, addr, newPerson(b))
	stop := trickle(ctx, from, p.id, 256, 5*time.Millisecond)
	return func() { stop(); s.Close(); from.Close() }
}

// neverAcknowledges reads all that is pushed, and acknowledges nothing of it.
func neverAcknowledges(b *testing.B, ctx context.Context, addr string) func() {
	p := backlog(b, ctx, addr)
	s, from := listenRaw(b, ctx, addr, p), dial(b, addr, newPerson(b))
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			stream, err := s.Conn().AcceptPush(ctx)
			if err != nil {
				return
			}
			reading.Go(func() {
				for {
					m, err := stream.ReadMessage()
					if err != nil {
						return
					}
					m.Release()
				}
			})
		}
	})
	stop := trickle(ctx, from, p.id, 256, 5*time.Millisecond)
	return func() { stop(); s.Close(); from.Close(); reading.Wait() }
}

// sendsLarge sends a message of 1 MiB after the other, to one who reads them: ten a second, for on this machine the clients share the processor with the server, and what two
// programs take from each other there is not the server's doing.
func sendsLarge(b *testing.B, ctx context.Context, addr string) func() {
	to := newPerson(b)
	hearing, from := dial(b, addr, to), dial(b, addr, newPerson(b))
	hears, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = hearing.Listen(hears, client.ListenOptions{}, func(context.Context, client.Queue, []client.Envelope) error { return nil })
	}()
	stop := trickle(ctx, from, to.id, 1<<20, 100*time.Millisecond)
	return func() { stop(); cancel(); <-ended; hearing.Close(); from.Close() }
}
