package quicrpc

import (
	"errors"
	"testing"

	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
	"pgregory.net/rapid"
)

var theBootstrap = callTarget{promise: true, id: 0}

// bootstrapped returns a guard whose peer asked question 0 for the bootstrap and got capability 0.
func bootstrapped(t testing.TB, calls, unfinished int) *serverGuard {
	g := newServerGuard(calls, unfinished)
	if err := g.received(overWire(t, bootstrapMsg(0))); err != nil {
		t.Fatal(err)
	}
	g.sending(returnMsg(0, 0))
	return g
}

func TestServerGuardPasses(t *testing.T) {
	g := bootstrapped(t, 2, 4)
	for i, m := range []rpccp.Message{
		callMsg(1, theBootstrap), callMsg(2, callTarget{id: 0}),
		finishMsg(0, false),                    // the promise ends, the capability stays
		finishMsg(2, false),                    // cancels a call under way
		returnMsg(1), callMsg(3, callTarget{}), // one returned, so one more may come
		returnMsg(2), callMsg(2, callTarget{}), // its id is free again at once
		returnMsg(2), returnMsg(3), finishMsg(1, true), finishMsg(2, true), finishMsg(3, true),
		releaseMsg(0, 1),
	} {
		if m.Which() == rpccp.Message_Which_return {
			g.sending(m)
		} else if err := g.received(overWire(t, m)); err != nil {
			t.Fatalf("message %d, %v: %v", i, m.Which(), err)
		}
	}
	if g.calls != 0 || len(g.answers) != 0 || len(g.exports) != 0 {
		t.Fatalf("left: %d calls, %d answers, %d exports", g.calls, len(g.answers), len(g.exports))
	}
}

