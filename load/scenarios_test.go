package load

import (
	"crypto/tls"
	"errors"
	"math"
	"testing"
)

func TestScenarioChecks(t *testing.T) {
	for _, test := range []struct {
		scenario string
		change   func(*Config)
		ok       bool
	}{
		{"fanout", func(*Config) {}, true},
		{"fanout", func(c *Config) { c.Members = maxMembers }, false},
		{"idle", func(c *Config) { c.Rate = 0 }, false},
		{"idle", func(c *Config) { c.Rate = 1 }, true},
		{"relay", func(c *Config) { c.Rate = math.NaN() }, false},
		{"relay", func(c *Config) { c.Rate = math.Inf(1) }, false},
		{"relay", func(c *Config) { c.Rate = -1 }, false},
		{"relay", func(c *Config) { c.Rate = 1e-300 }, false},
		{"relay", func(c *Config) { c.Rate = minRate }, true},
		{"churn", func(c *Config) { c.Events = 1e-300 }, false},
		{"churn", func(c *Config) { c.Events = 0 }, true},
		{"relay", func(c *Config) { c.Window = 0 }, false},
		{"relay", func(c *Config) { c.Warmup = -1 }, false},
		{"relay", func(c *Config) { c.Loss = math.NaN() }, false},
		{"soak", func(c *Config) { c.Daemon, c.Events = "x", math.NaN() }, false},
		{"relay", func(c *Config) { c.Duration = maxTime + 1 }, false},
		{"relay", func(c *Config) { c.Bare, c.Addr = true, "" }, true},
		{"relay", func(c *Config) { c.Bare = true }, false},
		{"fanout", func(c *Config) { c.Bare, c.Addr = true, "" }, false},
		{"relay", func(c *Config) { c.Interval = maxTime + 1 }, false},
		{"relay", func(c *Config) { c.Gap = maxTime + 1 }, false},
		{"relay", func(c *Config) { c.Daemon, c.DaemonCPUProfile = "x", "y" }, true},
		{"relay", func(c *Config) { c.DaemonCPUProfile = "y" }, false},
		{"soak", func(c *Config) { c.Daemon, c.DaemonCPUProfile = "x", "y" }, true},
		{"soak", func(c *Config) { c.Daemon, c.DaemonCPUProfile, c.Restarts = "x", "y", 1 }, false},
		{"offline", func(c *Config) { c.Daemon, c.DaemonCPUProfile = "x", "y" }, false},
		{"connect", func(*Config) {}, true},
		{"connect", func(c *Config) { c.Kind = "quick" }, false},
		{"connect", func(c *Config) { c.Kind, c.Parallel = kindEarly, maxDialers+1 }, false},
		{"connect", func(c *Config) { c.Loss = 0.1 }, false},
		{"connect", func(c *Config) { c.Loss, c.Baseline = 0.1, false }, true},
		{"offline", func(*Config) {}, true},
		{"offline", func(c *Config) { c.PerClient = 0 }, false},
		{"offline", func(c *Config) { c.Messages = c.Queues - 1 }, false},
	} {
		c := Defaults()
		c.Scenario, c.Addr = test.scenario, "127.0.0.1:1"
		test.change(&c)
		if err := c.check(); test.ok && err != nil || !test.ok && !errors.Is(err, ErrConfig) {
			t.Errorf("%s %+v: %v", test.scenario, c, err)
		}
	}
}

func TestTickets(t *testing.T) {
	for _, use := range []bool{false, true} {
		c := newTickets(use)
		if _, ok := c.Get("x"); ok {
			t.Fatal("a ticket that never came")
		}
		c.Put("x", nil)
		select {
		case <-c.came:
			t.Fatal("no ticket came")
		default:
		}
		ticket := new(tls.ClientSessionState)
		c.Put("x", ticket)
		c.Put("x", ticket) // does not wait
		<-c.came
		if got, ok := c.Get("x"); ok != use || use && got != ticket {
			t.Fatalf("use %v: got %v", use, ok)
		}
	}
}
