package load

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
)

// What a killed daemon leaves behind is tried again; what a new attempt does not cure is not.
func TestPassing(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("call: %w", &quicrpc.ConnError{Reason: quicrpc.ErrPeerRestarted}), true},
		{&quicrpc.StreamError{}, true},
		{fmt.Errorf("%w: %w", client.ErrUnreachable, quicrpc.ErrTimeout), true},
		{quicrpc.ErrUnavailable, true},
		{quicrpc.ErrClosed, true},
		{context.DeadlineExceeded, true},
		{context.Canceled, false},
		{fmt.Errorf("%w: %w", client.ErrUnreachable, quicrpc.ErrTLS), false},
		{certs.ErrPinMismatch, false},
		{quicrpc.ErrRateLimited, false},
		{quicrpc.ErrInvalidArgument, false},
		{client.ErrProtocol, false},
		{errors.New("another"), false},
	} {
		if got := passing(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

// A call waits for a connection, and ends with the run.
func TestLinkEndsWithTheRun(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	l := meet(t, 1)[0].link
	ended := make(chan error)
	go func() {
		ended <- l.retry(ctx, func(context.Context, *client.Session) error { return nil })
	}()
	cancel(over)
	if err := <-ended; !errors.Is(err, over) {
		t.Fatalf("%v, want why the run ended", err)
	}
}

// TestRetryGivesUp: what fails for ever ends the run, in time that one can wait for.
func TestRetryGivesUp(t *testing.T) {
	for fault, limit := range map[error]time.Duration{quicrpc.ErrUnavailable: 30 * time.Second, quicrpc.ErrClosed: away} {
		synctest.Test(t, func(t *testing.T) {
			l := meet(t, 1)[0].link
			l.r.cfg.Drain = 30 * time.Second
			l.set(new(client.Session))
			began := time.Now()
			err := l.retry(t.Context(), func(context.Context, *client.Session) error { return fault })
			if took := time.Since(began); !errors.Is(err, fault) || took < limit || took > limit+2*maxPause {
				t.Errorf("%v, after %v", err, took)
			}
		})
	}
}
