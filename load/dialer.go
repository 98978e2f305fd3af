package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
)

// A dialer is a client that connects to one server again and again, one connection at a time.
type dialer struct {
	who     int
	tickets *tickets
	known   bool  // it has connected before
	ready   int64 // when its last connection could be used: the handshake was complete, or the answer to the call was there
}

// handshakeLimit is how long a connection may take.
const handshakeLimit = 10 * time.Second

var errNotResumed = errors.New("the session was not resumed")

// connectOurs connects to the daemon, and hangs up once it is known that the daemon has found the handshake complete.
func (r *run) connectOurs(ctx context.Context, d *dialer) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	s, err := r.dialWith(ctx, d.who, d.tickets, r.cfg.Kind == kindEarly)
	if err != nil {
		return err
	}
	defer r.hangUp(s)
	if r.calls() {
		if _, err := s.Queues(ctx); err != nil {
			return fmt.Errorf("client %d: %w", d.who, err)
		}
	}
	return r.handshaken(ctx, d, s.Conn().Context(), s.Conn().State)
}

// connectBare does the same with the baseline's server.
func (r *run) connectBare(addr string) func(context.Context, *dialer) error {
	return func(ctx context.Context, d *dialer) error {
		ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
		defer cancel()
		c, err := dialBare(ctx, addr, client.Config{
			Key: r.cfg.identity(d.who), Local: r.cfg.local(d.who), Sessions: d.tickets, Early: r.cfg.Kind == kindEarly,
		})
		if err != nil {
			return fmt.Errorf("baseline, client %d: %w", d.who, err)
		}
		defer c.close()
		if r.calls() {
			if err := c.call(ctx); err != nil {
				return fmt.Errorf("baseline, client %d: %w", d.who, err)
			}
		}
		return r.handshaken(ctx, d, c.Context(), func() quicrpc.ConnState {
			st := c.ConnectionState()
			return quicrpc.ConnState{Resumed: st.TLS.DidResume, Used0RTT: st.Used0RTT}
		})
	}
}

// calls says whether a connection does a call: 0-RTT is no gain without one.
func (r *run) calls() bool { return r.cfg.Call || r.cfg.Kind == kindEarly }

// handshaken waits until the server has found the handshake complete, and checks that it was of the kind that is asked for.
func (r *run) handshaken(ctx context.Context, d *dialer, conn context.Context, state func() quicrpc.ConnState) error {
	if r.calls() {
		d.ready = now()
	}
	select {
	case <-d.tickets.came:
	case <-conn.Done():
		return fmt.Errorf("client %d: the connection ended in the handshake: %w", d.who, context.Cause(conn))
	case <-ctx.Done():
		return fmt.Errorf("client %d: the handshake: %w", d.who, context.Cause(ctx))
	}
	if !r.calls() {
		d.ready = now()
	}
	known := d.known
	d.known = true
	if !known || r.cfg.Kind == kindFull {
		return nil
	}
	st := state()
	if !st.Resumed {
		return fmt.Errorf("client %d: %w", d.who, errNotResumed)
	}
	if r.cfg.Kind == kindEarly && !st.Used0RTT {
		return fmt.Errorf("client %d: 0-RTT was not accepted", d.who)
	}
	return nil
}
