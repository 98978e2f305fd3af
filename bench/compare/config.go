package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// Scenarios.
const (
	relay  = "relay"  // each of N senders has a recipient of its own
	fanout = "fanout" // one sender, N recipients who all get each message
)

const (
	maxWindow  = 4096
	maxMembers = 2000
	maxSize    = 64 << 10
)

// config is what the flags say.
type config struct {
	scenario        string
	systems         []system
	pairs, members  int
	window, size    int
	count           int
	warmup, measure time.Duration
	drain           time.Duration
	daemon, dir     string
	json            bool
}

// known are all systems, in the order of the table.
var known = []system{ours{}, mosquitto{}, jetStream{}, jetStream{syncAlways: true}}

func parseFlags(args []string, out io.Writer) (*config, error) {
	c := &config{}
	names := make([]string, len(known))
	for i, s := range known {
		names[i] = s.name()
	}
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&c.scenario, "scenario", relay, "relay: N senders, each to a recipient of its own; fanout: one sender to N recipients")
	systems := f.String("systems", strings.Join(names, ","), "what to compare")
	f.IntVar(&c.pairs, "pairs", 16, "relay: senders, and recipients")
	f.IntVar(&c.members, "members", 100, "fanout: recipients")
	f.IntVar(&c.window, "window", 64, "messages that a sender has under way: a message is, until it is acknowledged and every recipient has it")
	f.IntVar(&c.size, "size", 256, "bytes of a payload")
	f.IntVar(&c.count, "count", 5, "runs of each system, interleaved; the table has their medians")
	f.DurationVar(&c.warmup, "warmup", 2*time.Second, "time before the measured time")
	f.DurationVar(&c.measure, "duration", 10*time.Second, "measured time of a run")
	f.DurationVar(&c.drain, "drain", time.Minute, "time for what is under way when the senders stop, or it is lost")
	f.StringVar(&c.daemon, "daemon", "quicnprotochatd", "path of quicnprotochatd")
	f.StringVar(&c.dir, "dir", "", "directory whose disk the servers use (the system's one for temporary files)")
	f.BoolVar(&c.json, "json", false, "print a JSON line for each run in place of the table")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(*systems, ",") {
		s := find(name)
		if s == nil {
			return nil, fmt.Errorf("%w: no system %q, there are %s", errUsage, name, strings.Join(names, ","))
		}
		c.systems = append(c.systems, s)
	}
	return c, c.check(f.NArg())
}

func find(name string) system {
	for _, s := range known {
		if s.name() == name {
			return s
		}
	}
	return nil
}

func (c *config) check(args int) error {
	within := func(n, low, high int) bool { return n >= low && n <= high }
	switch {
	case args != 0:
		return fmt.Errorf("%w: it takes no arguments", errUsage)
	case c.scenario != relay && c.scenario != fanout:
		return fmt.Errorf("%w: no scenario %q", errUsage, c.scenario)
	case !within(c.pairs, 1, maxMembers) || !within(c.members, 1, maxMembers) || !within(c.window, 1, maxWindow):
		return fmt.Errorf("%w: pairs and members are 1 to %d, the window 1 to %d", errUsage, maxMembers, maxWindow)
	case !within(c.size, stampSize, maxSize) || !within(c.count, 1, 1000):
		return fmt.Errorf("%w: the size is %d to %d, the count 1 to 1000", errUsage, stampSize, maxSize)
	case c.warmup < 0 || c.measure <= 0 || c.drain <= 0:
		return fmt.Errorf("%w: a time is not positive", errUsage)
	}
	return nil
}

// shape is the number of topics and of recipients of each.
func (c *config) shape() (topics, members int) {
	if c.scenario == fanout {
		return 1, c.members
	}
	return c.pairs, 1
}
