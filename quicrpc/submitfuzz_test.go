package quicrpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// FuzzSubmitStream feeds a client's bytes, from the first of the stream's header on, to a real server over QUIC: each whole message behind a good header is answered, in order, whatever
// comes after it; the stream ends, and nothing is held.
func FuzzSubmitStream(f *testing.F) {
	f.Add(header4(request(1, minRequest)...))
	f.Add(header4(append(request(1, minRequest), request(2, 5000)...)...))
	f.Add(header4(request(1, 5000)[:4000]...))
	f.Add(header(wire(bootstrapMsg(0))...))
	s := startServer(f, ServerConfig{Limits: Limits{MaxMessage: 64 << 10, MaxBadStreams: 1 << 40, StallTimeout: testTimeout}})
	q := dialRaw(f, s)
	f.Fuzz(func(t *testing.T, in []byte) {
		want := answersTo(in, s.cfg.Limits.MaxMessage)
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		st, err := q.OpenStreamSync(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = st.SetDeadline(time.Now().Add(testTimeout))
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			_, _ = st.Write(in)
			_ = st.Close()
		}()
		got, err := io.ReadAll(st)
		<-wrote
		var se *quic.StreamError
		switch {
		case err == nil || errors.As(err, &se) && se.Remote: // a reset may overtake the answers
		default:
			t.Fatalf("the stream ended with %v", err)
		}
		if want != nil && (err == nil && !bytes.Equal(got, want) || len(got) > len(want)) {
			t.Fatalf("%d bytes of answers, want %d", len(got), len(want))
		}
		eventually(t, "nothing is held", func() bool { st := s.Stats(); return st.MemoryHeld == 0 && st.Calls == 0 && st.RPCStreams == 0 })
	})
}

// answersTo is what an echo answers to the bytes of a stream; nil if it is no SUBMIT stream.
func answersTo(in []byte, limit int) []byte {
	r := bufio.NewReader(bytes.NewReader(in))
	if typ, err := readHeader(r); err != nil || typ != StreamSubmit {
		return nil
	}
	out := []byte{}
	for d := (&decoder{r: r, maxBytes: limit}); ; {
		m, _, err := d.next()
		if err != nil {
			return out
		}
		if _, err := writeMessage(func(b []byte) error { out = append(out, b...); return nil }, m, limit); err != nil {
			return out
		}
	}
}
