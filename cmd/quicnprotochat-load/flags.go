package main

import (
	"github.com/spf13/pflag"

	"quicnprotochat/load"
)

// addFlags adds the flags of a run; their defaults are what cfg holds.
func addFlags(f *pflag.FlagSet, cfg *load.Config) {
	f.StringVar(&cfg.Addr, "addr", cfg.Addr, "`address` of the daemon, host:port; with --daemon, where it is to listen")
	f.StringVar(&cfg.Pin, "pin", cfg.Pin, "accept only the daemon with this `pin` (sha256:...)")
	f.StringVar(&cfg.Daemon, "daemon", cfg.Daemon, "start this `program`, with a directory of its own, for the time of the run")
	f.StringVar(&cfg.Data, "data", cfg.Data, "data `directory` of the daemon, to be measured; with --daemon, the one that it gets")
	f.IntVar(&cfg.PID, "pid", cfg.PID, "process `id` of a running daemon on this machine, to be measured")

	switch cfg.Scenario {
	case "relay":
		f.IntVar(&cfg.Pairs, "pairs", cfg.Pairs, "senders, and recipients")
		f.BoolVar(&cfg.Bare, "bare", cfg.Bare, "in place of a daemon, use a server that is quic-go and nothing else, and stores nothing: the floor of this machine")
	case "fanout":
		f.IntVar(&cfg.Members, "members", cfg.Members, "members of the group, who listen; the sender comes on top")
	case "connect":
		f.StringVar(&cfg.Kind, "kind", cfg.Kind, "of handshakes: full, resumed or early (0-RTT)")
		f.BoolVar(&cfg.Call, "call", cfg.Call, "each connection does a small call, too; with early it always does")
		f.BoolVar(&cfg.Baseline, "baseline", cfg.Baseline, "in turns with the daemon, measure a server that is quic-go and nothing else")
	case "offline":
		f.IntVar(&cfg.Queues, "queues", cfg.Queues, "queues that are filled and emptied")
		f.IntVar(&cfg.Messages, "messages", cfg.Messages, "messages to all of them together, in each of the two rounds")
		f.IntVar(&cfg.PerClient, "per-client", cfg.PerClient, "queues that each recipient has")
		f.IntVar(&cfg.Clients, "senders", cfg.Clients, "senders")
	case "idle":
		f.IntVar(&cfg.Clients, "clients", cfg.Clients, "connections that listen")
		f.DurationVar(&cfg.Settle, "settle", cfg.Settle, "time from the last connection until the rest is measured")
	case "groups", "e2ee", "churn", "soak":
		f.IntVar(&cfg.Groups, "groups", cfg.Groups, "groups")
		f.IntVar(&cfg.Members, "members", cfg.Members, "members of each group")
	}
	if cfg.Scenario == "churn" || cfg.Scenario == "soak" {
		f.Float64Var(&cfg.Events, "events", cfg.Events, "joins, leaves and renewals a second, of all groups together")
	}
	if cfg.Scenario == "soak" {
		f.DurationVar(&cfg.Restarts, "restarts", cfg.Restarts, "kill the daemon, and start it again, each time that this has passed; 0: never")
	}
	f.Float64Var(&cfg.Loss, "loss", cfg.Loss, "part of the datagrams, each way, that a relay between clients and daemon drops: 0.01 is 1 %")
	f.IntVar(&cfg.Window, "window", cfg.Window, "closed loop: messages that each sender has under way")
	f.Float64Var(&cfg.Rate, "rate", cfg.Rate, "open loop: messages a second, of all senders together")
	f.BoolVar(&cfg.Poisson, "poisson", cfg.Poisson, "open loop: random gaps in place of equal ones")
	f.BoolVar(&cfg.Received, "received", cfg.Received, "a message leaves the window when it is received, not already when it is stored")
	f.IntVar(&cfg.Batch, "batch", cfg.Batch, "messages in one call at most")
	f.DurationVar(&cfg.Gap, "gap", cfg.Gap, "open loop: least `time` between two calls of a sender; what is due meanwhile goes together")
	f.IntVar(&cfg.Calls, "calls", cfg.Calls, "calls that a sender has under way at most")
	f.StringVar(&cfg.Size, "size", cfg.Size, "payload `bytes`: 256, 64-4096, lognormal:256:1.2, mix:64=9,4096=1")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "of sizes and gaps")
	f.DurationVar(&cfg.KeepAlive, "keep-alive", cfg.KeepAlive, "time between two signs of life of a connection at rest; 0: as usual clients, 20 s")
	f.IntVar(&cfg.Parallel, "parallel", cfg.Parallel, "handshakes at once")
	f.StringVar(&cfg.CPUProfile, "cpuprofile", cfg.CPUProfile, "write a CPU profile of this process in the measured time to this `file`")
	f.StringVar(&cfg.DaemonCPUProfile, "daemon-cpuprofile", cfg.DaemonCPUProfile, "and one of the daemon, which the run must have started, to this `file`")
	f.DurationVar(&cfg.Warmup, "warmup", cfg.Warmup, "time before what is measured")
	f.DurationVar(&cfg.Duration, "duration", cfg.Duration, "time that is measured")
	f.DurationVar(&cfg.Drain, "drain", cfg.Drain, "wait this long for what is under way at the end")
	f.DurationVar(&cfg.Interval, "interval", cfg.Interval, "time between two lines of progress")
}
