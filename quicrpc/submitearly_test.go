package quicrpc

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestEarlySubmit: a SUBMIT stream is served in 0-RTT after a restart, and what it brings can wait for the handshake; a server that lost its keys takes nothing
// of it, which the client is told, and can repeat.
func TestEarlySubmit(t *testing.T) {
	dir, cert := t.TempDir(), serverTLS(t)
	keys, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	conf, _ := clientTLS(t)
	cache := newTicketCache()
	conf.ClientSessionCache = cache
	first := startServer(t, ServerConfig{TLS: cert, Keys: keys})
	visit(t, first, conf, cache)
	if err := first.Shutdown(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for _, rejected := range []bool{false, true} {
		h := newTestHandler()
		waits, effect := make(chan *ServerConn, 2), make(chan struct{}, 2)
		h.submit = func(c *ServerConn, s *SubmitStream) {
			m, held, err := s.ReadRequest()
			if err != nil {
				return
			}
			defer s.Release(held)
			waits <- c
			if c.WaitHandshake(c.Context()) != nil {
				return
			}
			effect <- struct{}{}
			_ = s.WriteMessage(m)
			_, _, _ = s.ReadRequest() // until the client has the answer
		}
		cfg := ServerConfig{TLS: cert, Keys: keys, Handler: h}
		if rejected {
			cfg.Keys = nil
		}
		line := newProxy(t, startServer(t, cfg).Addr()) // nothing of the server reaches the client yet: the handshake cannot complete
		c, err := Dial(testContext(t), line.LocalAddr().String(), ClientConfig{TLS: conf, Early: true})
		if err != nil {
			t.Fatal(err)
		}
		p := openSubmit(t, c)
		if err := p.WriteEncoded(request(1, minRequest)); err != nil {
			t.Fatal(err)
		}
		if rejected {
			line.open()
			if _, err := p.ReadMessage(); !errors.Is(err, ErrEarlyRejected) {
				t.Errorf("rejected: %v", err)
			}
			p = openSubmit(t, c)
			if err := p.WriteEncoded(request(1, minRequest)); err != nil {
				t.Fatal(err)
			}
		} else {
			wantWaiting(t, receive(t, "the early request", waits))
			line.open()
		}
		wantAnswer(t, p, 1, minRequest)
		if len(effect) != 1 || c.State().Used0RTT == rejected {
			t.Errorf("rejected %v: %d effects, 0-RTT %v", rejected, len(effect), c.State().Used0RTT)
		}
		c.Close()
	}
}

// wantWaiting fails unless the handshake of c is not complete.
func wantWaiting(t *testing.T, c *ServerConn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.WaitHandshake(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("before the handshake: %v", err)
	}
}

// TestSubmitAfterRestart: a client learns at once that a killed server has forgotten its stream.
func TestSubmitAfterRestart(t *testing.T) {
	var p *FrameStream
	crash(t, func(s *Server) {
		p = openSubmit(t, dial(t, s, ClientConfig{}))
		if err := p.WriteEncoded(request(1, minRequest)); err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, p, 1, minRequest)
	})
	start := time.Now()
	if err := p.WriteEncoded(request(2, minRequest)); err != nil && !errors.Is(err, ErrPeerRestarted) {
		t.Fatal(err)
	}
	if _, err := p.ReadMessage(); !errors.Is(err, ErrPeerRestarted) {
		t.Fatalf("reading gives %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("noticed only after %v", took)
	}
	if err := p.WriteEncoded(request(3, minRequest)); !errors.Is(err, ErrPeerRestarted) {
		t.Fatalf("writing gives %v", err)
	}
}
