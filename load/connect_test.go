package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"quicnprotochat/quicrpc"
)

func TestTurnedAway(t *testing.T) {
	refused := &quic.TransportError{Remote: true, ErrorCode: quic.ConnectionRefused}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"by quic-go": {fmt.Errorf("client 3: %w", refused), true}, "as quicrpc says it": {fmt.Errorf("dial: %w", quicrpc.ErrRefused), true},
		"nothing": {nil, false}, "another end": {&quic.TransportError{ErrorCode: quic.InternalError}, false}, "anything": {errors.New("refused"), false},
	} {
		if got := turnedAway(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestTurns: what is told of handshakes is of the turns that count, with what was begun in them and ended later; none begins when the measured time is over.
func TestTurns(t *testing.T) { synctest.Test(t, testTurns) }

func testTurns(t *testing.T) {
	cfg := pretendConfig()
	cfg.Scenario = "connect"
	r, err := newRun(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	slow := func(ctx context.Context, d *dialer) error { // 150 ms: longer than a turn, and than what is left
		err := rest(ctx, 150*time.Millisecond)
		d.ready = now()
		return err
	}
	targets := []*target{{pid: os.Getpid, connect: slow, told: true}, {pid: os.Getpid, connect: slow}}
	for i, tg := range targets {
		tg.dialers = []*dialer{{who: i}}
	}
	end := now() + int64(100*time.Millisecond)
	if err := r.turns(t.Context(), targets, end, true); err != nil {
		t.Fatal(err)
	}
	if targets[0].count != 1 || targets[1].turns != 0 || r.ops.window.Load() != 1 {
		t.Errorf("%d and %d connections, %d told, %d turns", targets[0].count, targets[1].count, r.ops.window.Load(), targets[1].turns)
	}
	targets[0].cost = Cost{OK: true, CPU: 0.25}
	r.tellTargets(targets)
	cost := []Cost{{OK: true}, {OK: true, CPU: 9}} // by the clock
	res := assemble(&cfg, scenarios["connect"], newAggregate(&cfg, &server{}, Handshake, nil), []*part{r.part()}, cost)
	if res.Seconds < 0.15 || math.Abs(res.OpsPS*res.Seconds-1) > 1e-9 || res.CPUMicros != 250_000 || res.Values["handshakes_per_s"] != res.OpsPS {
		t.Errorf("%v s, %v/s, %v us each, %v", res.Seconds, res.OpsPS, res.CPUMicros, res.Values)
	}
}
