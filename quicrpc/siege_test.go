package quicrpc

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// siege runs attack while a well-behaved client calls the server, which must serve every call; it logs how the calls fared and the peak
// of the heap, attackers' share included, and fails above limit bytes.
func siege(t *testing.T, s *Server, limit uint64, attack func()) {
	t.Helper()
	r, _ := bootstrap(t, dial(t, s, ClientConfig{}))
	runtime.GC()
	over := make(chan struct{})
	go func() {
		defer close(over)
		attack()
	}()
	var (
		peak    uint64
		slowest time.Duration
		calls   int
		m       runtime.MemStats
	)
	for done := false; !done || calls < 10; calls++ {
		start := time.Now()
		if _, err := callEcho(testContext(t), r, []byte("served meanwhile")); err != nil {
			t.Fatalf("call %d of the well-behaved client: %v", calls, err)
		}
		slowest = max(slowest, time.Since(start))
		if calls%8 == 0 { // reading the statistics stops the world
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse+m.StackInuse)
		}
		select {
		case <-over:
			done = true
		default:
		}
	}
	t.Logf("%d calls served meanwhile, the slowest in %v; peak of heap and stacks %.1f MiB (attackers included); held for peers now %d bytes",
		calls, slowest.Round(10*time.Microsecond), float64(peak)/(1<<20), s.Stats().MemoryHeld)
	if peak > limit {
		t.Errorf("peak of %d bytes, limit %d", peak, limit)
	}
}

// rawStream opens a stream on q and writes b.
func rawStream(t testing.TB, q *quic.Conn, b []byte) *quic.Stream {
	t.Helper()
	s, err := q.OpenStreamSync(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 0 {
		if _, err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// header returns the header of an AS stream, followed by b.
func header(b ...byte) []byte { return append(appendHeader(nil, StreamAS), b...) }

// cutCode reads s until the server cuts it, and returns its code.
func cutCode(t testing.TB, s *quic.Stream) StreamErrorCode {
	t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(testTimeout))
	buf := make([]byte, 4<<10)
	for {
		_, err := s.Read(buf)
		var se *quic.StreamError
		if errors.As(err, &se) && se.Remote {
			s.CancelWrite(0)
			return StreamErrorCode(se.ErrorCode)
		}
		if err != nil {
			t.Fatalf("the stream ended with %v, not with a code", err)
		}
	}
}

// closeCode waits until the server closes q, and returns its code.
func closeCode(t testing.TB, q *quic.Conn) ConnErrorCode {
	t.Helper()
	await(t, q.Context().Done(), "the connection")
	var ae *quic.ApplicationError
	if err := context.Cause(q.Context()); !errors.As(err, &ae) || !ae.Remote {
		t.Fatalf("the connection ended with %v, not with a code", err)
	}
	return ConnErrorCode(ae.ErrorCode)
}

// wantLogged fails unless n cuts with code were logged, each with its reason and who was cut.
func wantLogged(t testing.TB, logged *logBuffer, code string, n int) {
	t.Helper()
	records := logged.with("code", code)
	if len(records) != n {
		t.Errorf("%d log records with code %s, want %d: %v", len(records), code, n, records)
	}
	for _, m := range records {
		if m["reason"] == "" || m["remote"] == "" || len(m["peer"]) != 12 {
			t.Errorf("log record %v lacks reason, remote or peer", m)
		}
	}
}
