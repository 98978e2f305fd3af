package load

import (
	"errors"
	"fmt"
	"time"

	"quicnprotochat/certs"
)

// Errors that callers tell apart.
var (
	ErrConfig    = errors.New("bad configuration")
	ErrViolation = errors.New("the run is not correct")
	ErrBound     = errors.New("no rate keeps the bound")
	ErrWorse     = errors.New("worse than allowed")
)

// Config is one run. It travels to the workers as JSON.
type Config struct {
	Scenario string `json:"scenario"`

	// Size of the run; what each means is the scenario's (docs/load.md).
	Pairs    int `json:"pairs,omitempty"`
	Groups   int `json:"groups,omitempty"`
	Members  int `json:"members,omitempty"`
	Queues   int `json:"queues,omitempty"`
	Messages int `json:"messages,omitempty"`
	Clients  int `json:"clients,omitempty"`
	// PerClient is how many of the queues each recipient has (offline).
	PerClient int `json:"per_client,omitempty"`

	// Load.
	Window   int           `json:"window"`           // closed loop: messages that a sender has under way
	Rate     float64       `json:"rate,omitempty"`   // open loop: messages a second, of all senders together; 0: closed loop
	Poisson  bool          `json:"poisson"`          // open loop: random gaps in place of equal ones
	Batch    int           `json:"batch"`            // messages in one call at most
	Calls    int           `json:"calls"`            // calls that a sender has under way at most
	Gap      time.Duration `json:"gap,omitempty"`    // open loop: least time between two calls of a sender; what comes meanwhile goes together
	Received bool          `json:"received"`         // a message leaves the window when it is received, not when it is stored
	Size     string        `json:"size"`             // of payloads: see ParseSize
	Seed     uint64        `json:"seed"`             // of sizes and gaps
	Kind     string        `json:"kind,omitempty"`   // connect: full, resumed or early
	Baseline bool          `json:"baseline"`         // connect: measure bare quic-go, too
	Bare     bool          `json:"bare,omitempty"`   // relay: over bare quic-go, with no daemon
	Call     bool          `json:"call"`             // connect: each connection does a call
	Parallel int           `json:"parallel"`         // handshakes at once
	Events   float64       `json:"events,omitempty"` // churn: commits a second of all groups together

	Warmup   time.Duration `json:"warmup"`
	Duration time.Duration `json:"duration"`
	Drain    time.Duration `json:"drain"` // for what is under way when the senders stop
	Interval time.Duration `json:"interval"`

	Settle    time.Duration `json:"settle,omitempty"`     // idle: before the rest is measured
	KeepAlive time.Duration `json:"keep_alive,omitempty"` // of the clients' connections; 0: package client's own

	Restarts time.Duration `json:"restarts,omitempty"` // soak: time between two kills of the daemon; 0: none
	Loss     float64       `json:"loss,omitempty"`     // of packets, each way, by the harness's own relay; 0 to 1

	// The daemon.
	Addr   string `json:"addr"`
	Pin    string `json:"pin,omitempty"`     // of its key; empty: any is accepted
	PID    int    `json:"pid,omitempty"`     // 0: its cost is not known
	Data   string `json:"data,omitempty"`    // its data directory; empty: not known, or one for the time of the run
	Daemon string `json:"program,omitempty"` // to start in place of Addr

	CPUProfile       string `json:"cpu_profile,omitempty"`        // file for a profile of this process
	DaemonCPUProfile string `json:"daemon_cpu_profile,omitempty"` // and of the daemon

	// Part of the run that this process has.
	Key     [32]byte `json:"key"` // identities of the run are made from it
	Worker  int      `json:"worker"`
	Workers int      `json:"workers"`
}

// Defaults are the values of a run that says nothing.
func Defaults() Config {
	return Config{
		Pairs: 16, Groups: 10, Members: 10, Queues: 1000, Messages: 10_000, Clients: 1000, PerClient: 1,
		Window: 64, Batch: 64, Calls: 16, Gap: time.Millisecond, Received: true, Poisson: true, Size: "256", Seed: 1, Kind: kindFull, Baseline: true, Parallel: 32, Events: 1,
		Warmup: 2 * time.Second, Duration: 10 * time.Second, Drain: 30 * time.Second, Interval: time.Second, Workers: 1,
	}
}

// DefaultsFor are those of a scenario.
func DefaultsFor(scenario string) Config {
	c := Defaults()
	c.Scenario = scenario
	switch scenario {
	case "offline":
		c.Clients, c.Window, c.Batch = 4, 512, 256
	case "idle":
		c.Rate, c.KeepAlive, c.Settle = 100, 4*time.Minute, 25*time.Second
	case "soak":
		c.KeepAlive = 2 * time.Second // who only listens learns of a kill by the next of these
	}
	return c
}

