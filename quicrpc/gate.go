package quicrpc

import (
	"context"
	"sync/atomic"

	"capnproto.org/go/capnp/v3"
	"golang.org/x/sync/semaphore"
)

// A gate wraps the bootstrap capability at a client: a call waits while too many are in flight, so that the server's guard never has to
// cut a client that only was fast.
type gate struct {
	inner capnp.Client // owned; its flow limiter is the gate itself
	slots *semaphore.Weighted
}

func newGate(inner capnp.Client, calls int) *gate {
	g := &gate{inner: inner, slots: semaphore.NewWeighted(int64(max(1, calls)))}
	inner.SetFlowLimiter(g)
	return g
}

// slot is the place of one call, from before it is sent until its answer. It travels in the call's context, because that is all that
// reaches StartMessage.
type slot struct {
	slots *semaphore.Weighted
	taken atomic.Bool // StartMessage took over the duty to give it back
}

type slotKey struct{}

// Send waits for a slot, then starts the call.
func (g *gate) Send(ctx context.Context, c capnp.Send) (*capnp.Answer, capnp.ReleaseFunc) {
	if err := g.slots.Acquire(ctx, 1); err != nil {
		return capnp.ErrorAnswer(c.Method, err), func() {}
	}
	s := &slot{slots: g.slots}
	answer, release := g.inner.SendCall(context.WithValue(ctx, slotKey{}, s), c)
	if !s.taken.Load() { // the call failed before it was sent
		g.slots.Release(1)
	}
	return answer, release
}

// StartMessage is called by the library once a call is queued; the result is called when its answer is there.
func (g *gate) StartMessage(ctx context.Context, _ uint64) (gotResponse func(), err error) {
	s, ok := ctx.Value(slotKey{}).(*slot)
	if !ok || s.taken.Swap(true) {
		return func() {}, nil
	}
	return func() { s.slots.Release(1) }, nil
}

// Release ends the gate's life as a flow limiter.
func (g *gate) Release() {}

// Recv forwards a call that came from elsewhere.
func (g *gate) Recv(ctx context.Context, r capnp.Recv) capnp.PipelineCaller {
	return g.inner.RecvCall(ctx, r)
}

// Brand identifies the kind of client.
func (g *gate) Brand() capnp.Brand { return capnp.Brand{Value: g} }

// Shutdown releases the capability.
func (g *gate) Shutdown() { g.inner.Release() }

func (g *gate) String() string { return "quicrpc client" }
