package integration

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/daemon"
)

// startInProcess runs a daemon in the test's own process, so that its counters can be read.
func startInProcess(t *testing.T) *daemon.Daemon {
	t.Helper()
	return startInProcessAt(t, t.TempDir())
}

func startInProcessAt(t *testing.T, dir string) *daemon.Daemon {
	t.Helper()
	return startWith(t, daemon.Config{DataDir: dir})
}

func startWith(t *testing.T, cfg daemon.Config) *daemon.Daemon {
	t.Helper()
	cfg.Listen, cfg.Logger = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	d, err := daemon.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, 5*time.Second) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return d
}

// TestPushWithoutPolling: a thousand messages arrive at a listening client, in order, and its one call to the delivery service is listen.
func TestPushWithoutPolling(t *testing.T) {
	const messages = 1000
	d := startInProcess(t)
	alice, bob := newPerson(t), newPerson(t)
	sender, receiver := dial(t, d.Addr().String(), alice), dial(t, d.Addr().String(), bob)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	started, all := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	got := uint64(0)
	go func() {
		ended <- receiver.Listen(ctx, client.ListenOptions{Started: func() { close(started) }},
			func(_ context.Context, _ client.Queue, batch []client.Envelope) error {
				for _, e := range batch {
					if got++; e.Seq != got {
						t.Errorf("seq %d came as number %d", e.Seq, got)
					}
				}
				if got == messages {
					close(all)
				}
				return nil
			})
	}()
	<-started
	before := d.Calls()
	sent := uint64(0)
	for range messages / 10 {
		batch := make([]client.Submission, 10)
		for i := range batch {
			batch[i] = client.Submission{Group: "g", Payload: make([]byte, 256), Recipients: []certs.Identity{bob.id}}
			_, _ = rand.Read(batch[i].ID[:])
		}
		if _, err := sender.Submit(ctx, batch); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	select {
	case <-all:
	case err := <-ended:
		t.Fatalf("listen: %v", err)
	case <-ctx.Done():
		t.Fatalf("%d of %d arrived", got, messages)
	}
	after := d.Calls()
	for method, n := range after {
		want := uint64(0)
		if method == "submit" {
			want = sent // alice's
		}
		if n-before[method] != want {
			t.Errorf("%s was called %d times while the messages came, want %d", method, n-before[method], want)
		}
	}
	if after["listen"] != 1 {
		t.Errorf("listen was called %d times", after["listen"])
	}
	cancel()
	<-ended
}
