package quicrpc

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"

	"quicnprotochat/schemas"
)

// Corpora stand in testdata/fuzz, hostile messages by name among them (self-call: the one that kills the library).

// FuzzHeader feeds stream headers: what is accepted must be what was written.
func FuzzHeader(f *testing.F) {
	f.Add([]byte{1, 1})
	f.Add([]byte{0x40})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		typ, err := readHeader(r)
		if err != nil {
			return
		}
		again, err := readHeader(bytes.NewReader(appendHeader(nil, typ)))
		if err != nil || again != typ || len(in)-r.Len() > 16 {
			t.Fatalf("%v read again as %v, %v; %d bytes taken", typ, again, err, len(in)-r.Len())
		}
	})
}

// FuzzDecoder feeds the framing: no message may be larger than its limit or allocate more than came, and what is decoded encodes to
// the same bytes.
func FuzzDecoder(f *testing.F) {
	f.Add(wire(bootstrapMsg(0), callMsg(1, theBootstrap)))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 4 << 10
		d := &decoder{r: bufio.NewReader(bytes.NewReader(in)), maxBytes: limit}
		for at := 0; ; {
			m, n, err := d.next()
			if err != nil {
				return
			}
			if n > limit || at+n > len(in) {
				t.Fatalf("a message of %d bytes out of %d", n, len(in)-at)
			}
			if root, err := rootOf(m); err == nil {
				_ = which(root)
			}
			var out []byte
			if _, err := writeMessage(func(p []byte) error { out = append(out, p...); return nil }, m, limit); err != nil {
				t.Fatal(err)
			}
			if in := in[at : at+n]; !sameMessage(out, in) {
				t.Fatalf("decoded %x, encoded %x", in, out)
			}
			at += n
		}
	})
}

// sameMessage compares but for the padding of the segment table, which may hold anything.
func sameMessage(a, b []byte) bool {
	if segments := int(a[0]) + int(a[1])<<8 + 1; segments%2 == 0 {
		pad := 4 + 4*segments
		return bytes.Equal(a[:pad], b[:pad]) && bytes.Equal(a[pad+4:], b[pad+4:])
	}
	return bytes.Equal(a, b)
}

// fuzzMessages calls f with every message that stands in in.
func fuzzMessages(in []byte, f func(rpccp.Message) error) {
	d := &decoder{r: bufio.NewReader(bytes.NewReader(in)), maxBytes: 64 << 10}
	for {
		m, _, err := d.next()
		if err != nil {
			return
		}
		root, err := rootOf(m)
		if err != nil || f(root) != nil {
			return
		}
	}
}

// FuzzGuardServer feeds a client's messages to the server's guard, with a server that returns the calls that returns tells it to.
func FuzzGuardServer(f *testing.F) {
	f.Add([]byte{}, wire(bootstrapMsg(0), callMsg(1, theBootstrap), finishMsg(1, true), finishMsg(0, true)))
	f.Add([]byte{1, 1, 0, 1}, wire(bootstrapMsg(0), callMsg(1, theBootstrap), callMsg(2, callTarget{}), finishMsg(1, true), releaseMsg(0, 1)))
	f.Fuzz(func(t *testing.T, returns, in []byte) {
		const calls, unfinished = 4, 8
		g := newServerGuard(calls, unfinished)
		fuzzMessages(in, func(m rpccp.Message) error {
			if err := g.received(m); err != nil {
				return err
			}
			if m.Which() == rpccp.Message_Which_call {
				checkCall(t, g, m)
			}
			if m.Which() == rpccp.Message_Which_bootstrap {
				b, _ := m.Bootstrap()
				g.sending(returnMsg(b.QuestionId(), 0))
			}
			if len(returns) > 0 {
				for id, a := range g.answers {
					if returns[0]&1 == 1 && !a.returned {
						g.sending(returnMsg(id))
						break
					}
				}
				returns = returns[1:]
			}
			open := 0
			for _, a := range g.answers {
				if !a.returned && !a.bootstrap {
					open++
				}
			}
			if g.calls != open || open > calls || len(g.answers) > calls+unfinished+1 || len(g.exports) > 1 {
				t.Fatalf("%d calls counted, %d open, %d answers, %d exports", g.calls, open, len(g.answers), len(g.exports))
			}
			return nil
		})
	})
}

