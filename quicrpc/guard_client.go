package quicrpc

import (
	"sync"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
)

// A clientGuard guards the side that calls: it lets only answers to open questions pass, without capabilities except the
// bootstrap's one. Safe for concurrent use.
type clientGuard struct {
	mu        sync.Mutex
	questions map[uint32]question // sent, not returned
}

type question struct{ bootstrap bool }

func newClientGuard() *clientGuard { return &clientGuard{questions: make(map[uint32]question)} }

func (g *clientGuard) sending(m rpccp.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch m.Which() {
	case rpccp.Message_Which_bootstrap:
		if b, err := m.Bootstrap(); err == nil {
			g.questions[b.QuestionId()] = question{bootstrap: true}
		}
	case rpccp.Message_Which_call:
		if c, err := m.Call(); err == nil {
			g.questions[c.QuestionId()] = question{}
		}
	}
}

func (g *clientGuard) received(m rpccp.Message) error {
	switch m.Which() {
	case rpccp.Message_Which_abort:
		return checkAbort(m)
	case rpccp.Message_Which_return:
	default:
		return violation("%s message from a server", which(m))
	}
	ret, err := m.Return()
	if err != nil || !ret.IsValid() {
		return violation("unreadable Return")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	q, open := g.questions[ret.AnswerId()]
	if !open {
		return violation("Return for question %d, which is not open", ret.AnswerId())
	}
	switch ret.Which() {
	case rpccp.Return_Which_results:
		if q.bootstrap {
			err = oneCapability(ret.Results())
		} else {
			err = noCapabilities(ret.Results())
		}
	case rpccp.Return_Which_exception:
		if e, eerr := ret.Exception(); eerr != nil || !e.IsValid() {
			err = violation("unreadable exception")
		}
	case rpccp.Return_Which_canceled:
	default:
		err = violation("Return of kind %d", uint16(ret.Which()))
	}
	if err != nil {
		return err
	}
	delete(g.questions, ret.AnswerId())
	return nil
}

// oneCapability is what the answer to Bootstrap holds: nothing, or one capability that lives at the server.
func oneCapability(p rpccp.Payload, err error) error {
	if err != nil {
		return violation("unreadable payload")
	}
	table, err := p.CapTable()
	if err != nil || table.Len() < 0 || table.Len() > 1 {
		return violation("bootstrap answer with more than one capability")
	}
	if table.Len() == 1 {
		switch w := table.At(0).Which(); w {
		case rpccp.CapDescriptor_Which_none, rpccp.CapDescriptor_Which_senderHosted:
		default:
			return violation("bootstrap answer with a capability of kind %d", uint16(w))
		}
	}
	return nil
}
