package quicrpc

import (
	"bufio"
	"bytes"
	"io"
	"sync"
	"testing"

	"capnproto.org/go/capnp/v3"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"

	"quicnprotochat/schemas"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// build makes an RPC message by hand.
func build(f func(m rpccp.Message)) rpccp.Message {
	_, seg, err := capnp.NewMessage(capnp.MultiSegment(nil))
	must(err)
	m, err := rpccp.NewRootMessage(seg)
	must(err)
	f(m)
	return m
}

func bootstrapMsg(q uint32) rpccp.Message {
	return build(func(m rpccp.Message) {
		b, err := m.NewBootstrap()
		must(err)
		b.SetQuestionId(q)
	})
}

// A callTarget says where a Call goes: to an exported capability, or to a promise.
type callTarget struct {
	promise   bool
	id        uint32
	transform int32
}

func callMsg(q uint32, to callTarget, more ...func(rpccp.Call)) rpccp.Message {
	return build(func(m rpccp.Message) {
		c, err := m.NewCall()
		must(err)
		c.SetQuestionId(q)
		c.SetInterfaceId(schemas.AuthenticationService_TypeID)
		c.SetMethodId(0)
		t, err := c.NewTarget()
		must(err)
		if to.promise {
			p, err := t.NewPromisedAnswer()
			must(err)
			p.SetQuestionId(to.id)
			_, err = p.NewTransform(to.transform)
			must(err)
		} else {
			t.SetImportedCap(to.id)
		}
		for _, f := range more {
			f(c)
		}
	})
}

func finishMsg(q uint32, releaseCaps bool) rpccp.Message {
	return build(func(m rpccp.Message) {
		f, err := m.NewFinish()
		must(err)
		f.SetQuestionId(q)
		f.SetReleaseResultCaps(releaseCaps)
	})
}

func releaseMsg(id, n uint32) rpccp.Message {
	return build(func(m rpccp.Message) {
		r, err := m.NewRelease()
		must(err)
		r.SetId(id)
		r.SetReferenceCount(n)
	})
}

// returnMsg is a Return with results that hold the capabilities with the given export ids.
func returnMsg(q uint32, exports ...uint32) rpccp.Message {
	return build(func(m rpccp.Message) {
		r, err := m.NewReturn()
		must(err)
		r.SetAnswerId(q)
		p, err := r.NewResults()
		must(err)
		if len(exports) == 0 {
			return
		}
		table, err := p.NewCapTable(int32(len(exports)))
		must(err)
		for i, id := range exports {
			table.At(i).SetSenderHosted(id)
		}
	})
}

func exceptionMsg(q uint32) rpccp.Message {
	return build(func(m rpccp.Message) {
		r, err := m.NewReturn()
		must(err)
		r.SetAnswerId(q)
		e, err := r.NewException()
		must(err)
		must(e.SetReason("[notFound] x"))
	})
}

// otherMsgs are all kinds of message that neither side may send.
func otherMsgs() map[string]rpccp.Message {
	return map[string]rpccp.Message{
		"unimplemented": build(func(m rpccp.Message) { _, err := m.NewUnimplemented(); must(err) }),
		"resolve":       build(func(m rpccp.Message) { _, err := m.NewResolve(); must(err) }),
		"disembargo":    build(func(m rpccp.Message) { _, err := m.NewDisembargo(); must(err) }),
		"provide":       build(func(m rpccp.Message) { _, err := m.NewProvide(); must(err) }),
		"accept":        build(func(m rpccp.Message) { _, err := m.NewAccept(); must(err) }),
		"join":          build(func(m rpccp.Message) { _, err := m.NewJoin(); must(err) }),
		"third party":   build(func(m rpccp.Message) { _, err := m.NewThirdPartyAnswer(); must(err) }),
		"unknown kind":  build(func(m rpccp.Message) { capnp.Struct(m).SetUint16(0, 99) }),
		"no Bootstrap":  build(func(m rpccp.Message) { capnp.Struct(m).SetUint16(0, uint16(rpccp.Message_Which_bootstrap)) }),
		"no Call":       build(func(m rpccp.Message) { capnp.Struct(m).SetUint16(0, uint16(rpccp.Message_Which_call)) }),
		"no Return":     build(func(m rpccp.Message) { capnp.Struct(m).SetUint16(0, uint16(rpccp.Message_Which_return)) }),
		"no Finish":     build(func(m rpccp.Message) { capnp.Struct(m).SetUint16(0, uint16(rpccp.Message_Which_finish)) }),
		"no Release":    build(func(m rpccp.Message) { capnp.Struct(m).SetUint16(0, uint16(rpccp.Message_Which_release)) }),
		"no Abort":      build(func(m rpccp.Message) { capnp.Struct(m).SetUint16(0, uint16(rpccp.Message_Which_abort)) }),
	}
}

// wire returns messages as they stand on a stream.
func wire(msgs ...rpccp.Message) []byte {
	var b []byte
	for _, m := range msgs {
		_, err := writeMessage(func(p []byte) error { b = append(b, p...); return nil }, m.Message(), 1<<30)
		must(err)
	}
	return b
}

// overWire returns m as its receiver sees it.
func overWire(t testing.TB, m rpccp.Message) rpccp.Message {
	t.Helper()
	d := &decoder{r: bufio.NewReader(bytes.NewReader(wire(m))), maxBytes: 1 << 20}
	got, _, err := d.next()
	if err != nil {
		t.Fatal(err)
	}
	root, err := rootOf(got)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// A memStream is a stream whose incoming bytes are given, and whose outgoing ones are counted.
type memStream struct {
	in   *bufio.Reader
	over chan struct{} // closed when the stream is over

	mu    sync.Mutex
	once  sync.Once
	sent  int
	code  StreamErrorCode
	where []byte // what was sent, if keep
	keep  bool
}

func newMemStream(in []byte) *memStream {
	return &memStream{in: bufio.NewReader(bytes.NewReader(in)), over: make(chan struct{})}
}

func (s *memStream) newDecoder(n int) *decoder   { return &decoder{r: s.in, maxBytes: n} }
func (s *memStream) readFailure(err error) error { return err }
func (s *memStream) close()                      { s.once.Do(func() { close(s.over) }) }
func (s *memStream) abort(code StreamErrorCode) {
	s.mu.Lock()
	s.code = code
	s.mu.Unlock()
	s.close()
}

func (s *memStream) send(m *capnp.Message, limit int, before func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.over:
		return io.ErrClosedPipe
	default:
	}
	before()
	_, err := writeMessage(func(p []byte) error {
		s.sent += len(p)
		if s.keep {
			s.where = append(s.where, p...)
		}
		return nil
	}, m, limit)
	return err
}
