package load

import (
	"context"
	"errors"
	"syscall"
)

// A scenario is one kind of load. It connects its clients, calls run.begin, and returns when all is over.
type scenario struct {
	run  func(ctx context.Context, r *run) error
	main Stage // whose latency is the scenario's
	// perOp says that the daemon's cost is told for operations, not for messages.
	perOp bool
	// check, if not nil, refuses what of the configuration this scenario cannot do.
	check func(*Config) error
	// shared says that several processes can have a part of it each.
	shared bool
	about  string
}

var scenarios map[string]*scenario

// register is called by the files of the scenarios.
func register(name string, s *scenario) {
	if scenarios == nil {
		scenarios = make(map[string]*scenario)
	}
	scenarios[name] = s
}

// Scenarios lists the names, with a line about each.
func Scenarios() map[string]string {
	out := make(map[string]string, len(scenarios))
	for name, s := range scenarios {
		out[name] = s.about
	}
	return out
}

// part is what one process knows at the end.
type part struct {
	Sent, Stored, Delivered, Refused, Redelivered         uint64
	StoredWindow, DeliveredWindow, BytesWindow, OpsWindow uint64
	WireOut, WireIn                                       uint64
	Refusals                                              map[string]uint64
	Values                                                map[string]float64
	Violations                                            int
	Told                                                  []string
	CPU                                                   float64
	Seconds                                               float64 // measured, if not Config.Duration
	Aborted                                               string
}

// perform runs this process's part.
func perform(ctx context.Context, cfg Config, b barrier, s *server, take func(sample), begun func(*run)) *part {
	r, err := newRun(cfg, b)
	if err != nil {
		return &part{Aborted: err.Error()}
	}
	r.server = s
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		r.meter(stop, take)
	}()
	watched := make(chan float64, 1)
	go func() { watched <- r.ownCPU(stop, begun) }()
	err = r.throughLoss(ctx, scenarios[cfg.Scenario].run)
	out, in := r.onWire()
	close(stop)
	<-ended
	cpu := <-watched
	r.hangUpAll()
	p := r.part()
	p.WireOut, p.WireIn = out, in
	if p.Seconds == 0 {
		p.CPU = cpu
	}
	if err != nil {
		p.Aborted = err.Error()
	}
	return p
}

func (r *run) part() *part {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &part{
		Sent: r.sent.Load(), Stored: r.stored.all.Load(), Delivered: r.delivered.all.Load(), Refused: r.refused.Load(), Redelivered: r.redelivered.Load(),
		StoredWindow: r.stored.window.Load(), DeliveredWindow: r.delivered.window.Load(), BytesWindow: r.bytes.window.Load(), OpsWindow: r.ops.window.Load(),
		Refusals: r.refusals, Values: r.values, Seconds: r.length[0], CPU: r.length[1],
	}
	p.Violations, p.Told = r.faults.list()
	return p
}

// ownCPU is the time that this process used in the measured time. It calls begun when that begins and when it ends.
func (r *run) ownCPU(stop <-chan struct{}, begun func(*run)) float64 {
	select {
	case <-r.begun:
	case <-stop:
		return 0
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	_ = until(ctx, r.from.Load())
	before := cpuSelf()
	if begun != nil {
		begun(r)
	}
	_ = until(ctx, r.to.Load())
	if begun != nil {
		begun(r)
	}
	return cpuSelf() - before
}

func cpuSelf() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// Execute does a run, and tells each interval to show. The result is there even with an error, as far as the run came; the error is ErrConfig,
// ErrViolation, or why the run did not come to its end.
func Execute(ctx context.Context, cfg Config, team Team, version string, show func(Interval)) (*Result, error) {
	b, err := openBench(ctx, cfg, team, version)
	if err != nil {
		return nil, err
	}
	if b.profiles, err = openProfiles(&b.cfg, b.server); err != nil {
		return nil, errors.Join(err, b.close())
	}
	res := b.run(ctx, b.cfg, show)
	if err := errors.Join(b.profiles.close(), b.close()); err != nil && res.Aborted == "" {
		res.Aborted = err.Error()
	}
	return res, res.verdict()
}

func (r *Result) verdict() error {
	switch {
	case r.Violations > 0:
		err := ErrViolation
		for _, line := range r.Told {
			err = errors.Join(err, errors.New(line))
		}
		return err
	case r.Aborted != "":
		return errors.New(r.Aborted)
	default:
		return nil
	}
}

// assemble adds up what the processes tell.
func assemble(cfg *Config, kind *scenario, agg *aggregate, parts []*part, costs []Cost) *Result {
	res := &Result{
		Type: "result", Config: *cfg, Seconds: cfg.Duration.Seconds(), Stages: make(map[string]Summary), Refusals: make(map[string]uint64), Values: make(map[string]float64),
		Intervals: agg.intervals, CPUMicros: -1,
	}
	var units uint64
	var payload uint64
	var stored, delivered, ops uint64
	for _, p := range parts {
		res.Sent, res.Stored, res.Delivered = res.Sent+p.Sent, res.Stored+p.Stored, res.Delivered+p.Delivered
		res.Refused, res.Redelivered = res.Refused+p.Refused, res.Redelivered+p.Redelivered
		if p.Seconds > 0 {
			res.Seconds = p.Seconds
		}
		stored, delivered, ops, payload = stored+p.StoredWindow, delivered+p.DeliveredWindow, ops+p.OpsWindow, payload+p.BytesWindow
		res.WireOut, res.WireIn, res.ClientCPU = res.WireOut+p.WireOut, res.WireIn+p.WireIn, res.ClientCPU+p.CPU
		for k, n := range p.Refusals {
			res.Refusals[k] += n
		}
		for k, v := range p.Values {
			res.Values[k] += v
		}
		res.Violations += p.Violations
		res.Told = append(res.Told, p.Told...)
		if res.Aborted == "" {
			res.Aborted = p.Aborted
		}
	}
	res.StoredPS, res.DeliveredPS = float64(stored)/res.Seconds, float64(delivered)/res.Seconds
	res.PayloadPS, res.OpsPS = float64(payload)/res.Seconds, float64(ops)/res.Seconds
	for i, h := range agg.total {
		if h != nil {
			res.Stages[Stage(i).String()] = summarize(h, true)
		}
	}
	if units = delivered; kind.perOp {
		units = ops
	}
	if len(costs) == 2 {
		res.Cost = costs[1].minus(costs[0])
		if res.Cost.OK && res.Cost.CPU >= 0 && units > 0 {
			res.CPUMicros = res.Cost.CPU * 1e6 / float64(units)
		}
	}
	if v, ok := res.Values[serverEach]; ok {
		res.CPUMicros = v
	}
	return res
}