// check refuses what cannot be run.
func (c *Config) check() error {
	if scenarios[c.Scenario] == nil {
		return fmt.Errorf("%w: no scenario %q", ErrConfig, c.Scenario)
	}
	for name, v := range map[string]int{
		"pairs": c.Pairs, "groups": c.Groups, "queues": c.Queues, "messages": c.Messages, "clients": c.Clients,
		"window": c.Window, "batch": c.Batch, "calls": c.Calls, "parallel": c.Parallel, "workers": c.Workers,
	} {
		if v < 1 || v > 10_000_000 {
			return fmt.Errorf("%w: %s is %d", ErrConfig, name, v)
		}
	}
	switch {
	case c.Members < 2 || c.Members > maxMembers:
		return fmt.Errorf("%w: %d members, want 2 to %d", ErrConfig, c.Members, maxMembers)
	case c.Batch > maxBatch || c.Calls > maxCalls:
		return fmt.Errorf("%w: batches of %d, at most %d; %d calls, at most %d", ErrConfig, c.Batch, maxBatch, c.Calls, maxCalls)
	case !(c.Rate >= 0 && c.Rate <= maxRate && c.Events >= 0 && c.Events <= maxRate && c.Loss >= 0 && c.Loss <= 0.5): // also what is no number
		return fmt.Errorf("%w: rate %v, events %v, loss %v", ErrConfig, c.Rate, c.Events, c.Loss)
	case c.Rate > 0 && c.Rate < minRate || c.Events > 0 && c.Events < minRate:
		return fmt.Errorf("%w: rate %v, events %v, want 0 or at least %v", ErrConfig, c.Rate, c.Events, minRate)
	case c.Duration <= 0 || c.Warmup < 0 || c.Drain <= 0 || c.Interval < 10*time.Millisecond || c.Restarts < 0 || c.KeepAlive < 0 || c.Settle < 0 || c.Gap < 0:
		return fmt.Errorf("%w: a time is not positive, or the interval is under 10 ms", ErrConfig)
	case max(c.Duration, c.Warmup, c.Drain, c.Interval, c.Restarts, c.KeepAlive, c.Settle, c.Gap) > maxTime:
		return fmt.Errorf("%w: a time is over %v", ErrConfig, maxTime)
	case c.DaemonCPUProfile != "" && (c.Daemon == "" || c.Scenario == "offline" || c.Restarts > 0):
		return fmt.Errorf("%w: a profile of the daemon is made of one that the run starts, once", ErrConfig)
	case c.Scenario == "soak" && c.Daemon == "":
		return fmt.Errorf("%w: soak watches, and kills, a daemon that it has started", ErrConfig)
	case c.Worker < 0 || c.Worker >= c.Workers || c.Workers > maxWorkers:
		return fmt.Errorf("%w: worker %d of %d", ErrConfig, c.Worker, c.Workers)
	case c.Workers > 1 && !scenarios[c.Scenario].shared:
		return fmt.Errorf("%w: %s is for one process", ErrConfig, c.Scenario)
	case c.Bare && (c.Scenario != "relay" || c.Workers > 1 || c.Loss > 0 || c.Addr+c.Daemon+c.DaemonCPUProfile != "" || c.PID != 0):
		return fmt.Errorf("%w: bare is a relay in one process, with neither a daemon nor loss", ErrConfig)
	case c.Addr == "" && c.Daemon == "" && !c.Bare:
		return fmt.Errorf("%w: neither a daemon to start nor an address", ErrConfig)
	}
	if _, err := c.trust(); err != nil {
		return err
	}
	if _, err := ParseSize(c.Size); err != nil {
		return err
	}
	if only := scenarios[c.Scenario].check; only != nil {
		return only(c)
	}
	return nil
}

// trust is how the clients recognise the daemon.
func (c *Config) trust() (certs.Trust, error) {
	if c.Pin == "" {
		return certs.Trust{}, nil
	}
	pin, err := certs.ParsePin(c.Pin)
	if err != nil {
		return certs.Trust{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return certs.Trust{Pin: &pin}, nil
}

const (
	maxTime    = 30 * 24 * time.Hour
	minRate    = 0.01 // of all senders together: of many, each one's gaps are to fit in 64 bits of nanoseconds
	maxMembers = 2000 // added by one commit, and one more
	maxBatch   = 1024 // submissions of a call (ServerInfo.maxBatch)
	maxCalls   = 256
)

// forWorker is the configuration without what only the leading process does: to start and watch the daemon, and to write profiles.
func (c Config) forWorker() Config {
	c.Daemon, c.Data, c.PID, c.CPUProfile, c.DaemonCPUProfile = "", "", 0, "", ""
	return c
}

// mine says whether the unit i (a pair, a group, a client) is this worker's.
func (c *Config) mine(i int) bool { return i%c.Workers == c.Worker }
