package quicrpc

import (
	"fmt"
	"sync"
	"testing"

	"quicnprotochat/schemas"
)

// BenchmarkEcho is one RPC call with 256 bytes each way, over loopback, client and server in one process.
func BenchmarkEcho(b *testing.B) {
	for _, inFlight := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			s := startServer(b, ServerConfig{})
			r, _ := bootstrap(b, dial(b, s, ClientConfig{}))
			payload := make([]byte, 256)
			ctx := b.Context()
			b.ReportAllocs()
			var callers sync.WaitGroup
			next := make(chan struct{}, inFlight)
			for range inFlight {
				callers.Go(func() {
					for range next {
						if _, err := callEcho(ctx, r, payload); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			b.ResetTimer()
			for range b.N {
				next <- struct{}{}
			}
			close(next)
			callers.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkPush sends frames of envelopes of 256 bytes, the client reads every envelope and acknowledges each frame; at most 64 frames are not
// acknowledged.
func BenchmarkPush(b *testing.B) {
	for _, envelopes := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("envelopes=%d", envelopes), func(b *testing.B) {
			h := newTestHandler()
			s := startServer(b, ServerConfig{Handler: h})
			_, up, down := pushPair(b, h, s, ClientConfig{})
			b.ReportAllocs()
			frames := (b.N + envelopes - 1) / envelopes
			window := make(chan struct{}, 64)
			var done sync.WaitGroup
			done.Go(func() { // the client
				for range frames {
					if err := consume(down, envelopes); err != nil {
						b.Error(err)
						return
					}
					if err := down.WriteMessage(ack(b, 1)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			done.Go(func() { // the server's reader of acknowledgements
				for range frames {
					if _, err := up.ReadMessage(); err != nil {
						b.Error(err)
						return
					}
					<-window
				}
			})
			b.ResetTimer()
			for range frames {
				window <- struct{}{}
				if err := up.WriteMessage(frame(b, envelopes, 256)); err != nil {
					b.Fatal(err)
				}
			}
			done.Wait()
			b.StopTimer()
			b.ReportMetric(float64(frames*envelopes)/b.Elapsed().Seconds(), "envelopes/s")
		})
	}
}

func consume(p *FrameStream, envelopes int) error {
	m, err := p.ReadMessage()
	if err != nil {
		return err
	}
	f, err := schemas.ReadRootPushFrame(m)
	if err != nil {
		return err
	}
	list, err := f.Deliver()
	if err != nil {
		return err
	}
	for i := range list.Len() {
		if payload, err := list.At(i).Payload(); err != nil || len(payload) != 256 {
			return fmt.Errorf("payload of %d bytes: %w", len(payload), err)
		}
	}
	if list.Len() != envelopes {
		return fmt.Errorf("%d envelopes", list.Len())
	}
	return nil
}

// BenchmarkHandshake is a full handshake with mutual TLS and the default post-quantum key exchange, both ends.
func BenchmarkHandshake(b *testing.B) {
	s := startServer(b, ServerConfig{})
	conf, _ := clientTLS(b)
	for range b.N {
		c, err := Dial(b.Context(), s.Addr().String(), ClientConfig{TLS: conf})
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
