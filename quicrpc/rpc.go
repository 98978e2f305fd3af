package quicrpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc"
)

// An RPC is a client's end of an AS or DS stream: a Cap'n Proto RPC connection with one capability. An idle one costs both sides some 30 KiB and
// five goroutines: make it when it is needed, close it after use. Safe for concurrent use.
type RPC struct {
	conn   *Conn
	rc     *rpc.Conn
	t      *guarded
	client capnp.Client
	closed atomic.Bool // Close was called, which the stream may learn of later than that the server ended it for that
}

func newRPC(c *Conn, s *stream) *RPC {
	r := &RPC{conn: c}
	r.t = newGuarded(c.Context(), s, newClientGuard(), nil, c.limits.MaxMessage, c.cut)
	r.rc = rpc.NewConn(r.t, &rpc.Options{Logger: rpcLogger{c.log}})
	// Neither the caller's context, whose end must not end the bootstrap, nor the stream's, whose end would hide its reason.
	r.client = capnp.NewClient(newGate(r.rc.Bootstrap(context.Background()), c.limits.MaxCalls/2))
	return r
}

// Client returns the service behind the stream, which RPC owns: use it as schemas.X(r.Client()), and do not release it. Calls may be made at
// once, before the server answered anything. A call waits while half of Limits.MaxCalls are in flight.
func (r *RPC) Client() capnp.Client { return r.client }

// Done is closed when the stream is over: by Close, by the server, or with the connection.
func (r *RPC) Done() <-chan struct{} { return r.rc.Done() }

// Close ends the stream. Calls in flight fail with ErrClosed.
func (r *RPC) Close() error {
	r.closed.Store(true)
	r.client.Release()
	err := r.rc.Close()
	r.conn.forget(r)
	return err
}

// Err translates what a call on Client returned, as FromRPC does, and knows the reason when the stream or the connection is over: what
// the server said (a *StreamError or *ConnError with its code), ErrClosed, or ErrEarlyRejected.
func (r *RPC) Err(err error) error {
	if err == nil {
		return nil
	}
	err = FromRPC(err)
	cause := r.t.err()
	if r.closed.Load() {
		cause = ErrClosed
	}
	if cause == nil {
		return err
	}
	var (
		re *RPCError
		se *StreamError
		ce *ConnError
	)
	switch {
	case errors.As(err, &re) && re.Code == CodeInternal && errors.Is(cause, ErrClosed): // "call on released client" and the like
		return ErrClosed
	case errors.As(err, &ce) && ce.Code == ConnErrLost:
		return overReason(r.conn, cause)
	case errors.As(err, &re), errors.As(err, &se), errors.As(err, &ce), errors.Is(err, ErrMessageSize), errors.Is(err, ErrEarlyRejected),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return overReason(r.conn, cause)
}

// overReason words why a stream is over. The connection's reason counts more than the stream's, which follows from it.
func overReason(c *Conn, cause error) error {
	if err := c.Err(); err != nil && !errors.Is(cause, ErrClosed) {
		return err
	}
	if cause == io.EOF {
		return &StreamError{Code: StreamErrNone, Remote: true, Text: "the server ended the stream", Err: io.EOF}
	}
	return cause
}

// rpcLogger passes the RPC library's messages on, all at level Debug: they repeat what the guard and the services log themselves.
type rpcLogger struct{ log *slog.Logger }

func (l rpcLogger) Debug(msg string, args ...any) { l.log.Debug("rpc: "+msg, args...) }
func (l rpcLogger) Info(msg string, args ...any)  { l.log.Debug("rpc: "+msg, args...) }
func (l rpcLogger) Warn(msg string, args ...any)  { l.log.Debug("rpc: "+msg, args...) }
func (l rpcLogger) Error(msg string, args ...any) {
	l.log.Debug("rpc: "+printable(msg, maxReason), args...)
}