func TestServerGuardRefuses(t *testing.T) {
	withCap := func(c rpccp.Call) {
		p, err := c.NewParams()
		must(err)
		table, err := p.NewCapTable(1)
		must(err)
		table.At(0).SetSenderHosted(0)
	}
	tests := map[string]rpccp.Message{
		"a call to its own answer":           callMsg(7, callTarget{promise: true, id: 7}),
		"a second Bootstrap":                 bootstrapMsg(9),
		"a call to a call's answer":          callMsg(7, callTarget{promise: true, id: 1}),
		"a call to a part of the bootstrap":  callMsg(7, callTarget{promise: true, id: 0, transform: 1}),
		"a call to an unknown answer":        callMsg(7, callTarget{promise: true, id: 8}),
		"a call to an unknown capability":    callMsg(7, callTarget{id: 1}),
		"a question id in use":               callMsg(1, theBootstrap),
		"the bootstrap's question id":        callMsg(0, callTarget{}),
		"a capability among the parameters":  callMsg(7, theBootstrap, withCap),
		"results to the callee":              callMsg(7, theBootstrap, func(c rpccp.Call) { c.SendResultsTo().SetYourself() }),
		"results to a third party":           callMsg(7, theBootstrap, func(c rpccp.Call) { must(c.SendResultsTo().SetThirdParty(c.ToPtr())) }),
		"a Finish of an unknown question":    finishMsg(7, false),
		"a Release of an unknown capability": releaseMsg(1, 1),
		"a Release of too many references":   releaseMsg(0, 2),
		"a Release of nothing":               releaseMsg(0, 0),
		"a Return":                           returnMsg(1),
		"an exception":                       exceptionMsg(1),
	}
	for name, m := range otherMsgs() {
		tests[name] = m
	}
	for name, m := range tests {
		g := bootstrapped(t, 10, 10)
		if err := g.received(overWire(t, callMsg(1, theBootstrap))); err != nil {
			t.Fatal(err)
		}
		if err := g.received(overWire(t, m)); !errors.Is(err, StreamErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerGuardBudgets(t *testing.T) {
	g := bootstrapped(t, 2, 3)
	call := func(q uint32) error { return g.received(overWire(t, callMsg(q, callTarget{}))) }
	for q := uint32(1); q <= 2; q++ {
		if err := call(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := call(3); !errors.Is(err, StreamErrBudget) {
		t.Fatalf("a third call at once: %v", err)
	}
	// The bootstrap's answer and these two are returned and not finished: that is the limit.
	g.sending(returnMsg(1))
	g.sending(returnMsg(2))
	if err := call(3); !errors.Is(err, StreamErrBudget) {
		t.Fatalf("a call beyond three unfinished: %v", err)
	}
	if err := g.received(overWire(t, finishMsg(1, true))); err != nil {
		t.Fatal(err)
	}
	if err := call(3); err != nil {
		t.Fatalf("after a Finish: %v", err)
	}
}

func TestServerGuardDrain(t *testing.T) {
	g := bootstrapped(t, 2, 10)
	if err := g.received(overWire(t, callMsg(1, theBootstrap))); err != nil {
		t.Fatal(err)
	}
	idle := g.drain()
	if err := g.received(overWire(t, callMsg(2, theBootstrap))); err != error(errDraining) {
		t.Fatalf("a call while draining: %v", err)
	}
	if err := g.received(overWire(t, finishMsg(2, true))); err != error(errDraining) {
		t.Fatalf("its Finish: %v", err)
	}
	select {
	case <-idle:
		t.Fatal("idle with a call in flight")
	default:
	}
	g.sending(returnMsg(1))
	<-idle
	if err := g.received(overWire(t, finishMsg(1, true))); err != nil {
		t.Fatalf("a Finish while draining: %v", err)
	}
	<-g.drain()
}

// TestFinishBeforeReturn: a Finish that releases the bootstrap's capability may overtake the Return that hands it out.
func TestFinishBeforeReturn(t *testing.T) {
	g := newServerGuard(2, 10)
	for _, m := range []rpccp.Message{bootstrapMsg(0), finishMsg(0, true)} {
		if err := g.received(overWire(t, m)); err != nil {
			t.Fatal(err)
		}
	}
	g.sending(returnMsg(0, 0))
	if len(g.exports) != 0 || len(g.answers) != 0 {
		t.Fatalf("left: %v, %v", g.exports, g.answers)
	}
	if err := g.received(overWire(t, callMsg(1, callTarget{}))); !errors.Is(err, StreamErrProtocol) {
		t.Fatalf("a call to the released capability: %v", err)
	}
}

// asked is the guard of a client that asked for the bootstrap and made one call, which it gave up; the call's Return still comes.
func asked() *clientGuard {
	g := newClientGuard()
	g.sending(bootstrapMsg(0))
	g.sending(callMsg(1, theBootstrap))
	g.sending(finishMsg(1, true))
	return g
}

func TestClientGuard(t *testing.T) {
	g := asked()
	for _, m := range []rpccp.Message{returnMsg(0, 5), returnMsg(1)} {
		if err := g.received(overWire(t, m)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.received(overWire(t, returnMsg(0, 5))); !errors.Is(err, StreamErrProtocol) {
		t.Errorf("a second Return: %v", err)
	}
	if err := asked().received(overWire(t, exceptionMsg(1))); err != nil {
		t.Fatal(err)
	}
	canceled := func(m rpccp.Message) { r, err := m.NewReturn(); must(err); r.SetAnswerId(1); r.SetCanceled() }
	if err := asked().received(overWire(t, build(canceled))); err != nil {
		t.Fatal(err)
	}
}

func TestClientGuardRefuses(t *testing.T) {
	promise := returnMsg(0, 5)
	ret, err := promise.Return()
	must(err)
	payload, err := ret.Results()
	must(err)
	table, err := payload.CapTable()
	must(err)
	table.At(0).SetSenderPromise(5)
	tests := map[string]rpccp.Message{
		"an unknown question":           returnMsg(2),
		"a capability among results":    returnMsg(1, 3),
		"two capabilities as bootstrap": returnMsg(0, 3, 4),
		"a promise as bootstrap":        promise,
		"a Call":                        callMsg(1, theBootstrap),
		"a Bootstrap":                   bootstrapMsg(1),
		"a Finish":                      finishMsg(1, true),
		"a Release":                     releaseMsg(0, 1),
		"results elsewhere": build(func(m rpccp.Message) {
			r, err := m.NewReturn()
			must(err)
			r.SetAnswerId(1)
			r.SetResultsSentElsewhere()
		}),
		"another question's results": build(func(m rpccp.Message) {
			r, err := m.NewReturn()
			must(err)
			r.SetAnswerId(1)
			r.SetTakeFromOtherQuestion(0)
		}),
	}
	for name, m := range otherMsgs() {
		tests[name] = m
	}
	for name, m := range tests {
		if err := asked().received(overWire(t, m)); !errors.Is(err, StreamErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGuardModel plays a client that keeps to the protocol against both guards: every message must pass, whatever the order, and in the
// end nothing may be left.
func TestGuardModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const calls = 8
		server, client := newServerGuard(calls, 32), newClientGuard()
		toServer := func(m rpccp.Message) {
			client.sending(m)
			if err := server.received(overWire(t, m)); err != nil {
				rt.Fatalf("%v refused: %v", m.Which(), err)
			}
		}
		toClient := func(m rpccp.Message) {
			server.sending(m)
			if err := client.received(overWire(t, m)); err != nil {
				rt.Fatalf("%v refused: %v", m.Which(), err)
			}
		}
		toServer(bootstrapMsg(0))
		toClient(returnMsg(0, 0))
		type state struct{ returned, finished bool }
		open := map[uint32]*state{}
		under := 0
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			id := rapid.Uint32Range(1, calls).Draw(rt, "id")
			s := open[id]
			switch {
			case s == nil && under < calls:
				toServer(callMsg(id, rapid.SampledFrom([]callTarget{theBootstrap, {id: 0}}).Draw(rt, "to")))
				open[id], s, under = &state{}, &state{}, under+1
			case s == nil:
			case !s.returned && (s.finished || rapid.Bool().Draw(rt, "return")):
				if rapid.Bool().Draw(rt, "ok") {
					toClient(returnMsg(id))
				} else {
					toClient(exceptionMsg(id))
				}
				s.returned, under = true, under-1
			case !s.finished:
				toServer(finishMsg(id, rapid.Bool().Draw(rt, "caps")))
				s.finished = true
			}
			if s != nil && s.returned && s.finished {
				delete(open, id)
			}
			if server.calls != under || len(server.answers) != len(open)+1 || len(client.questions) != under {
				rt.Fatalf("the guards count %d calls, %d answers, %d questions; the model %d, %d", server.calls, len(server.answers), len(client.questions), under, len(open)+1)
			}
		}
	})
}
