package quicrpc

import (
	"fmt"
	"sync"

	"capnproto.org/go/capnp/v3"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
)

// A guard decides which messages may pass between QUIC and an rpc.Conn. It mirrors the connection's tables (RPC protocol, rpc.capnp) and
// knows nothing of streams, so that it can be tested on messages alone.
//
// Why: the library trusts its peer too much. One Call with questionId N and target promisedAnswer(N) is a nil dereference in a
// goroutine of its own, which nothing of ours can recover. So only what this protocol uses may pass: one Bootstrap, calls to it, their
// ends. The rest of Cap'n Proto RPC (promises, handing capabilities around, third parties) is refused.
//
// received is called with every message of the peer before the library sees it, sending with every message of the library before it is
// encoded. "Before" is essential: the peer reuses an answer's id as soon as it has the reply, so the id must be free by then.
type guard interface {
	received(m rpccp.Message) error
	sending(m rpccp.Message)
}

// violation is a message that the protocol does not allow.
func violation(format string, args ...any) error {
	return &StreamError{Code: StreamErrProtocol, Text: fmt.Sprintf(format, args...)}
}

// errDraining: a call came after the server began to shut down, or its Finish. It is to be dropped; it must not reach the library.
var errDraining = &StreamError{Code: StreamErrShuttingDown, Text: "call after shutdown began"}

// A serverGuard guards the side that offers the bootstrap capability and receives calls. Safe for concurrent use.
type serverGuard struct {
	maxCalls, maxUnfinished int

	mu           sync.Mutex
	answers      map[uint32]*answer // by question id, from Bootstrap or Call until Return and Finish
	exports      map[uint32]uint32  // references that the peer holds to each capability we sent
	bootstrapped bool
	calls        int // answers of calls not returned
	drained      chan struct{}
}

type answer struct {
	bootstrap    bool
	returned     bool
	finished     bool
	releaseCaps  bool              // of the Finish
	exportedRefs map[uint32]uint32 // of the Return
}

func newServerGuard(maxCalls, maxUnfinished int) *serverGuard {
	return &serverGuard{
		maxCalls: maxCalls, maxUnfinished: maxUnfinished,
		answers: make(map[uint32]*answer), exports: make(map[uint32]uint32),
	}
}

// drain makes received refuse further calls with errDraining; the result is closed when no call is in flight.
func (g *serverGuard) drain() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.drained == nil {
		g.drained = make(chan struct{})
		if g.calls == 0 {
			close(g.drained)
		}
	}
	return g.drained
}

func (g *serverGuard) received(m rpccp.Message) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch m.Which() {
	case rpccp.Message_Which_bootstrap:
		return g.bootstrap(m)
	case rpccp.Message_Which_call:
		return g.call(m)
	case rpccp.Message_Which_finish:
		return g.finish(m)
	case rpccp.Message_Which_release:
		return g.release(m)
	case rpccp.Message_Which_abort:
		return checkAbort(m)
	}
	return violation("%s message", which(m))
}

func (g *serverGuard) bootstrap(m rpccp.Message) error {
	b, err := m.Bootstrap()
	if err != nil || !b.IsValid() {
		return violation("unreadable Bootstrap")
	}
	if g.bootstrapped {
		return violation("second Bootstrap")
	}
	id := b.QuestionId()
	if g.answers[id] != nil {
		return violation("Bootstrap reuses question %d", id)
	}
	g.bootstrapped = true
	g.answers[id] = &answer{bootstrap: true}
	return nil
}

func (g *serverGuard) call(m rpccp.Message) error {
	c, err := m.Call()
	if err != nil || !c.IsValid() {
		return violation("unreadable Call")
	}
	if g.drained != nil {
		return errDraining
	}
	id := c.QuestionId()
	if g.answers[id] != nil {
		return violation("Call reuses question %d", id)
	}
	if c.SendResultsTo().Which() != rpccp.Call_sendResultsTo_Which_caller {
		return violation("Call %d sends its results elsewhere", id)
	}
	if err := g.target(c); err != nil {
		return err
	}
	if err := noCapabilities(c.Params()); err != nil {
		return err
	}
	if g.calls >= g.maxCalls {
		return &StreamError{Code: StreamErrBudget, Text: fmt.Sprintf("more than %d calls at once", g.maxCalls)}
	}
	if len(g.answers) >= g.calls+g.maxUnfinished {
		return &StreamError{Code: StreamErrBudget, Text: fmt.Sprintf("more than %d calls returned and not finished", g.maxUnfinished)}
	}
	g.calls++
	g.answers[id] = &answer{}
	return nil
}

