package ds

import (
	"context"
	"errors"
	"sync"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// server is the service as one connection sees it. Its calls run one after the other, in the order in which they came; those that enqueue
// take their place in that order and then wait for the disk together.
type server struct {
	s       *Service
	session Session
	owner   store.Identity
	open    Opener
	sender  *sender[store.Message]
	posts   *sender[store.Post]

	claiming sync.Mutex
	claims   map[string]*claim // made on this stream, by group
}

var _ schemas.DeliveryService_Server = (*server)(nil)

// Fetch returns the oldest payloads of all of the caller's queues.
func (c *server) Fetch(ctx context.Context, call schemas.DeliveryService_fetch) error {
	if err := c.s.begin(fetch); err != nil {
		return err
	}
	key, err := call.Args().RecipientKey()
	if err != nil {
		return malformed(err)
	}
	if len(key) != 0 && len(key) != len(c.owner) {
		return invalid("recipientKey of %d bytes, want 32 or none", len(key))
	}
	if len(key) != 0 && store.Identity(key) != c.owner {
		return quicrpc.Errorf(quicrpc.CodeNotAuthorized, "recipientKey is not the caller's")
	}
	payloads, err := c.oldest(ctx)
	if err != nil {
		return c.s.failure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	list, err := results.NewPayloads(int32(len(payloads)))
	if err != nil {
		return err
	}
	for i, p := range payloads {
		if err := list.Set(i, p); err != nil {
			return err
		}
	}
	return nil
}

// oldest reads queue after queue until a page is full.
func (c *server) oldest(ctx context.Context) (payloads [][]byte, err error) {
	left := maxPageBytes
	from := store.QueueID{Owner: c.owner}
	for more := true; more && len(payloads) < maxFetch; {
		var queues []store.QueueStatus
		if queues, more, err = c.s.store.Queues(ctx, from, maxQueues); err != nil {
			return nil, err
		}
		for _, q := range queues {
			id := store.QueueID{Owner: c.owner, Group: q.Group, Shared: q.Shared}
			from = id.Next()
			page, err := c.s.store.Read(ctx, id, 0, maxFetch-len(payloads), left)
			if err != nil {
				return nil, err
			}
			for _, m := range page.Messages {
				if len(m.Payload) > left && len(payloads) > 0 {
					return payloads, nil
				}
				payloads = append(payloads, m.Payload)
				left -= len(m.Payload)
			}
			if page.More || left < 1 || len(payloads) == maxFetch {
				return payloads, nil
			}
		}
	}
	return payloads, nil
}

// FetchAfter returns messages of one of the caller's queues.
func (c *server) FetchAfter(ctx context.Context, call schemas.DeliveryService_fetchAfter) error {
	if err := c.s.begin(fetchAfter); err != nil {
		return err
	}
	args := call.Args()
	var cursor store.Cursor
	at, err := args.Cursor()
	if err == nil {
		cursor, err = c.cursor(at)
	}
	if err != nil {
		return malformed(err)
	}
	maxMessages, maxBytes := limit(args.MaxMessages(), maxPage), limit(args.MaxBytes(), maxPageBytes)
	page, err := c.s.store.Read(ctx, cursor.Queue, cursor.Seq, maxMessages, maxBytes)
	if err != nil {
		return c.s.failure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	list, err := results.NewEnvelopes(int32(len(page.Messages)))
	if err != nil {
		return err
	}
	results.SetMore(page.More)
	return setEnvelopes(list, page.Messages)
}

// limit is asked, or most if that is 0 or above it.
func limit(asked uint32, most int) int {
	if asked == 0 {
		return most
	}
	return int(min(asked, uint32(most)))
}

// Queues lists the caller's queues that hold something.
func (c *server) Queues(ctx context.Context, call schemas.DeliveryService_queues) error {
	if err := c.s.begin(queues); err != nil {
		return err
	}
	args := call.Args()
	after, err := args.AfterGroupId()
	if err != nil {
		return malformed(err)
	}
	if len(after) > store.MaxGroup {
		return invalid("group id of %d bytes, at most %d allowed", len(after), store.MaxGroup)
	}
	from := store.QueueID{Owner: c.owner}
	if len(after) > 0 || args.AfterShared() {
		from.Group, from.Shared = string(after), args.AfterShared()
		from = from.Next()
	}
	found, more, err := c.s.store.Queues(ctx, from, limit(args.Max(), maxQueues))
	if err != nil {
		return c.s.failure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetMore(more)
	list, err := results.NewQueues(int32(len(found)))
	if err != nil {
		return err
	}
	for i, q := range found {
		e := list.At(i)
		e.SetAcknowledged(q.Acknowledged)
		e.SetLast(q.Last)
		e.SetMessages(q.Messages)
		e.SetBytes(q.Bytes)
		e.SetShared(q.Shared)
		if err := e.SetGroupId([]byte(q.Group)); err != nil {
			return err
		}
	}
	return nil
}

// Acknowledge removes what is up to the cursors.
func (c *server) Acknowledge(ctx context.Context, call schemas.DeliveryService_acknowledge) error {
	if err := c.s.begin(acknowledge); err != nil {
		return err
	}
	if err := c.session.WaitHandshake(ctx); err != nil {
		return err
	}
	list, err := call.Args().Cursors()
	if err != nil {
		return malformed(err)
	}
	cursors, err := c.cursors(list, maxCursors)
	if err != nil {
		return err
	}
	if err := c.s.store.Acknowledge(ctx, cursors); err != nil {
		return c.s.failure(err)
	}
	return nil
}

func (c *server) cursors(list schemas.Cursor_List, most int) ([]store.Cursor, error) {
	if list.Len() > most {
		return nil, invalid("%d cursors, at most %d allowed", list.Len(), most)
	}
	cursors := make([]store.Cursor, list.Len())
	for i := range cursors {
		var err error
		if cursors[i], err = c.cursor(list.At(i)); err != nil {
			return nil, malformed(err)
		}
	}
	return cursors, nil
}

func (c *server) cursor(at schemas.Cursor) (store.Cursor, error) {
	group, err := at.GroupId()
	if err != nil {
		return store.Cursor{}, err
	}
	if err := store.CheckGroup(string(group)); err != nil {
		return store.Cursor{}, err
	}
	q := store.QueueID{Owner: c.owner, Group: string(group), Shared: at.Shared()}
	if q.Shared && len(group) == 0 {
		return store.Cursor{}, errors.New("a shared queue without a group id")
	}
	return store.Cursor{Queue: q, Seq: at.Seq()}, nil
}

func setEnvelopes(list schemas.Envelope_List, messages []store.Delivery) error {
	for i := range messages {
		m, e := &messages[i], list.At(i)
		e.SetSeq(m.Seq)
		e.SetAcceptedAt(m.AcceptedAt.UnixMilli())
		if err := e.SetId(m.ID[:]); err != nil {
			return err
		}
		if err := e.SetPayload(m.Payload); err != nil {
			return err
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return quicrpc.Errorf(quicrpc.CodeInvalidArgument, format, args...)
}

func malformed(err error) error { return invalid("malformed call: %v", err) }
