package quicrpc

import (
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// TestPromisedSize: an 8-byte header may promise 64 MiB; go-capnp's own decoder would allocate them.
func TestPromisedSize(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log, Limits: Limits{MaxRPCStreams: 32, MaxBadStreams: 100}})
	siege(t, s, 64<<20, func() {
		q := dialRaw(t, s)
		var streams []*quic.Stream
		for range 20 {
			streams = append(streams, rawStream(t, q, header(0, 0, 0, 0, 0, 0, 0x80, 0)))
		}
		for _, st := range streams {
			if code := cutCode(t, st); code != StreamErrTooLarge {
				t.Errorf("cut with %v", code)
			}
		}
	})
	wantLogged(t, logged, "tooLarge", 20)
}

// TestPromisedSizeAllowed: a header may promise what is allowed, and nothing follow. That neither allocates nor lasts.
func TestPromisedSizeAllowed(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log, Limits: Limits{MaxRPCStreams: 32, MaxBadStreams: 1000, StallTimeout: 300 * time.Millisecond}})
	siege(t, s, 96<<20, func() {
		var streams []*quic.Stream
		for range 8 {
			q := dialRaw(t, s)
			for range 6 {
				streams = append(streams, rawStream(t, q, header(0, 0, 0, 0, 0, 0, 2, 0))) // 1 MiB
			}
		}
		for _, st := range streams {
			if code := cutCode(t, st); code != StreamErrSlowWriter {
				t.Errorf("cut with %v", code)
			}
		}
	})
	wantLogged(t, logged, "slowWriter", 48)
}
