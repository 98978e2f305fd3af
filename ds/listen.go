package ds

import (
	"context"
	"math"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// Listen begins the push to the caller's connection.
func (c *server) Listen(ctx context.Context, call schemas.DeliveryService_listen) error {
	if err := c.s.begin(listen); err != nil {
		return err
	}
	if err := c.session.WaitHandshake(ctx); err != nil {
		return err
	}
	args := call.Args()
	list, err := args.Cursors()
	if err != nil {
		return malformed(err)
	}
	cursors, err := c.cursors(list, maxListenCursors)
	if err != nil {
		return err
	}
	l := &c.s.limits
	w := window{
		messages: grant(args.WindowMessages(), l.WindowMessages, l.MaxWindowMessages),
		bytes:    grant(args.WindowBytes(), l.WindowBytes, l.MaxWindowBytes),
	}
	if err := c.startListening(ctx, cursors, w); err != nil {
		return err
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetWindowMessages(w.messages)
	results.SetWindowBytes(w.bytes)
	return nil
}

func (c *server) startListening(ctx context.Context, cursors []store.Cursor, w window) error {
	s := c.s
	l, err := newListener(s, c.session, c.owner, c.open, w)
	if err != nil {
		return s.failure(err)
	}
	s.mu.Lock()
	closed, second := s.closed, s.listeners[c.session] != nil
	if !closed && !second {
		s.listeners[c.session] = l
	}
	s.mu.Unlock()
	if closed || second {
		l.discard()
		if second {
			return invalid("this connection listens already")
		}
		return quicrpc.Errorf(quicrpc.CodeUnavailable, "server is shutting down")
	}
	if err := c.acknowledgeKnown(ctx, cursors); err != nil {
		l.discard()
		return s.failure(err)
	}
	l.begin()
	return nil
}

// acknowledgeKnown acknowledges the cursors but for those above the last stored message.
func (c *server) acknowledgeKnown(ctx context.Context, cursors []store.Cursor) error {
	known := cursors[:0]
	for _, cursor := range cursors {
		page, err := c.s.store.Read(ctx, cursor.Queue, math.MaxUint64, 1, 1)
		if err != nil {
			return err
		}
		if cursor.Seq > page.Acknowledged && cursor.Seq <= page.Last {
			known = append(known, cursor)
		}
	}
	if len(known) == 0 {
		return nil
	}
	return c.s.store.Acknowledge(ctx, known)
}
