package sim

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/ds"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// errBroken is how everything on a connection ends that broke.
var errBroken = errors.New("the connection is broken")

// link is one connection. It is the service's Session, and the client's end.
type link struct {
	w      *world
	peer   quicrpc.Peer
	ctx    context.Context
	cancel context.CancelFunc
	dead   atomic.Bool // what comes on it from now on was never received
	pushes chan *pipe
	calls  *sync.WaitGroup // under way on its server

	streams []*submits // that were opened; guarded by world.lock
}

func (l *link) Peer() quicrpc.Peer                      { return l.peer }
func (l *link) Context() context.Context                { return l.ctx }
func (l *link) WaitHandshake(ctx context.Context) error { return ctx.Err() }

// break_ ends the connection.
func (l *link) breakOff() {
	l.dead.Store(true)
	l.cancel()
}

func (l *link) open(ctx context.Context) (ds.PushStream, error) {
	p := &pipe{l: l, frames: make(chan *capnp.Message, 4), acks: make(chan *capnp.Message, 64), over: make(chan struct{}), left: make(chan struct{})}
	select {
	case l.pushes <- p:
		return p, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.ctx.Done():
		return nil, errBroken
	}
}

// pipe is a PUSH stream, both ends of it. The server closes over, the client left.
type pipe struct {
	l            *link
	frames, acks chan *capnp.Message
	over, left   chan struct{}
	once, leave  sync.Once
}

func (p *pipe) WriteMessage(m *capnp.Message) error {
	p.l.w.delay(20 * time.Millisecond)
	select {
	case p.frames <- m:
		return nil
	case <-p.left:
	case <-p.over:
	case <-p.l.ctx.Done():
	}
	return errBroken
}

func (p *pipe) WriteEncoded(b []byte) error {
	m, err := capnp.Unmarshal(b)
	if err != nil {
		return err
	}
	return p.WriteMessage(m)
}

func (p *pipe) ReadMessage() (*capnp.Message, error) {
	select {
	case m := <-p.acks:
		return m, nil
	default:
	}
	select {
	case m := <-p.acks:
		return m, nil
	case <-p.left:
		return nil, io.EOF
	case <-p.over:
	case <-p.l.ctx.Done():
	}
	return nil, errBroken
}

func (p *pipe) SetUrgency(int)                 {}
func (p *pipe) Cancel(quicrpc.StreamErrorCode) { p.once.Do(func() { close(p.over) }) }

// Close ends the server's side; what was written is still read.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

// next is the client's: the next frame, io.EOF after the last.
func (p *pipe) next() (schemas.PushFrame, error) {
	select {
	case m := <-p.frames:
		return schemas.ReadRootPushFrame(m)
	default:
	}
	select {
	case m := <-p.frames:
		return schemas.ReadRootPushFrame(m)
	case <-p.l.ctx.Done():
		return schemas.PushFrame{}, errBroken
	case <-p.over:
		select {
		case m := <-p.frames:
			return schemas.ReadRootPushFrame(m)
		default:
			return schemas.PushFrame{}, io.EOF
		}
	}
}

// ack is the client's.
func (p *pipe) ack(seq uint64) error {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return err
	}
	a, err := schemas.NewRootPushAck(seg)
	if err != nil {
		return err
	}
	a.SetUpTo(seq)
	p.l.w.delay(20 * time.Millisecond)
	select {
	case p.acks <- m:
		return nil
	case <-p.over:
		return io.EOF
	case <-p.l.ctx.Done():
		return errBroken
	}
}

func (p *pipe) close() { p.leave.Do(func() { close(p.left) }) }
