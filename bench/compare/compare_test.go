package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain lets the test program be the NATS server, as the real one can.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == natsServerCommand {
		if runNATSServer(os.Args[2:]) != nil {
			os.Exit(exitFailed)
		}
		return
	}
	os.Exit(m.Run())
}

func tiny(t *testing.T, scenario string) *config {
	t.Helper()
	c, err := parseFlags([]string{"-scenario", scenario, "-pairs", "3", "-members", "5", "-count", "1", "-warmup", "50ms", "-duration", "300ms",
		"-drain", "10s", "-dir", t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSystems runs each system that this machine has, a moment.
func TestSystems(t *testing.T) {
	daemon := filepath.Join(t.TempDir(), "quicnprotochatd")
	build := exec.Command("go", "build", "-o", daemon, "./cmd/quicnprotochatd")
	build.Dir = filepath.Join("..", "..") // a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, s := range known {
		for _, scenario := range []string{relay, fanout} {
			t.Run(s.name()+"/"+scenario, func(t *testing.T) {
				c := tiny(t, scenario)
				c.daemon = daemon
				res, err := perform(t.Context(), s, c)
				if errors.Is(err, errMissing) {
					t.Skip(err)
				}
				if err != nil {
					t.Fatal(err)
				}
				if res.Delivered <= 0 || res.Stored <= 0 || res.P50 <= 0 || res.P99 < res.P50 {
					t.Errorf("%+v", res)
				}
				left, err := os.ReadDir(c.dir)
				if err != nil || len(left) != 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			})
		}
	}
}

// A fake is a system in memory that does what change says to the messages of a batch before it delivers them.
type fake struct {
	change func(batch [][]byte) [][]byte
	silent bool // acknowledges nothing

	mu   sync.Mutex
	subs map[int][]func([]byte)
}

func (*fake) name() string      { return "fake" }
func (*fake) guarantee() string { return "none" }
func (*fake) pid() int          { return os.Getpid() }
func (*fake) stop() error       { return nil }

func (f *fake) start(context.Context, string, *config) (broker, error) {
	f.subs = make(map[int][]func([]byte))
	return f, nil
}

func (f *fake) subscribe(_ context.Context, topic, _ int, deliver func([]byte), _ func(error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs[topic] = append(f.subs[topic], deliver)
	return nil
}

type fakePublisher struct {
	f     *fake
	topic int
	acked func(int)
}

func (f *fake) publisher(_ context.Context, topic int, acked func(int), _ func(error)) (publisher, error) {
	return &fakePublisher{f, topic, acked}, nil
}

func (p *fakePublisher) publish(batch [][]byte) error {
	if !p.f.silent {
		p.acked(len(batch))
	}
	for _, m := range p.f.change(batch) {
		for _, deliver := range p.f.subs[p.topic] {
			deliver(m)
		}
	}
	return nil
}

// TestChecks: a system that loses, doubles, reorders or cuts messages, or never acknowledges, fails the run.
func TestChecks(t *testing.T) {
	n := 0
	late := func(f func([][]byte) [][]byte) func([][]byte) [][]byte {
		return func(b [][]byte) [][]byte {
			if n++; n > 10 {
				return f(b)
			}
			return b
		}
	}
	tests := map[string]*fake{
		"lost":     {change: late(func(b [][]byte) [][]byte { return b[:len(b)-1] })},
		"doubled":  {change: late(func(b [][]byte) [][]byte { return append(b[:len(b):len(b)], b[len(b)-1]) })},
		"reversed": {change: late(func(b [][]byte) [][]byte { return append(b[1:len(b):len(b)], b[0]) })},
		"cut":      {change: late(func(b [][]byte) [][]byte { return [][]byte{b[0][:10]} })},
		"silent":   {change: func(b [][]byte) [][]byte { return b }, silent: true},
	}
	for name, f := range tests {
		n = 0
		c := tiny(t, fanout)
		c.drain = 100 * time.Millisecond
		if _, err := perform(t.Context(), f, c); !errors.Is(err, errViolation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := perform(t.Context(), &fake{change: func(b [][]byte) [][]byte { return b }}, tiny(t, relay)); err != nil {
		t.Error("an honest one:", err)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"-scenario x", "-systems x", "-pairs 0", "-members 3000", "-window 5000", "-size 4", "-count 0", "-duration 0s", "more"} {
		if _, err := parseFlags(strings.Fields(args), io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestMedian(t *testing.T) {
	id := func(v float64) float64 { return v }
	if m := median([]float64{3, 1, 2}, id); m != 2 {
		t.Error(m)
	}
	if m := median([]float64{4, 1, 2, 3}, id); m != 2.5 {
		t.Error(m)
	}
}

func TestPacketIDs(t *testing.T) {
	if a, b := nextID(1), nextID(65535); a != 2 || b != 1 {
		t.Error(a, b)
	}
}

// TestFitting: a call takes what fits, by number and by bytes, and all goes in the end.
func TestFitting(t *testing.T) {
	for _, size := range []int{stampSize, 256, 17 << 10, maxSize} {
		batch := make([][]byte, maxWindow)
		for i := range batch {
			batch[i] = make([]byte, size)
		}
		calls := 0
		for ; len(batch) > 0; calls++ {
			n := fitting(batch)
			if n < 1 || n > callMessages || n*size > callBytes {
				t.Fatalf("%d messages of %d bytes in a call", n, size)
			}
			batch = batch[n:]
		}
		if most := max(maxWindow/callMessages, maxWindow*size/callBytes+1) * 2; calls > most {
			t.Errorf("%d bytes: %d calls", size, calls)
		}
	}
	if n := fitting([][]byte{make([]byte, callBytes+1), nil}); n != 1 {
		t.Errorf("one that fills more than a call: %d", n)
	}
}
