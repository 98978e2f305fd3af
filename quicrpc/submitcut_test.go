package quicrpc

import (
	"errors"
	"testing"
)

// TestCancelIsCounted: streams that the handler cuts because of what the client said in them count as those that this package cuts: one too many ends the connection.
func TestCancelIsCounted(t *testing.T) {
	const limit = 4
	h := newTestHandler()
	h.submit = func(_ *ServerConn, s *SubmitStream) {
		if _, held, err := s.ReadRequest(); err == nil {
			s.Release(held)
			s.Cancel(StreamErrProtocol)
		}
	}
	s := startServer(t, ServerConfig{Handler: h, Limits: Limits{MaxBadStreams: limit}})
	c := dial(t, s, ClientConfig{})
	for range limit {
		p, err := c.OpenSubmit(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		_ = p.WriteEncoded(request(1, minRequest))
		if _, err := p.ReadMessage(); !errors.Is(err, StreamErrProtocol) && !errors.Is(err, ConnErrProtocol) {
			t.Errorf("the stream ended with %v", err)
		}
	}
	receive(t, "the end of the connection", c.Context().Done())
	if err := c.Err(); !errors.Is(err, ConnErrProtocol) {
		t.Errorf("the connection ended with %v", err)
	}
}
