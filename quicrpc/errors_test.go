package quicrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"capnproto.org/go/capnp/v3/exc"
	"github.com/quic-go/quic-go"
	"pgregory.net/rapid"
)

func TestFromRPC(t *testing.T) {
	reason := func(typ exc.Type, s string) error { return exc.New(typ, "", s) }
	for _, test := range []struct {
		in, is error
		text   string
	}{
		{reason(exc.Failed, "[notFound] no such queue"), ErrNotFound, "[notFound] no such queue"},
		{fmt.Errorf("auth.capnp:X.y: %w", reason(exc.Failed, "[notFound] a: [tooLarge] b")), ErrNotFound, "[notFound] a: [tooLarge] b"},
		{reason(exc.Failed, "[newCode] x"), &RPCError{Code: "newCode"}, "[newCode] x"},
		{reason(exc.Failed, "no code"), ErrInternal, "[internal] no code"},
		{reason(exc.Failed, "[not a code] x"), ErrInternal, "[internal] [not a code] x"},
		{reason(exc.Failed, "[tooLarge]\x1b[31m\n"), ErrTooLarge, "[tooLarge] ?[31m?"},
		{reason(exc.Unimplemented, "method"), ErrUnimplemented, "[unimplemented] method"},
		{exc.WrapError("x", exc.New(exc.Disconnected, "rpc", "connection closed")), ConnErrLost, ""},
		{exc.New(exc.Failed, "rpc", "x").Annotate("a", "b"), ErrInternal, ""},
		{fmt.Errorf("x: %w", context.Canceled), context.Canceled, "x: context canceled"},
		{fmt.Errorf("x: %w", ErrClosed), ErrClosed, ErrClosed.Error()},
		{fmt.Errorf("x: %w", &StreamError{Code: StreamErrBudget}), StreamErrBudget, ""},
	} {
		got := FromRPC(test.in)
		if !errors.Is(got, test.is) || test.text != "" && got.Error() != test.text {
			t.Errorf("%v became %v", test.in, got)
		}
	}
	if FromRPC(nil) != nil {
		t.Error("nil is no longer nil")
	}
}

// TestExceptionRoundTrip: what Errorf says arrives, whatever stands in the text, and never too long or unprintable.
func TestExceptionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := Code(rapid.StringMatching(`[a-zA-Z]{1,32}`).Draw(t, "code"))
		text := rapid.String().Draw(t, "text")
		e, logged := exception(fmt.Errorf("wrapped: %w", Errorf(code, "%s", text)))
		var got *RPCError
		if !errors.As(FromRPC(e), &got) || got.Code != code || logged {
			t.Fatalf("%q %q arrived as %v", code, text, got)
		}
		if want := printable(text, maxReason); !strings.HasPrefix(want, strings.TrimRight(got.Text, "?")) {
			t.Fatalf("text %q arrived as %q", want, got.Text)
		}
	})
}

func TestConnFailure(t *testing.T) {
	for _, test := range []struct {
		in, is error
		remote bool
	}{
		{&quic.ApplicationError{ErrorCode: 3, Remote: true, ErrorMessage: "bye\n"}, ConnErrShuttingDown, true},
		{&quic.StatelessResetError{}, ErrPeerRestarted, true},
		{&quic.IdleTimeoutError{}, ErrTimeout, false},
		{&quic.HandshakeTimeoutError{}, ErrTimeout, false},
		{&quic.TransportError{ErrorCode: quic.ConnectionRefused, Remote: true}, ErrRefused, true},
		{&quic.TransportError{ErrorCode: alertCertificateRequired, Remote: true}, ErrCertificateRequired, true},
		{&quic.TransportError{ErrorCode: 0x12a, Remote: true}, ErrTLS, true},
		{&quic.VersionNegotiationError{}, ErrVersion, false},
		{quic.ErrTransportClosed, ErrClosed, false},
		{io.ErrClosedPipe, io.ErrClosedPipe, false},
	} {
		var ce *ConnError
		if err := connFailure(test.in); !errors.Is(err, test.is) || !errors.As(err, &ce) || ce.Remote != test.remote || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v became %v", test.in, err)
		}
	}
}

// TestCutLogRate: a flood is logged at a bounded rate, counted whole, and what was left out is said.
func TestCutLogRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, logged := newLog()
		c := newCutLog(log)
		const flood = 1000
		for range flood {
			c.cut("stream cut", "budget", "x")
		}
		if n := len(logged.with("code", "budget")); n != cutLogBurst {
			t.Fatalf("%d records of the burst", n)
		}
		time.Sleep(cutLogEvery) // virtual time
		c.cut("stream cut", "budget", "x")
		c.cut("stream cut", "budget", "x")
		if n := len(logged.with("code", "budget")); n != cutLogBurst+1 {
			t.Fatalf("%d records after one interval", n)
		}
		if n := len(logged.with("suppressed", "950")); n != 1 {
			t.Error("the number of suppressed records is not told")
		}
		if n := c.snapshot()["budget"]; n != flood+2 {
			t.Errorf("%d counted", n)
		}
	})
}

func TestCounter(t *testing.T) {
	var c counter
	<-c.atZero()
	c.add(2)
	zero := c.atZero()
	c.add(-1)
	select {
	case <-zero:
		t.Fatal("closed at one")
	default:
	}
	c.add(-1)
	<-zero
	c.add(1)
	select {
	case <-c.atZero():
		t.Fatal("closed after rising again")
	default:
	}
}
