package client

import (
	"context"
	"errors"
	"io"
	"sync"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// Handler takes what the server pushes. For one queue it is called in order, never twice at once; for different queues
// at the same time. When it returns nil, everything in the batch is acknowledged, at once or a moment later: the server may delete it. An error ends Listen.
// A handler that cannot take a group's messages yet returns ErrLater: they stay at the server, which offers them again after a pause.
type Handler func(ctx context.Context, q Queue, batch []Envelope) error

// ErrLater is what a Handler returns to leave a queue alone for now.
var ErrLater = errors.New("not now")

// ListenOptions says where to begin and how much may be under way; zero windows: the server's default.
type ListenOptions struct {
	// Cursors are acknowledged before the push begins: what was stored in an earlier life, its acknowledgement lost.
	Cursors        []Cursor
	WindowMessages uint32
	WindowBytes    uint32
	// PoolLow, if not nil, is called when the server says that few single-use KeyPackages are left, or that the last-resort one was handed out.
	PoolLow func(available int, lastResortUsed bool)
	// Acknowledged, if not nil, is called after each acknowledgement that was handed to the connection, in order for one queue.
	Acknowledged func(q Queue, upTo uint64)
	// Started, if not nil, is called once the server has accepted.
	Started func()
}

// Listen asks the server once to push, and serves what it pushes until ctx ends, the connection ends, or handle fails. It returns
// the reason, never nil. Call it once a Session.
func (s *Session) Listen(ctx context.Context, opts ListenOptions, handle Handler) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := s.startListen(ctx, opts); err != nil {
		return err
	}
	if opts.Started != nil {
		opts.Started()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		stream, err := s.conn.AcceptPush(ctx)
		if err != nil {
			cancel(err) // the first cause counts; a handler that waits must learn that it is over before it is waited for
			return context.Cause(ctx)
		}
		wg.Go(func() {
			if err := servePush(ctx, stream, &opts, handle); err != nil {
				cancel(err)
			}
		})
	}
}

func (s *Session) startListen(ctx context.Context, opts ListenOptions) error {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return err
	}
	defer rpc.release()
	f, release := ds.Listen(ctx, func(p schemas.DeliveryService_listen_Params) error {
		p.SetWindowMessages(opts.WindowMessages)
		p.SetWindowBytes(opts.WindowBytes)
		list, err := p.NewCursors(int32(len(opts.Cursors)))
		if err != nil {
			return err
		}
		return putCursors(list, opts.Cursors)
	})
	defer release()
	if _, err := f.Struct(); err != nil {
		return rpc.Err(err)
	}
	return nil
}

// pushStream is what servePush needs of a *quicrpc.FrameStream.
type pushStream interface {
	ReadMessage() (*capnp.Message, error)
	WriteMessage(*capnp.Message) error
	CloseWrite() error
	Close() error
	Cancel(quicrpc.StreamErrorCode)
}

// servePush serves one PUSH stream to its end. Only a handler's failure or a broken protocol is an error: a stream that the server
// closes or cuts off comes again when there is news.
func servePush(ctx context.Context, stream pushStream, opts *ListenOptions, handle Handler) error {
	defer stream.Cancel(quicrpc.StreamErrNone)
	stop := context.AfterFunc(ctx, func() { stream.Cancel(quicrpc.StreamErrNone) })
	defer stop()

	open, err := readOpen(stream)
	if err != nil {
		return streamEnd(err)
	}
	acks := newAcker(stream, &open, opts.Acknowledged)
	defer acks.stop()
	after := open.after
	for {
		batch, err := readDeliver(stream, after, opts)
		if err != nil {
			if errors.Is(err, io.EOF) {
				acks.stop() // before this side ends, too
				_ = stream.CloseWrite()
			}
			return streamEnd(err)
		}
		if err := handle(ctx, open.queue, batch); err != nil {
			if errors.Is(err, ErrLater) {
				acks.stop()
				_ = stream.Close() // and no reset: what was acknowledged arrives
				return nil
			}
			return err
		}
		after = batch[len(batch)-1].Seq
		if err := acks.add(batch); err != nil {
			return streamEnd(err)
		}
	}
}

// streamEnd keeps what is the server's fault and drops what merely ended the stream.
func streamEnd(err error) error {
	if errors.Is(err, ErrProtocol) {
		return err
	}
	return nil
}

// opened is what the first frame of a PUSH stream says: which queue it carries, above which seq, and how much may be under way that is not acknowledged.
type opened struct {
	queue           Queue
	after           uint64
	messages, bytes uint32
}

func readOpen(stream pushStream) (opened, error) {
	frame, err := readFrame(stream)
	if err != nil {
		return opened{}, err
	}
	return parseOpen(frame)
}

func parseOpen(frame schemas.PushFrame) (o opened, err error) {
	if frame.Which() != schemas.PushFrame_Which_open {
		return o, protocolErrorf("push stream starts with frame %d", frame.Which())
	}
	open, err := frame.Open()
	if err != nil {
		return o, protocolErrorf("push open: %v", err)
	}
	id, err := open.GroupId()
	if err != nil || len(id) > maxGroupID {
		return o, protocolErrorf("push open: group id of %d bytes: %v", len(id), err)
	}
	return opened{Queue{string(id), open.Shared()}, open.After(), open.WindowMessages(), open.WindowBytes()}, nil
}

// maxGroupID bounds the name of a queue, bytes (schemas/envelope.capnp).
const maxGroupID = 64

// minGroupID is the least length of an ordered group's id, bytes (docs/protocol.md).
const minGroupID = 16

// readDeliver reads the next envelopes, and what is said between them.
func readDeliver(stream pushStream, after uint64, opts *ListenOptions) ([]Envelope, error) {
	for {
		frame, err := readFrame(stream)
		if err != nil {
			return nil, err
		}
		if frame.Which() != schemas.PushFrame_Which_notice {
			return parseDeliver(frame, after)
		}
		notice, err := frame.Notice()
		if err != nil {
			return nil, protocolErrorf("notice: %v", err)
		}
		if notice.Which() == schemas.Notice_Which_poolLow && opts.PoolLow != nil { // others are of a time to come
			opts.PoolLow(int(notice.PoolLow().Available()), notice.PoolLow().LastResortUsed())
		}
	}
}

func parseDeliver(frame schemas.PushFrame, after uint64) ([]Envelope, error) {
	if frame.Which() != schemas.PushFrame_Which_deliver {
		return nil, protocolErrorf("push frame %d, want deliver", frame.Which())
	}
	list, err := frame.Deliver()
	if err != nil || list.Len() == 0 || list.Len() > maxFrameEnvelopes {
		return nil, protocolErrorf("push frame of %d envelopes: %v", list.Len(), err)
	}
	return readEnvelopes(list, after)
}

// maxFrameEnvelopes bounds a push frame (schemas/envelope.capnp).
const maxFrameEnvelopes = 256

func readFrame(stream pushStream) (schemas.PushFrame, error) {
	msg, err := stream.ReadMessage()
	if err != nil {
		return schemas.PushFrame{}, err
	}
	frame, err := schemas.ReadRootPushFrame(msg)
	if err != nil {
		return frame, protocolErrorf("push frame: %v", err)
	}
	return frame, nil
}
