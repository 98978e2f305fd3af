package quicrpc

import (
	"context"
	"time"

	"capnproto.org/go/capnp/v3"
)

// served wraps the capability behind an RPC stream of a server: every call gets a deadline, its reply is counted while it is held, its
// error becomes an exception that tells the peer no more than it should know.
type served struct {
	inner   capnp.Client // owned
	timeout time.Duration
	t       *guarded
	began   func() // count calls
	ended   func()
	failed  func(method string, err error) // told of an error that the peer is not told

	calls counter // calls whose method has not returned
}

// Recv starts a call from the network.
func (s *served) Recv(ctx context.Context, r capnp.Recv) capnp.PipelineCaller {
	s.calls.add(1)
	s.began()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	r.Returner = &returner{Returner: r.Returner, s: s, cancel: cancel, method: r.Method}
	return s.inner.RecvCall(ctx, r)
}

// Send starts a call from this process. Nothing here makes one.
func (s *served) Send(ctx context.Context, c capnp.Send) (*capnp.Answer, capnp.ReleaseFunc) {
	return s.inner.SendCall(ctx, c)
}

// Brand identifies the kind of client.
func (s *served) Brand() capnp.Brand { return capnp.Brand{Value: s} }

// Shutdown releases the capability, when the RPC connection ends.
func (s *served) Shutdown() { s.inner.Release() }

func (s *served) String() string { return "quicrpc service" }

// returner sees the end of one call.
type returner struct {
	capnp.Returner
	s       *served
	cancel  context.CancelFunc
	method  capnp.Method
	results *capnp.Message
}

// AllocResults notes in which message the results will stand.
func (r *returner) AllocResults(size capnp.ObjectSize) (capnp.Struct, error) {
	st, err := r.Returner.AllocResults(size)
	if err == nil {
		r.results = st.Message()
	}
	return st, err
}

// PrepareReturn counts the reply or translates the error.
func (r *returner) PrepareReturn(err error) {
	if err != nil {
		e, unexpected := exception(err)
		if unexpected {
			r.s.failed(r.method.String(), err)
		}
		r.Returner.PrepareReturn(e)
		return
	}
	if r.results != nil {
		r.s.t.holdReply(r.results)
	}
	r.Returner.PrepareReturn(nil)
}

// Return ends the call.
func (r *returner) Return() {
	r.Returner.Return()
	r.cancel()
	r.s.ended()
	r.s.calls.add(-1)
}
