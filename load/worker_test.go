package load

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const testToken = "the token of the tests"

// failing says which worker of the scenario "pretend" fails; faulty, which has a violation and goes on.
var failing, faulty atomic.Int64

// pretend is a scenario without a daemon: each process "stores" one message, and checks that all know of all.
func init() {
	register("pretend", &scenario{main: Received, shared: true, run: func(ctx context.Context, r *run) error {
		if faulty.Load() == int64(r.cfg.Worker)+1 {
			r.faults.add("lost by one that goes on")
		}
		if err := r.begin(ctx); err != nil {
			return err
		}
		if failing.Load() == int64(r.cfg.Worker)+1 {
			r.faults.add("lost, before it failed")
			return errors.New("told to fail")
		}
		if err := until(ctx, r.to.Load()); err != nil {
			return err
		}
		queue := string([]byte{0xff, byte(r.cfg.Worker)}) // no UTF-8, as ids are not
		at := r.from.Load()
		r.books.stored(queue, uint32(r.cfg.Worker), 1, 1)
		r.sent.Add(1)
		r.count(at, &r.stored)
		r.rec.record(0, Received, at, at+int64(time.Millisecond), 1)
		stored, err := r.barrier.stopped(ctx, r.books.snapshot())
		if err != nil {
			return err
		}
		r.value("queues", float64(len(stored)))
		return nil
	}})
}

func pretendConfig() Config {
	cfg := Defaults()
	cfg.Scenario, cfg.Addr = "pretend", "127.0.0.1:1"
	cfg.Warmup, cfg.Duration, cfg.Interval = 10*time.Millisecond, 50*time.Millisecond, 20*time.Millisecond
	return cfg
}

