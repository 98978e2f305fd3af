package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Trial is one of several runs that are told in one table.
type Trial struct {
	Name   string
	Config Config
	// Half says that it is an open loop at half of the rate that the trial before it reached.
	Half bool
	// Same says that it is one at the rate of the trial before it.
	Same bool
	// Next says that it is the trial before it at ten times its size.
	Next bool
}

// Short is a run of each kind, as `make bench` does them: some eight minutes. Times are multiplied by scale, which is for tests.
func Short(scale float64) []Trial {
	long := func(d time.Duration) time.Duration { return max(time.Duration(scale*float64(d)), 200*time.Millisecond) }
	trial := func(name, scenario string, set func(*Config)) Trial {
		c := DefaultsFor(scenario)
		c.Warmup, c.Duration, c.Settle = long(2*time.Second), long(8*time.Second), time.Duration(scale*float64(c.Settle))
		if set != nil {
			set(&c)
		}
		return Trial{Name: name, Config: c}
	}
	size := func(n int) int { return max(2, int(scale*float64(n))) }
	members := func(n int) func(*Config) { return func(c *Config) { c.Members = size(n) } }
	kind := func(k string) func(*Config) { return func(c *Config) { c.Kind, c.Duration = k, long(10*time.Second) } }
	talk := func(groups, n, window int) func(*Config) {
		return func(c *Config) { c.Groups, c.Members, c.Window = groups, size(n), window }
	}
	half := trial("relay, half of that", "relay", nil)
	half.Half = true
	bare := trial("the same, bare quic-go", "relay", func(c *Config) { c.Bare = true })
	bare.Same = true
	return []Trial{
		trial("relay", "relay", nil), half, bare,
		trial("relay, 20000/s", "relay", func(c *Config) { c.Rate = 20_000 }), trial("relay, 2000/s", "relay", func(c *Config) { c.Rate = 2000 }),
		trial("fanout to 10", "fanout", members(10)), trial("fanout to 100", "fanout", members(100)), trial("fanout to 1000", "fanout", members(1000)),
		trial("idle", "idle", func(c *Config) { c.Clients = size(5000) }),
		trial("connect, full", "connect", kind(kindFull)), trial("connect, resumed", "connect", kind(kindResumed)), trial("connect, 0-RTT", "connect", kind(kindEarly)),
		trial("offline", "offline", func(c *Config) { c.Queues, c.Messages, c.PerClient = size(20_000), 10*size(20_000), 10 }),
		trial("groups, 10 of 10", "groups", talk(10, 10, 16)),
		trial("e2ee, 8 of 2", "e2ee", talk(8, 2, 8)), trial("e2ee, 2 of 100", "e2ee", talk(2, 100, 2)),
		trial("churn", "churn", func(c *Config) { c.Groups, c.Members, c.Rate, c.Events = 4, size(10), 100, 4 }),
		trial("soak", "soak", func(c *Config) {
			c.Groups, c.Members, c.Rate, c.Events, c.Loss, c.Restarts, c.Duration = 4, size(8), 50, 1, 0.01, long(15*time.Second), long(40*time.Second)
		}),
	}
}

// Growth has each kind of run at 1, 10 and 100 times its size.
func Growth(scale float64) []Trial {
	var out []Trial
	grow := func(scenario string, set func(c *Config, times int)) {
		for _, times := range []int{1, 10, 100} {
			c := DefaultsFor(scenario)
			c.Warmup, c.Duration, c.Settle = time.Second, max(time.Duration(scale*float64(5*time.Second)), 200*time.Millisecond), time.Duration(scale*float64(c.Settle))
			if scale < 1 {
				times = min(times, 2)
			}
			set(&c, times)
			out = append(out, Trial{Name: fmt.Sprintf("%s x%d", scenario, times), Config: c, Next: times > 1})
		}
	}
	grow("relay", func(c *Config, n int) { c.Pairs = 2 * n })
	grow("fanout", func(c *Config, n int) { c.Members = 10 * n })
	grow("groups", func(c *Config, n int) { c.Groups, c.Members, c.Window = n, 10, 4 })
	grow("e2ee", func(c *Config, n int) { c.Groups, c.Members, c.Window = 1, 2*n, 2 })
	grow("idle", func(c *Config, n int) { c.Clients = 100 * n })
	grow("offline", func(c *Config, n int) { c.Queues, c.Messages, c.PerClient = 1000*n, 10_000*n, 10 })
	return out
}

// Perform does trials one after the other, each with a daemon of its own, and tells each result. One that fails is told, and the others go on: the error says so of all of them.
func Perform(ctx context.Context, trials []Trial, daemon, version string, show func(Interval), done func(Trial, *Result)) error {
	var failed error
	rate := 0.0
	for _, t := range trials {
		if !t.Config.Bare {
			t.Config.Daemon = daemon
		}
		if t.Half || t.Same {
			if t.Half {
				rate /= 2
			}
			if t.Config.Rate = rate; rate == 0 { // which would be a closed loop
				failed = errors.Join(failed, fmt.Errorf("%s: the one before reached nothing, or not its end", t.Name))
				continue
			}
		}
		res, err := Execute(ctx, t.Config, Team{}, version, show)
		if res == nil {
			return errors.Join(failed, err)
		}
		if rate = res.DeliveredPS; !res.OK() { // of a run that broke off it is by chance
			rate = 0
		}
		done(t, res)
		if ctx.Err() != nil {
			return errors.Join(failed, err)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", t.Name, err))
		}
	}
	return failed
}
