package quicrpc

import "testing"

// TestHostileMessage: the Call whose target is its own answer, which is a nil dereference in a goroutine of go-capnp. That this test ends
// at all is its result.
func TestHostileMessage(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log})
	siege(t, s, 64<<20, func() {
		q := dialRaw(t, s)
		for range s.cfg.Limits.MaxBadStreams - 1 {
			st := rawStream(t, q, header(wire(bootstrapMsg(0), callMsg(7, callTarget{promise: true, id: 7}))...))
			if code := cutCode(t, st); code != StreamErrProtocol {
				t.Errorf("cut with %v", code)
			}
		}
		rawStream(t, q, header(wire(bootstrapMsg(0), callMsg(7, callTarget{promise: true, id: 7}))...))
		if code := closeCode(t, q); code != ConnErrProtocol {
			t.Errorf("closed with %v", code)
		}
	})
	wantLogged(t, logged, "protocol", s.cfg.Limits.MaxBadStreams)
	wantLogged(t, logged, "connection:protocol", 1)
}
