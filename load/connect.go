package load

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/sync/errgroup"

	"quicnprotochat/quicrpc"
)

func init() {
	register("connect", &scenario{
		run: connect, check: checkConnect, main: Handshake, perOp: true, about: "connections that are made and closed, beside bare quic-go",
	})
}

// Kinds of handshakes.
const (
	kindFull    = "full"
	kindResumed = "resumed"
	kindEarly   = "early"
)

// maxDialers is below what makes the daemon ask for a proof of the address, which costs a round trip.
const maxDialers = 200

func checkConnect(c *Config) error {
	switch {
	case c.Kind != kindFull && c.Kind != kindResumed && c.Kind != kindEarly:
		return fmt.Errorf("%w: kind %q, want full, resumed or early", ErrConfig, c.Kind)
	case c.Parallel > maxDialers:
		return fmt.Errorf("%w: %d handshakes at once, at most %d", ErrConfig, c.Parallel, maxDialers)
	case c.Baseline && c.Loss > 0:
		return fmt.Errorf("%w: the baseline has no loss: leave one of them out", ErrConfig)
	}
	return nil
}

// A target is a server to connect to: the daemon, or the baseline.
type target struct {
	pid     func() int
	connect func(ctx context.Context, d *dialer) error
	dialers []*dialer
	told    bool // its handshakes are the run's

	count, refused uint64

	turns int
	took  float64 // seconds
	cost  Cost
	own   float64 // of CPU, of the harness, meanwhile
}

// connect: dialer i is client i, which connects again and again. Daemon and baseline take turns.
func connect(ctx context.Context, r *run) error {
	ours := &target{pid: r.server.process, connect: r.connectOurs, told: true}
	targets := []*target{ours}
	if r.cfg.Baseline {
		b, err := startBare()
		if err != nil {
			return err
		}
		defer b.stop()
		targets = append(targets, &target{pid: b.pid, connect: r.connectBare(b.addr)})
	}
	for _, t := range targets {
		for i := range r.cfg.Parallel {
			t.dialers = append(t.dialers, &dialer{who: i, tickets: newTickets(r.cfg.Kind != kindFull)})
		}
		// A client's first connection is a full one, whatever the kind.
		if err := r.each(ctx, len(t.dialers), func(ctx context.Context, i int) (err error) {
			for err = t.connect(ctx, t.dialers[i]); turnedAway(err) && ctx.Err() == nil; err = t.connect(ctx, t.dialers[i]) {
			}
			return err
		}); err != nil {
			return err
		}
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := r.turns(ctx, targets, r.from.Load(), false); err != nil {
		return err
	}
	if err := r.turns(ctx, targets, r.to.Load(), true); err != nil {
		return err
	}
	r.tellTargets(targets)
	return nil
}

// serverEach names, in Result.Values, the CPU time of the server for a handshake. It is of the turns that count, and of all that was begun in them: what the
// daemon cost in the measured time by the clock has some of the turn before, and not the end of the last one.
const serverEach = "server_cpu_us_each"

// turn is how long one target is connected to before it is the next one's turn.
const turn = 500 * time.Millisecond

// turns has the targets take turns until a time; told says that they count.
func (r *run) turns(ctx context.Context, targets []*target, end int64, told bool) error {
	each := turn
	if total := time.Duration(end - now()); total < 4*turn*time.Duration(len(targets)) {
		each = total / time.Duration(4*len(targets))
	}
	for now() < end {
		for _, t := range targets {
			if begin := now(); begin < end {
				if err := r.turnOf(ctx, t, min(begin+int64(each), end), told); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// turnOf connects to a target until a time. Connections that were begun are ended.
func (r *run) turnOf(ctx context.Context, t *target, end int64, told bool) error {
	cost, own, start := readCost(t.pid(), "", false), cpuSelf(), now()
	var count, refused atomic.Uint64
	group, ctx := errgroup.WithContext(ctx)
	for _, d := range t.dialers {
		group.Go(func() error {
			for now() < end && ctx.Err() == nil {
				from := now()
				if err := t.connect(ctx, d); turnedAway(err) {
					refused.Add(1)
					continue
				} else if err != nil {
					return err
				}
				count.Add(1)
				if t.told && told { // each counts that its turn's time and cost are told for
					r.ops.all.Add(1)
					r.ops.window.Add(1)
					r.rec.record(d.who, Handshake, from, d.ready, 1)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if told {
		t.refused += refused.Load()
		t.count, t.took, t.own = t.count+count.Load(), t.took+seconds(now()-start), t.own+cpuSelf()-own
		d := readCost(t.pid(), "", false).minus(cost)
		t.cost.CPU, t.cost.OK = t.cost.CPU+d.CPU, d.OK && (t.cost.OK || t.turns == 0)
		t.turns++
	}
	return nil
}

// turnedAway says whether a server refused a connection for lack of room: quic-go does when 32 wait to be accepted. The client may try again.
func turnedAway(err error) bool {
	var te *quic.TransportError
	return errors.Is(err, quicrpc.ErrRefused) || errors.As(err, &te) && te.ErrorCode == quic.ConnectionRefused
}

// tellTargets tells the figures of the daemon, and those of the baseline beside it.
func (r *run) tellTargets(targets []*target) {
	for i, t := range targets {
		prefix := [...]string{"", "bare_"}[i]
		r.value(prefix+"handshakes_per_s", t.rate())
		r.value(prefix+"refused", float64(t.refused))
		r.value(prefix+"client_cpu_us_each", t.own*1e6/float64(max(1, t.count)))
		if t.cost.OK {
			r.value(prefix+serverEach, t.each())
		}
	}
	if len(targets) == 2 && targets[1].count > 0 {
		r.value("rate_to_bare", targets[0].rate()/targets[1].rate())
		if targets[0].cost.OK && targets[1].each() > 0 {
			r.value("server_cpu_to_bare", targets[0].each()/targets[1].each())
		}
	}
	r.lasted(targets[0].took, targets[0].own)
}

func (t *target) rate() float64 { return float64(t.count) / max(t.took, 1e-9) }
func (t *target) each() float64 { return t.cost.CPU * 1e6 / float64(max(1, t.count)) }
