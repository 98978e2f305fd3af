package integration

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/schemas"
)

// TestSessionCalls: what is submitted is listed, fetched and acknowledged, each once; the same id a second time is a duplicate.
func TestSessionCalls(t *testing.T) {
	d := startInProcess(t)
	alice, bob := newPerson(t), newPerson(t)
	from, to := dial(t, d.Addr().String(), alice), dial(t, d.Addr().String(), bob)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var groups []string
	for i, group := range []string{"b", "", "a", "c"} {
		sub := client.Submission{ID: client.MessageID{byte(i + 1)}, Group: group, Payload: []byte(group + "1"), Recipients: []certs.Identity{bob.id}}
		for _, want := range []schemas.EnqueueStatus{schemas.EnqueueStatus_stored, schemas.EnqueueStatus_duplicate} {
			out, err := from.Submit(ctx, []client.Submission{sub})
			if err != nil || out[0][0].Status != want || out[0][0].Seq != 1 {
				t.Fatalf("queue %q: %v %v, want %v", group, out, err, want)
			}
		}
	}
	queues, err := to.Queues(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queues {
		groups = append(groups, q.Group)
		if q.Messages != 1 || q.Last != 1 || q.Acknowledged != 0 {
			t.Errorf("queue %+v", q)
		}
	}
	if !slices.Equal(groups, []string{"", "a", "b", "c"}) {
		t.Errorf("queues %q", groups)
	}
	got, more, err := to.FetchAfter(ctx, client.Cursor{Queue: client.Queue{Group: "a"}})
	if err != nil || more || len(got) != 1 || got[0].Seq != 1 || !bytes.Equal(got[0].Payload, []byte("a1")) || got[0].ID != (client.MessageID{3}) {
		t.Errorf("fetched %v, more %v, %v", got, more, err)
	}
	if err := to.Acknowledge(ctx, []client.Cursor{{Queue: client.Queue{Group: "a"}, Seq: 1}, {Queue: client.Queue{Group: "c"}, Seq: 1}}); err != nil {
		t.Fatal(err)
	}
	if queues, err = to.Queues(ctx); err != nil || len(queues) != 2 {
		t.Errorf("after the acknowledgement: %v %v", queues, err)
	}
	if _, err := to.FetchKeyPackage(ctx, alice.id); !errors.Is(err, client.ErrNoKeyPackage) {
		t.Errorf("no KeyPackage: %v", err)
	}
	to.Close()
	if _, err := to.Queues(ctx); err == nil {
		t.Error("a closed session answers")
	}
}

// TestListenEnds: when the connection is over, a handler that still waits learns of it, and Listen returns after it; the handler's own
// failure ends Listen with that failure.
func TestListenEnds(t *testing.T) {
	d := startInProcess(t)
	alice, bob := newPerson(t), newPerson(t)
	from := dial(t, d.Addr().String(), alice)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := from.Submit(ctx, []client.Submission{{ID: client.MessageID{1}, Group: "g", Payload: []byte("x"), Recipients: []certs.Identity{bob.id}}})
	if err != nil {
		t.Fatal(err)
	}

	s := dial(t, d.Addr().String(), bob)
	handled := false
	err = s.Listen(ctx, client.ListenOptions{}, func(ctx context.Context, _ client.Queue, _ []client.Envelope) error {
		s.Close()
		<-ctx.Done()
		handled = true
		return ctx.Err()
	})
	if !handled || err == nil || ctx.Err() != nil {
		t.Errorf("connection over: handler returned %v, Listen %v", handled, err)
	}

	failure := errors.New("handler's")
	s = dial(t, d.Addr().String(), bob)
	err = s.Listen(ctx, client.ListenOptions{}, func(_ context.Context, _ client.Queue, batch []client.Envelope) error {
		if len(batch) != 1 || batch[0].ID != (client.MessageID{1}) {
			t.Errorf("%v", batch) // what was not acknowledged comes again
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("Listen ended with %v", err)
	}
}
