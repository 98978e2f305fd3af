package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"quicnprotochat/certs"
	"quicnprotochat/client"
)

func init() {
	register("idle", &scenario{run: idle, check: checkIdle, main: Received, about: "N listening connections, their cost at rest, and messages to some of them"})
}

func checkIdle(c *Config) error {
	if c.Rate <= 0 {
		return fmt.Errorf("%w: idle needs a rate", ErrConfig)
	}
	return nil
}

// idle: client 0 sends, clients 1 to Clients listen. For Config.Duration nobody does anything; then there is traffic for as long.
func idle(ctx context.Context, r *run) error {
	listening, hangUp := context.WithCancelCause(ctx)
	defer hangUp(nil)
	from, err := r.dial(ctx, 0)
	if err != nil {
		return err
	}
	// The first call readies what the daemon makes once: it is not the connections' cost.
	if _, err := from.Queues(ctx); err != nil {
		return err
	}
	before, err := r.measureDaemon(ctx)
	if err != nil {
		return err
	}
	started := now()
	ids := make([]certs.Identity, r.cfg.Clients+1)
	if err := r.each(ctx, r.cfg.Clients, func(_ context.Context, i int) error {
		ids[i+1] = r.cfg.identityOf(i + 1)
		v := r.newReceiver(i+1, inboxOnly(inboxName(i+1)))
		v.expect(client.Queue{})
		_, err := r.attachReceiver(listening, hangUp, v)
		return err
	}); err != nil {
		return err
	}
	r.value("connected_per_s", float64(r.cfg.Clients)/seconds(now()-started))
	if err := r.rest(listening, before); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	send := toQueues(always(from), func(to int) (string, []certs.Identity) { return "", ids[to : to+1] })
	s := r.newSender(0, "", 0, 1, send)
	s.route = func() (int, string) {
		to := 1 + s.rng.IntN(r.cfg.Clients)
		return to, inboxName(to)
	}
	return r.traffic(listening, []*sender{s})
}

func inboxName(who int) string { return "inbox of " + strconv.Itoa(who) }

// rest lets the connections idle for Config.Duration, and tells what they cost. What connecting left is over before: the daemon collects its garbage when it comes to rest.
func (r *run) rest(ctx context.Context, before daemonMemory) error {
	if err := until(ctx, now()+int64(r.cfg.Settle)); err != nil {
		return err
	}
	from, start := readCost(r.server.process(), "", false), now()
	if err := until(ctx, start+int64(r.cfg.Duration)); err != nil {
		return err
	}
	cost, took := readCost(r.server.process(), "", false).minus(from), seconds(now()-start)
	if cost.OK {
		r.value("idle_cores", cost.CPU/took)
		r.value("idle_waits_per_s", float64(cost.Voluntary)/took)
	}
	after, err := r.measureDaemon(ctx)
	if err != nil {
		return err
	}
	each := func(after, before float64) float64 { return (after - before) / float64(r.cfg.Clients) }
	if cost.OK {
		r.value("rss_kib_per_connection", each(after.rss, before.rss)/1024)
	}
	if after.asked {
		r.value("go_kib_per_connection", each(after.inUse, before.inUse)/1024)
		r.value("go_kib_per_connection_collected", each(after.collected, before.collected)/1024)
		r.value("goroutines_per_connection", each(after.goroutines, before.goroutines))
	}
	return nil
}

// daemonMemory is what the daemon holds: as the kernel sees it, and as Go's runtime does, heap and stacks.
type daemonMemory struct {
	rss              float64
	inUse, collected float64 // before and after a garbage collection
	goroutines       float64
	asked            bool // the daemon could be asked for these
}

func (r *run) measureDaemon(ctx context.Context) (m daemonMemory, err error) {
	m.rss = float64(readCost(r.server.process(), "", false).RSS)
	st, err := r.server.stats(ctx, false)
	if errors.Is(err, errNoDebug) {
		return m, nil
	} else if err != nil {
		return m, err
	}
	m.inUse, m.goroutines, m.asked = float64(st.HeapInuse+st.StackInuse), float64(st.Goroutines), true
	if st, err = r.server.stats(ctx, true); err != nil {
		return m, err
	}
	m.collected = float64(st.HeapInuse + st.StackInuse)
	return m, nil
}