// checkCall repeats on an accepted call what must hold, worded in the library's terms.
func checkCall(t *testing.T, g *serverGuard, m rpccp.Message) {
	c, err := m.Call()
	if err != nil {
		t.Fatal(err)
	}
	target, err := c.Target()
	if err != nil {
		t.Fatal(err)
	}
	if target.Which() != rpccp.MessageTarget_Which_promisedAnswer {
		return
	}
	p, err := target.PromisedAnswer()
	if err != nil {
		t.Fatal(err)
	}
	if a := g.answers[p.QuestionId()]; p.QuestionId() == c.QuestionId() || a == nil || !a.bootstrap {
		t.Fatalf("call %d to the promise of question %d passed", c.QuestionId(), p.QuestionId())
	}
}

// FuzzGuardClient feeds a server's messages to the client's guard: an open question ends once, and nothing else passes.
func FuzzGuardClient(f *testing.F) {
	f.Add(wire(returnMsg(0, 0), returnMsg(1), exceptionMsg(2)))
	f.Fuzz(func(t *testing.T, in []byte) {
		g := newClientGuard()
		g.sending(bootstrapMsg(0))
		for q := uint32(1); q < 4; q++ {
			g.sending(callMsg(q, theBootstrap))
		}
		passed := 0
		fuzzMessages(in, func(m rpccp.Message) error {
			if err := g.received(m); err != nil {
				return err
			}
			if m.Which() != rpccp.Message_Which_abort {
				passed++
			}
			if passed+len(g.questions) != 4 {
				t.Fatalf("%d messages passed, %d questions open", passed, len(g.questions))
			}
			return nil
		})
	})
}

// FuzzServerStream feeds a client's bytes to all that stands behind a stream at the server: decoder, guard, a real rpc.Conn and a real service.
// The process must live, and everything end.
func FuzzServerStream(f *testing.F) {
	f.Add(wire(bootstrapMsg(0), callMsg(1, theBootstrap), finishMsg(0, false), callMsg(2, callTarget{}), finishMsg(1, true), releaseMsg(0, 1)))
	service := &echo{call: func(ctx context.Context, _ schemas.AuthenticationService_fetchKeyPackage) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	f.Fuzz(func(t *testing.T, in []byte) {
		all := &memory{limit: 1 << 20}
		limits := Limits{}.or(DefaultLimits())
		s := newMemStream(in)
		tr := newGuarded(context.Background(), s, newServerGuard(64, 128), newAccount(all, limits), 64<<10, func(*StreamError) {})
		hook := &served{
			inner: capnp.Client(schemas.AuthenticationService_ServerToClient(service)), timeout: time.Second, t: tr,
			began: func() {}, ended: func() {}, failed: func(string, error) {},
		}
		rc := rpc.NewConn(tr, &rpc.Options{BootstrapClient: capnp.NewClient(hook)})
		await(t, rc.Done(), "the RPC connection")
		await(t, hook.calls.atZero(), "its calls")
		tr.settle()
		if used := all.used.Load(); used != 0 {
			t.Fatalf("%d bytes held at the end", used)
		}
	})
}

// FuzzClientStream feeds a server's bytes to a real client that asked for the bootstrap and made two calls.
func FuzzClientStream(f *testing.F) {
	f.Add(wire(returnMsg(0, 0), exceptionMsg(1), returnMsg(2)))
	f.Fuzz(func(t *testing.T, in []byte) {
		asked := make(chan struct{})
		s := newMemStream(nil)
		s.in = bufio.NewReader(&gatedReader{open: asked, r: bytes.NewReader(in)})
		tr := newGuarded(context.Background(), s, &countingGuard{guard: newClientGuard(), left: 3, done: asked}, nil, 64<<10, func(*StreamError) {})
		rc := rpc.NewConn(tr, nil)
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		client := rc.Bootstrap(ctx)
		service := schemas.AuthenticationService(client)
		first, release1 := service.UploadKeyPackage(ctx, nil)
		second, release2 := service.FetchKeyPackage(ctx, nil)
		await(t, rc.Done(), "the RPC connection")
		_, _ = first.Struct()
		_, _ = second.Struct()
		release1()
		release2()
		client.Release()
		if ctx.Err() != nil {
			t.Fatal("the calls hung")
		}
	})
}

func await(t testing.TB, done <-chan struct{}, what string) {
	t.Helper()
	timer := time.NewTimer(testTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s did not end in %v", what, testTimeout)
	}
}

// A gatedReader gives nothing until it is opened.
type gatedReader struct {
	open <-chan struct{}
	r    io.Reader
}

func (g *gatedReader) Read(p []byte) (int, error) { <-g.open; return g.r.Read(p) }

// A countingGuard closes done when left messages were sent.
type countingGuard struct {
	guard
	left int
	done chan struct{}
}

func (g *countingGuard) sending(m rpccp.Message) {
	g.guard.sending(m)
	if g.left--; g.left == 0 {
		close(g.done)
	}
}