// startWorker serves in this process, and returns where.
func startWorker(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ServeWorkers(ctx, l, testToken, func(string) {}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestWorkersShareARun(t *testing.T) {
	team := Team{Addrs: []string{startWorker(t), startWorker(t)}, Token: testToken}
	for range 2 { // a worker is there for the next run, too
		res, err := Execute(t.Context(), pretendConfig(), team, "test", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.Sent != 3 || res.Stored != 3 || res.Values["queues"] != 9 || res.Stages["received"].Count != 3 {
			t.Errorf("sent %d, stored %d, values %v, %d received", res.Sent, res.Stored, res.Values, res.Stages["received"].Count)
		}
	}
}

func TestWorkerFails(t *testing.T) {
	for who := range 3 {
		team := Team{Addrs: []string{startWorker(t), startWorker(t)}, Token: testToken}
		failing.Store(int64(who) + 1)
		cfg := pretendConfig()
		cfg.Duration = time.Minute // which nobody waits for
		start := time.Now()
		res, err := Execute(t.Context(), cfg, team, "test", nil)
		if !errors.Is(err, ErrViolation) || !strings.Contains(err.Error(), "lost, before it failed") || time.Since(start) > 20*time.Second {
			t.Errorf("worker %d, after %v: %v", who, time.Since(start), err)
		}
		if res == nil || !strings.Contains(res.Aborted, "told to fail") || who > 0 && !strings.Contains(res.Aborted, team.Addrs[who-1]) {
			t.Errorf("worker %d is not named: %+v", who, res)
		}
	}
	failing.Store(0)
}

// TestViolationOfOther: what a worker has found is told also when the run is ended by another, or by the caller.
func TestViolationOfOther(t *testing.T) {
	defer failing.Store(0)
	defer faulty.Store(0)
	for _, who := range []int64{1, 2, 3} { // fails
		team := Team{Addrs: []string{startWorker(t), startWorker(t)}, Token: testToken}
		failing.Store(who)
		faulty.Store(5 - max(2, who)) // another, and not the caller
		cfg := pretendConfig()
		cfg.Duration = time.Minute
		start := time.Now()
		res, err := Execute(t.Context(), cfg, team, "test", nil)
		if res == nil || res.Violations != 2 || !errors.Is(err, ErrViolation) || !strings.Contains(err.Error(), "lost by one that goes on") {
			t.Errorf("%d fails, %d is faulty: %v", who, faulty.Load(), err)
		}
		if took := time.Since(start); took > parting {
			t.Errorf("%d fails: after %v", who, took)
		}
	}
}

// TestWorkerDies has a worker go in the middle of the run.
func TestWorkerDies(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ServeWorkers(ctx, l, testToken, func(string) {}) }()
	cfg := pretendConfig()
	cfg.Duration = time.Minute
	_, err = Execute(t.Context(), cfg, Team{Addrs: []string{l.Addr().String()}, Token: testToken}, "test", func(Interval) { kill() })
	if err == nil || !strings.Contains(err.Error(), "worker "+l.Addr().String()) {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWorkerRefuses(t *testing.T) {
	addr := startWorker(t)
	for name, c := range map[string]struct {
		team Team
		want string
	}{
		"other token": {Team{Addrs: []string{addr}, Token: testToken + "x"}, "another token"},
		"short token": {Team{Addrs: []string{addr}, Token: "short"}, "characters"},
		"busy":        {Team{Addrs: []string{addr, addr}, Token: testToken}, "busy"},
		"no program":  {Team{Processes: 2}, "no program"},
		"too many":    {Team{Processes: 1000, Worker: []string{"x"}}, "processes"},
	} {
		_, err := Execute(t.Context(), pretendConfig(), c.team, "test", nil)
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNotShared(t *testing.T) {
	register("lonely", &scenario{})
	defer delete(scenarios, "lonely")
	cfg := pretendConfig()
	cfg.Scenario, cfg.Workers = "lonely", 2
	if err := cfg.check(); !errors.Is(err, ErrConfig) {
		t.Error(err)
	}
}

// TestStrangers sends a worker what is no answer to its challenge.
func TestStrangers(t *testing.T) {
	addr := startWorker(t)
	for _, text := range []string{"\n", "{}\n", `{"type":"run"}` + "\n", `{"type":"answer","mac":"AAAA"}` + "\n", strings.Repeat("x", 128<<10)} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(text)) // the worker may have hung up in the middle
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		var e net.Error
		if _, err := io.Copy(io.Discard, c); errors.As(err, &e) && e.Timeout() {
			t.Errorf("%q: not hung up", text[:min(20, len(text))])
		}
		_ = c.Close()
	}
}

// TestCompareClocks: a worker's clock that differs by no more than can be measured is right, whatever its address.
func TestCompareClocks(t *testing.T) {
	for _, ahead := range []time.Duration{0, 40 * time.Millisecond, -40 * time.Millisecond} {
		here, there := net.Pipe()
		go func() {
			w := newTalk(there)
			for range clockRounds {
				if _, err := w.want(typeClock, maxGreeting); err != nil {
					return
				}
				_ = w.send(dispatch{Type: typeClock, At: now() + int64(ahead)})
			}
		}()
		p := newPeer("w", here, here.Close)
		if err := p.compareClocks(); err != nil {
			t.Fatal(err)
		}
		if off := (p.offset - ahead).Abs(); off > 20*time.Millisecond || ahead == 0 && p.offset != 0 {
			t.Errorf("a clock ahead by %v: measured %v", ahead, p.offset)
		}
		_ = here.Close()
		_ = there.Close()
	}
}

// TestWorkerDoesNotLead: a worker takes no part that is the caller's own, nor one of a run that is for one process.
func TestWorkerDoesNotLead(t *testing.T) {
	register("lonely", &scenario{})
	defer delete(scenarios, "lonely")
	for _, c := range []struct {
		scenario        string
		worker, workers int
	}{{"pretend", 0, 1}, {"pretend", 1, 1}, {"pretend", 0, 2}, {"lonely", 1, 2}} {
		here, there := net.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- WorkFor(t.Context(), there) }()
		cfg := pretendConfig()
		cfg.Scenario, cfg.Worker, cfg.Workers = c.scenario, c.worker, c.workers
		talk := newTalk(here)
		if err := talk.send(dispatch{Type: typeRun, Config: &cfg}); err != nil {
			t.Fatal(err)
		}
		if d, err := talk.receive(maxLine); err != nil || d.Type != typeFailed {
			t.Errorf("%+v: %+v, %v", c, d, err)
		}
		_ = here.Close()
		<-ended
	}
}

// TestWorkerMakesNoProfile: a profile that the caller writes is no reason for a worker to refuse its part.
func TestWorkerMakesNoProfile(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	p := newPeer("w", here, here.Close)
	cfg := pretendConfig()
	cfg.Worker, cfg.Workers, cfg.Daemon, cfg.Data, cfg.PID, cfg.CPUProfile, cfg.DaemonCPUProfile = 1, 2, "program", "data", 1, "own", "daemon"
	begun := make(chan error, 1)
	go func() { begun <- p.begin(cfg, nil, nil) }()
	d, err := newTalk(there).receive(maxLine)
	if err != nil || <-begun != nil {
		t.Fatal(err)
	}
	if c := d.Config; c.Daemon+c.Data+c.CPUProfile+c.DaemonCPUProfile != "" || c.PID != 0 || c.check() != nil {
		t.Errorf("%+v: %v", c, c.check())
	}
}

// A crowded listener has no file descriptor left for the first who calls.
type crowded struct {
	net.Listener
	tried atomic.Bool
}

func (c *crowded) Accept() (net.Conn, error) {
	if !c.tried.Swap(true) {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return c.Listener.Accept()
}

// TestCrowded: a worker that could not accept once is there for the next.
func TestCrowded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, told := make(chan error, 1), make(chan string, 8)
	go func() { ended <- ServeWorkers(ctx, &crowded{Listener: l}, testToken, func(s string) { told <- s }) }()
	if _, err := Execute(t.Context(), pretendConfig(), Team{Addrs: []string{l.Addr().String()}, Token: testToken}, "test", nil); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s := <-told; !strings.Contains(s, syscall.EMFILE.Error()) {
		t.Errorf("%q", s)
	}
}
