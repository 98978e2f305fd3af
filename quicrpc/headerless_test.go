package quicrpc

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestStreamsWithoutHeader: 10,000 streams that begin a header and do not go on, over 32 connections.
func TestStreamsWithoutHeader(t *testing.T) {
	const streams, conns = 10_000, 32
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log, Limits: Limits{HeaderTimeout: 50 * time.Millisecond, MaxBadStreams: streams}})
	var opened, timeouts atomic.Int64
	siege(t, s, 128<<20, func() {
		var attackers sync.WaitGroup
		for range conns {
			q := dialRaw(t, s)
			for range s.cfg.Limits.MaxStreams {
				attackers.Go(func() {
					for opened.Add(1) <= streams {
						if cutCode(t, rawStream(t, q, []byte{0x40})) == StreamErrHeaderTimeout {
							timeouts.Add(1)
						}
					}
				})
			}
		}
		attackers.Wait()
	})
	if n := timeouts.Load(); n != streams {
		t.Errorf("%d streams ran into the timeout, want %d", n, streams)
	}
	st := s.Stats()
	if st.Cut["headerTimeout"] != streams {
		t.Errorf("%d cuts counted", st.Cut["headerTimeout"])
	}
	if n := len(logged.with("code", "headerTimeout")); n == 0 || n > 500 {
		t.Errorf("%d log records for %d cuts: want some, at a bounded rate", n, streams)
	}
}

// TestStreamsWithoutHeaderEndTheConnection: with the default limits such a connection does not last.
func TestStreamsWithoutHeaderEndTheConnection(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log, Limits: Limits{HeaderTimeout: 50 * time.Millisecond}})
	q := dialRaw(t, s)
	for range s.cfg.Limits.MaxStreams {
		rawStream(t, q, []byte{0x40})
	}
	if code := closeCode(t, q); code != ConnErrProtocol {
		t.Errorf("closed with %v", code)
	}
	wantLogged(t, logged, "connection:protocol", 1)
}
