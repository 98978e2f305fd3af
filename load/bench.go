package load

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A bench is a daemon and the processes that put load on it; runs follow one another on it.
type bench struct {
	cfg     Config // of which Addr and Pin are known now
	version string
	server  *server
	peers   []*peer

	profiles *profiles // of the one run; nil: none
}

func openBench(ctx context.Context, cfg Config, team Team, version string) (*bench, error) {
	cfg.Workers = team.size()
	if err := team.check(); err != nil {
		return nil, err
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	peers, err := team.call(ctx)
	if err != nil {
		return nil, err
	}
	s, err := startServer(ctx, &cfg)
	if err != nil {
		hangUpPeers(peers)
		return nil, err
	}
	return &bench{cfg: cfg, version: version, server: s, peers: peers}, nil
}

func (b *bench) close() error {
	hangUpPeers(b.peers)
	return b.server.stop()
}

// run does one run, with identities of its own. After one that did not come to its end the other processes are in no known state: the bench is to be closed.
func (b *bench) run(ctx context.Context, cfg Config, show func(Interval)) *Result {
	if cfg.Key == ([32]byte{}) {
		_, _ = rand.Read(cfg.Key[:])
	}
	kind := scenarios[cfg.Scenario]
	agg := newAggregate(&cfg, b.server, kind.main, show)
	var costs []Cost
	mark := func(*run) {
		if costs = append(costs, readCost(b.server.process(), b.server.data, true)); len(costs) == 1 {
			b.profiles.begin()
		} else {
			b.profiles.end()
		}
	}
	started := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go b.guard(ctx, cancel)
	parts := b.perform(ctx, cancel, cfg, agg, mark)
	agg.finish()
	res := assemble(&cfg, kind, agg, parts, costs)
	if res.Aborted != "" && b.server.dead() && !strings.Contains(res.Aborted, errDied.Error()) {
		res.Aborted += "\n" + b.server.crashed().Error()
	}
	res.Version, res.Started = b.version, started.UTC()
	for i, p := range b.peers {
		if p.offset != 0 {
			res.Values[fmt.Sprintf("clock of worker %d ahead by, ms", i+1)] = p.offset.Seconds() * 1000
		}
	}
	return res
}

// guard ends the run when the daemon ends by itself: what does not arrive then is not lost by a daemon that works, and nobody need wait for it.
func (b *bench) guard(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-b.server.died:
		cancel(b.server.crashed())
	case <-ctx.Done():
	}
}

// perform does this process's part, and has the others do theirs.
func (b *bench) perform(ctx context.Context, cancel context.CancelCauseFunc, cfg Config, agg *aggregate, mark func(*run)) []*part {
	for i, p := range b.peers {
		of := cfg
		of.Worker = i + 1
		if err := p.begin(of, func(s sample) { agg.add(of.Worker, s) }, cancel); err != nil {
			cancel(err)
		}
	}
	parts := []*part{perform(ctx, cfg, lead{b.peers, agg.begin}, b.server, func(s sample) { agg.add(0, s) }, mark)}
	if parts[0].Aborted != "" {
		if cause := context.Cause(ctx); cause != nil {
			parts[0].Aborted = cause.Error() // that a worker is gone, say, and not that a call of ours was cancelled for it
		}
		b.callOff(b.peers)
		return append(parts, b.found()...)
	}
	for i, p := range b.peers {
		d, err := p.next(ctx, typePart)
		if err != nil {
			b.callOff(b.peers[i:])
			return append(append(parts, &part{Aborted: err.Error()}), b.found()...)
		}
		parts = append(parts, d.Part)
	}
	return parts
}

// callOff ends a run that cannot come to its end: of the workers that did not tell their parts yet, what they found until now is asked for.
func (b *bench) callOff(peers []*peer) {
	ctx, cancel := context.WithTimeout(context.Background(), parting)
	defer cancel()
	var all sync.WaitGroup
	for _, p := range peers {
		all.Go(func() { p.callOff(ctx) })
	}
	all.Wait()
	hangUpPeers(b.peers)
}

// found is what workers have found until a run was called off: a violation is one all the same.
func (b *bench) found() (out []*part) {
	for _, p := range b.peers {
		if short := p.found(); short != nil {
			out = append(out, &part{Violations: short.Violations, Told: short.Told})
		}
	}
	return out
}

// lead is the barrier of the process that leads the run.
type lead struct {
	peers []*peer
	begun func() // called when the run begins; may be nil
}

// headStart is how long before the begin of a run the workers are told of it.
const headStart = 100 * time.Millisecond

func (l lead) ready(ctx context.Context) (int64, error) {
	for _, p := range l.peers {
		if _, err := p.next(ctx, typeReady); err != nil {
			return 0, err
		}
	}
	start := now()
	if len(l.peers) > 0 {
		start += int64(headStart)
	}
	for _, p := range l.peers {
		if err := p.t.send(dispatch{Type: typeStart, At: start + int64(p.offset)}); err != nil {
			return 0, fmt.Errorf("worker %s: %w", p.name, err)
		}
	}
	if l.begun != nil {
		l.begun()
	}
	return start, nil
}

func (l lead) stopped(ctx context.Context, stored map[string]digest) (map[string]digest, error) {
	all := []map[string]digest{stored}
	for _, p := range l.peers {
		d, err := p.next(ctx, typeStopped)
		if err != nil {
			return nil, err
		}
		all = append(all, fromWire(d.Stored))
	}
	merged := mergeStored(all)
	for _, p := range l.peers {
		if err := p.t.send(dispatch{Type: typeStored, Stored: toWire(merged)}); err != nil {
			return nil, fmt.Errorf("worker %s: %w", p.name, err)
		}
	}
	return merged, nil
}
