package quicrpc

import (
	"errors"
	"testing"
	"time"
)

// TestSignOfLife: a client that does nothing learns of the server's restart too, by its next sign of life.
func TestSignOfLife(t *testing.T) {
	var c *Conn
	crash(t, func(s *Server) {
		c = dial(t, s, ClientConfig{Limits: Limits{KeepAlive: 100 * time.Millisecond, IdleTimeout: time.Hour}})
	})
	await(t, c.Context().Done(), "the connection")
	if !errors.Is(c.Err(), ErrPeerRestarted) {
		t.Fatalf("the connection ended with %v", c.Err())
	}
}

// TestDropSigns: what a client sends as datagrams does not stay with the server.
func TestDropSigns(t *testing.T) {
	h := newTestHandler()
	s := startServer(t, ServerConfig{Handler: h})
	c := dial(t, s, ClientConfig{})
	r, _ := bootstrap(t, c)
	if _, err := callEcho(testContext(t), r, nil); err != nil {
		t.Fatal(err)
	}
	sc := <-h.conns
	for range 3 {
		if err := c.q.SendDatagram(make([]byte, signSize)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := sc.q.ReceiveDatagram(testContext(t)); err != nil || len(b) != signSize { // waits for the first
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	s.dropSigns()
	if err := c.q.SendDatagram([]byte("after")); err != nil {
		t.Fatal(err)
	}
	for {
		b, err := sc.q.ReceiveDatagram(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if string(b) == "after" {
			break
		}
	}
	s.dropSigns()
	if b, err := sc.q.ReceiveDatagram(noWait); b != nil || err != nil {
		t.Fatalf("left: %d bytes, %v", len(b), err)
	}
}