// target lets a call go to the bootstrap promise, or to a capability that the peer holds.
func (g *serverGuard) target(c rpccp.Call) error {
	t, err := c.Target()
	if err != nil || !t.IsValid() {
		return violation("Call %d without a readable target", c.QuestionId())
	}
	switch t.Which() {
	case rpccp.MessageTarget_Which_importedCap:
		if g.exports[t.ImportedCap()] == 0 {
			return violation("Call to capability %d, which the peer does not hold", t.ImportedCap())
		}
		return nil
	case rpccp.MessageTarget_Which_promisedAnswer:
		p, err := t.PromisedAnswer()
		if err != nil || !p.IsValid() {
			return violation("Call %d with an unreadable promise", c.QuestionId())
		}
		a := g.answers[p.QuestionId()]
		if a == nil || !a.bootstrap || a.finished {
			return violation("Call to the promise of question %d, which is no bootstrap", p.QuestionId())
		}
		if ops, err := p.Transform(); err != nil || ops.Len() != 0 {
			return violation("Call to a part of the bootstrap's answer")
		}
		return nil
	}
	return violation("Call to target %d", uint16(t.Which()))
}

func (g *serverGuard) finish(m rpccp.Message) error {
	f, err := m.Finish()
	if err != nil || !f.IsValid() {
		return violation("unreadable Finish")
	}
	id := f.QuestionId()
	a := g.answers[id]
	if a == nil && g.drained != nil {
		return errDraining // probably of a call that was dropped
	}
	if a == nil || a.finished {
		return violation("Finish of question %d, which is not open", id)
	}
	a.finished, a.releaseCaps = true, f.ReleaseResultCaps()
	if a.returned {
		g.forget(id, a)
	}
	return nil
}

// forget ends an answer that is returned and finished, as the library does at the same moment.
func (g *serverGuard) forget(id uint32, a *answer) {
	delete(g.answers, id)
	if !a.releaseCaps {
		return
	}
	for export, refs := range a.exportedRefs {
		g.dropRefs(export, refs)
	}
}

func (g *serverGuard) dropRefs(export, refs uint32) {
	if held := g.exports[export]; refs < held {
		g.exports[export] = held - refs
	} else {
		delete(g.exports, export)
	}
}

func (g *serverGuard) release(m rpccp.Message) error {
	r, err := m.Release()
	if err != nil || !r.IsValid() {
		return violation("unreadable Release")
	}
	if r.ReferenceCount() == 0 || r.ReferenceCount() > g.exports[r.Id()] {
		return violation("Release of %d references to capability %d, %d held", r.ReferenceCount(), r.Id(), g.exports[r.Id()])
	}
	g.dropRefs(r.Id(), r.ReferenceCount())
	return nil
}

func (g *serverGuard) sending(m rpccp.Message) {
	if m.Which() != rpccp.Message_Which_return {
		return
	}
	ret, err := m.Return()
	if err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.answers[ret.AnswerId()]
	if a == nil || a.returned {
		return
	}
	a.returned = true
	if !a.bootstrap {
		g.calls--
		if g.calls == 0 && g.drained != nil {
			close(g.drained)
		}
	}
	a.exportedRefs = exportsIn(ret)
	for export, refs := range a.exportedRefs {
		g.exports[export] += refs
	}
	if a.finished {
		g.forget(ret.AnswerId(), a)
	}
}

// exportsIn returns the capabilities that a Return hands out.
func exportsIn(ret rpccp.Return) map[uint32]uint32 {
	if ret.Which() != rpccp.Return_Which_results {
		return nil
	}
	payload, err := ret.Results()
	if err != nil {
		return nil
	}
	table, err := payload.CapTable()
	if err != nil || table.Len() == 0 {
		return nil
	}
	refs := make(map[uint32]uint32, table.Len())
	for i := range table.Len() {
		if d := table.At(i); d.Which() == rpccp.CapDescriptor_Which_senderHosted {
			refs[d.SenderHosted()]++
		}
	}
	return refs
}

// noCapabilities refuses a payload that carries capabilities: no method of our schemas does.
func noCapabilities(p rpccp.Payload, err error) error {
	if err != nil {
		return violation("unreadable payload")
	}
	if table, err := p.CapTable(); err != nil || table.Len() != 0 {
		return violation("payload with capabilities")
	}
	return nil
}

func checkAbort(m rpccp.Message) error {
	if a, err := m.Abort(); err != nil || !a.IsValid() {
		return violation("unreadable Abort")
	}
	return nil
}

// which names the kind of m, of which the peer may send any number.
func which(m rpccp.Message) string {
	if w := m.Which(); w <= rpccp.Message_Which_disembargo {
		return w.String()
	}
	return fmt.Sprintf("unknown (%d)", uint16(m.Which()))
}

// rootOf reads the RPC message in m.
func rootOf(m *capnp.Message) (rpccp.Message, error) {
	root, err := rpccp.ReadRootMessage(m)
	if err != nil || !root.IsValid() {
		return rpccp.Message{}, violation("message without a root")
	}
	return root, nil
}
