package ds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

// conn is a connection as the service and its client see it, without a network: what quicrpc promises, in channels, so that it works in
// virtual time.
type conn struct {
	peer   quicrpc.Peer
	ctx    context.Context
	cancel context.CancelFunc
	early  chan struct{} // closed when the handshake is complete

	mu      sync.Mutex
	opened  int
	open    int
	maxOpen int
	urgency map[string]int
	streams chan *stream // that the client has to accept
	onClose func()       // called when the service closes a stream in good order
	limit   int          // streams that the client allows at once; 0: any
	closed  chan struct{}
}

func newConn(peer byte) *conn {
	c := &conn{peer: quicrpc.Peer{peer}, early: make(chan struct{}), streams: make(chan *stream, 4096), closed: make(chan struct{}, 1), urgency: map[string]int{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	close(c.early)
	return c
}

func (c *conn) Peer() quicrpc.Peer       { return c.peer }
func (c *conn) Context() context.Context { return c.ctx }

func (c *conn) WaitHandshake(ctx context.Context) error {
	select {
	case <-c.early:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// push opens a stream whose network takes four frames before it holds the writer up.
func (c *conn) push(ctx context.Context) (PushStream, error) {
	if err := errors.Join(ctx.Err(), c.ctx.Err()); err != nil {
		return nil, err
	}
	for c.full() {
		select {
		case <-c.closed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s := &stream{c: c, frames: make(chan *capnp.Message, 4), acks: make(chan *capnp.Message, 4), cut: make(chan struct{}), over: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened++
	c.open++
	c.maxOpen = max(c.maxOpen, c.open)
	c.streams <- s
	return s, nil
}

// stall is how long the fake network waits for a reader.
const stall = 10 * time.Second

var errCut = errors.New("stream cut")

type stream struct {
	c      *conn
	frames chan *capnp.Message
	acks   chan *capnp.Message
	once   sync.Once
	cut    chan struct{} // both directions are dead
	code   quicrpc.StreamErrorCode
	fin    sync.Once
	over   chan struct{} // the server has closed it in good order: frames that were written arrive
}

func (s *stream) end() {
	s.c.mu.Lock()
	s.c.open--
	s.c.mu.Unlock()
	select {
	case s.c.closed <- struct{}{}:
	default:
	}
}

func (c *conn) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limit > 0 && c.open >= c.limit
}

func (s *stream) WriteMessage(m *capnp.Message) error {
	b, err := m.Marshal() // the writer may reuse its memory
	if err != nil {
		return err
	}
	return s.WriteEncoded(b)
}

func (s *stream) WriteEncoded(b []byte) error {
	m, err := capnp.Unmarshal(b)
	if err != nil {
		return err
	}
	t := time.NewTimer(stall)
	defer t.Stop()
	select {
	case <-s.cut:
		return errCut
	case <-s.c.ctx.Done():
		return s.c.ctx.Err()
	case s.frames <- m:
		return nil
	case <-t.C:
		s.Cancel(quicrpc.StreamErrSlowReader)
		return errCut
	}
}

func (s *stream) ReadMessage() (*capnp.Message, error) {
	select {
	case m, ok := <-s.acks:
		if !ok {
			return nil, io.EOF
		}
		return m, nil
	case <-s.cut:
		return nil, errCut
	case <-s.over:
		return nil, errCut
	case <-s.c.ctx.Done():
		return nil, s.c.ctx.Err()
	}
}

func (s *stream) SetUrgency(u int) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.urgency[fmt.Sprint(u)]++
}

func (s *stream) Cancel(code quicrpc.StreamErrorCode) {
	s.once.Do(func() { s.code = code; close(s.cut); s.fin.Do(s.end) })
}

func (s *stream) Close() error {
	if s.c.onClose != nil {
		s.c.onClose()
	}
	s.fin.Do(func() { close(s.over); s.end() })
	return nil
}

// The client's side.

// next returns the next frame, io.EOF after the last.
func (s *stream) next() (schemas.PushFrame, error) {
	select {
	case m := <-s.frames:
		return schemas.ReadRootPushFrame(m)
	default:
	}
	select {
	case m := <-s.frames:
		return schemas.ReadRootPushFrame(m)
	case <-s.cut:
		return schemas.PushFrame{}, errCut
	case <-s.c.ctx.Done():
		return schemas.PushFrame{}, s.c.ctx.Err()
	case <-s.over:
		select {
		case m := <-s.frames:
			return schemas.ReadRootPushFrame(m)
		default:
			return schemas.PushFrame{}, io.EOF
		}
	}
}

// ack acknowledges up to seq.
func (s *stream) ack(seq uint64) error {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return err
	}
	a, err := schemas.NewRootPushAck(seg)
	if err != nil {
		return err
	}
	a.SetUpTo(seq)
	select {
	case s.acks <- m:
		return nil
	case <-s.cut:
	case <-s.over:
	case <-s.c.ctx.Done():
	}
	return errCut
}

// sharedMark is what accept puts before the id of a shared queue.
const sharedMark = "shared "

// accept returns the next stream with its opening frame read.
func (c *conn) accept(t testing.TB) (s *stream, group string, after uint64) {
	t.Helper()
	select {
	case s = <-c.streams:
	case <-c.ctx.Done():
		t.Fatal("the connection is over")
	}
	f, err := s.next()
	if err != nil || f.Which() != schemas.PushFrame_Which_open {
		t.Fatalf("no opening frame: %v", err)
	}
	o, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	g, err := o.GroupId()
	if err != nil {
		t.Fatal(err)
	}
	if o.Shared() {
		g = append([]byte(sharedMark), g...)
	}
	return s, string(g), o.After()
}

type envelope struct {
	seq     uint64
	payload []byte
}

// deliver returns the next frame's envelopes.
func (s *stream) deliver() ([]envelope, error) {
	f, err := s.next()
	if err != nil {
		return nil, err
	}
	if f.Which() != schemas.PushFrame_Which_deliver {
		return nil, errors.New("no deliver frame")
	}
	list, err := f.Deliver()
	if err != nil {
		return nil, err
	}
	if list.Len() == 0 || list.Len() > maxPage {
		return nil, fmt.Errorf("frame of %d envelopes", list.Len())
	}
	out := make([]envelope, list.Len())
	for i := range out {
		e := list.At(i)
		p, err := e.Payload()
		id, ierr := e.Id()
		if err = errors.Join(err, ierr); err != nil || len(id) != 16 || len(p) == 0 || e.AcceptedAt() == 0 {
			return nil, fmt.Errorf("bad envelope: id of %d bytes, payload of %d, %v", len(id), len(p), err)
		}
		out[i] = envelope{e.Seq(), bytes.Clone(p)}
	}
	return out, nil
}

// fixture is a service over a memory store.
type fixture struct {
	*Service
	store store.Store
}

func start(l Limits) *fixture { return startOn(memory.New(memory.Options{}), l) }

func startOn(st store.Store, l Limits) *fixture {
	return &fixture{New(Config{Store: st, Limits: l}), st}
}

// client returns the capability that c's peer has.
func (f *fixture) client(c *conn) schemas.DeliveryService {
	return schemas.DeliveryService(f.Service.Client(c, c.push))
}

// listen calls listen for c.
func (f *fixture) listen(t testing.TB, c *conn, messages, bytes uint32, cursors ...store.Cursor) window {
	t.Helper()
	w, err := f.tryListen(c, messages, bytes, cursors...)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	return w
}

func (f *fixture) tryListen(c *conn, messages, bytes uint32, cursors ...store.Cursor) (window, error) {
	cl := f.client(c)
	defer cl.Release()
	fut, release := cl.Listen(context.Background(), func(p schemas.DeliveryService_listen_Params) error {
		p.SetWindowMessages(messages)
		p.SetWindowBytes(bytes)
		list, err := p.NewCursors(int32(len(cursors)))
		for i := range cursors {
			list.At(i).SetSeq(cursors[i].Seq)
			err = errors.Join(err, list.At(i).SetGroupId([]byte(cursors[i].Queue.Group)))
		}
		return err
	})
	defer release()
	r, err := fut.Struct()
	if err != nil {
		return window{}, quicrpc.FromRPC(err)
	}
	return window{r.WindowMessages(), r.WindowBytes()}, nil
}

// end closes c as quicrpc does.
func (f *fixture) end(c *conn) {
	c.cancel()
	f.Closed(c)
}

func queueOf(c *conn, group string) store.QueueID { return store.QueueID{Owner: c.peer, Group: group} }

var nextID struct {
	sync.Mutex
	n uint64
}

// put stores payloads in q.
func (f *fixture) put(t testing.TB, q store.QueueID, payloads ...[]byte) {
	t.Helper()
	batch := make([]store.Message, len(payloads))
	for i := range batch {
		nextID.Lock()
		nextID.n++
		id := store.MessageID{byte(nextID.n), byte(nextID.n >> 8), byte(nextID.n >> 16), byte(nextID.n >> 24)}
		nextID.Unlock()
		batch[i] = store.Message{Queue: q, ID: id, Payload: payloads[i]}
	}
	r, err := f.store.Enqueue(context.Background(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r {
		if r[i].Status != store.Stored {
			t.Fatalf("%+v", r[i])
		}
	}
}

func (f *fixture) cursor(t testing.TB, q store.QueueID) (acked, last uint64) {
	t.Helper()
	p, err := f.store.Read(context.Background(), q, 1<<62, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p.Acknowledged, p.Last
}
