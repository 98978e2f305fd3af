package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// jetStream is NATS JetStream: a file stream and a durable push consumer for each recipient, TLS.
type jetStream struct{ syncAlways bool }

func (j jetStream) name() string {
	if j.syncAlways {
		return "nats-sync"
	}
	return "nats"
}

func (j jetStream) guarantee() string {
	if j.syncAlways {
		return "written and synced"
	}
	return "written, synced every 2 min"
}

// natsServerCommand, as the first argument, makes this program the NATS server, so that its CPU time is measured apart from that of the clients.
const natsServerCommand = "internal-nats-server"

const natsReady = "nats listens on "

func (j jetStream) start(ctx context.Context, dir string, _ *config) (broker, error) {
	cert, key, trust, err := newCertificate(dir)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, url, err := launch(ctx, exec.Command(self, natsServerCommand, dir, cert, key, fmt.Sprint(j.syncAlways)), func(line string) string {
		url, found := strings.CutPrefix(line, natsReady)
		if !found {
			return ""
		}
		return url
	})
	if err != nil {
		return nil, err
	}
	return &natsBroker{process: p, url: url, trust: trust}, nil
}

// runNATSServer is the server's process. It ends when it is told to, or its standard input ends.
func runNATSServer(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("%w: %s is not for people", errUsage, natsServerCommand)
	}
	pair, err := tls.LoadX509KeyPair(args[1], args[2])
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: args[0], SyncAlways: args[3] == "true",
		TLS: true, TLSTimeout: 30, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13},
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(startLimit) {
		return errors.New("nats is not ready")
	}
	fmt.Fprintln(os.Stderr, natsReady+s.ClientURL())
	go func() { // until the comparison ends or closes the pipe
		_, _ = os.Stdin.Read(make([]byte, 1))
		s.Shutdown()
	}()
	s.WaitForShutdown()
	return nil
}

type natsBroker struct {
	*process
	url   string
	trust *tls.Config

	mu    sync.Mutex
	conns []*nats.Conn
}

// natsPatience is how long a call to the JetStream API may take: a thousand consumers take a while.
const natsPatience = time.Minute

func (b *natsBroker) dial(fail func(error)) (*nats.Conn, nats.JetStreamContext, error) {
	nc, err := nats.Connect(b.url, nats.Secure(b.trust), nats.NoReconnect(), nats.Timeout(natsPatience),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { fail(err) }),
		nats.ClosedHandler(func(nc *nats.Conn) { fail(errors.Join(errors.New("nats: connection closed"), nc.LastError())) }))
	if err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	b.conns = append(b.conns, nc)
	b.mu.Unlock()
	js, err := nc.JetStream(nats.MaxWait(natsPatience), nats.PublishAsyncMaxPending(maxWindow+1))
	return nc, js, err
}

// ackEvery is how many messages an acknowledgement covers at most; there is one at least when none is waiting.
const ackEvery = 16

func (b *natsBroker) subscribe(_ context.Context, topic, member int, deliver func([]byte), fail func(error)) error {
	_, js, err := b.dial(fail)
	if err != nil {
		return err
	}
	stream := "S" + topicName(topic)
	// Adding a stream that is there already, as configured, does nothing.
	if _, err := js.AddStream(&nats.StreamConfig{Name: stream, Subjects: []string{topicName(topic)}, Storage: nats.FileStorage}); err != nil {
		return err
	}
	n := 0
	sub, err := js.Subscribe(topicName(topic), func(m *nats.Msg) {
		deliver(m.Data)
		meta, err := m.Metadata()
		if n++; err == nil && (meta.NumPending == 0 || n%ackEvery == 0) {
			err = m.Ack()
		}
		if err != nil {
			fail(err)
		}
	}, nats.Durable(fmt.Sprintf("r%d", member)), nats.BindStream(stream), nats.AckAll(), nats.ManualAck(), nats.MaxAckPending(maxWindow+ackEvery))
	if err != nil {
		return err
	}
	return sub.SetPendingLimits(-1, -1)
}

func (b *natsBroker) publisher(_ context.Context, topic int, acked func(int), fail func(error)) (publisher, error) {
	_, js, err := b.dial(fail)
	if err != nil {
		return nil, err
	}
	p := &natsPublisher{js: js, topic: topicName(topic), under: make(chan nats.PubAckFuture, maxWindow)}
	go func() {
		for f := range p.under {
			select {
			case <-f.Ok():
				acked(1)
			case err := <-f.Err():
				fail(err)
				return
			}
		}
	}()
	return p, nil
}

type natsPublisher struct {
	js    nats.JetStreamContext
	topic string
	under chan nats.PubAckFuture // in the order in which they were sent; never more than a window
}

func (p *natsPublisher) publish(batch [][]byte) error {
	for _, m := range batch {
		f, err := p.js.PublishAsync(p.topic, m)
		if err != nil {
			return err
		}
		p.under <- f
	}
	return nil
}

func (b *natsBroker) stop() error {
	b.mu.Lock()
	for _, nc := range b.conns {
		nc.Close()
	}
	b.mu.Unlock()
	return b.process.stop()
}
