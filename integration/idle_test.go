package integration

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
)

// TestIdleStreams: a connection that listens keeps no stream for calls; it goes on hearing of messages, and can call again.
func TestIdleStreams(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d := startInProcess(t)
	addr, bob := d.Addr().String(), newPerson(t)
	listener, err := client.Dial(ctx, client.Config{Addr: addr, Key: bob.key, Trust: certs.Trust{}, IdleStream: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan struct{}, 10)
	ended := make(chan error, 1)
	listening, stop := context.WithCancel(ctx)
	started := make(chan struct{})
	go func() {
		ended <- listener.Listen(listening, client.ListenOptions{Started: func() { close(started) }}, func(context.Context, client.Queue, []client.Envelope) error {
			got <- struct{}{}
			return nil
		})
	}()
	defer func() { stop(); <-ended }()
	<-started
	atRest := func() {
		t.Helper()
		for tick := time.NewTicker(5 * time.Millisecond); d.Stats().Transport.RPCStreams > 0; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("streams for calls are still open: %+v", d.Stats().Transport)
			}
		}
	}
	atRest()
	if _, err := listener.Queues(ctx); err != nil {
		t.Fatalf("a call after the stream was closed: %v", err)
	}
	atRest()
	sender := dial(t, addr, newPerson(t))
	var id client.MessageID
	_, _ = rand.Read(id[:])
	if _, err := sender.Submit(ctx, []client.Submission{{ID: id, Payload: []byte("hello"), Recipients: []certs.Identity{bob.id}}}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-ctx.Done():
		t.Fatal("nothing came over a connection at rest")
	}
}
