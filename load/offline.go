package load

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"quicnprotochat/certs"
	"quicnprotochat/client"
)

func init() {
	register("offline", &scenario{run: offline, check: checkOffline, main: Stored, about: "messages to recipients who are not there, a restart, and the recipients come; twice"})
}

const (
	offlineRounds = 2
	offlineLimit  = 24 * time.Hour // a run ends when all is done
	maxPerClient  = 32             // below the streams that a daemon opens to a client at once
)

func checkOffline(c *Config) error {
	c.Warmup, c.Duration = 0, offlineLimit
	switch {
	case c.PerClient < 1 || c.PerClient > maxPerClient:
		return fmt.Errorf("%w: %d queues of each recipient, want 1 to %d", ErrConfig, c.PerClient, maxPerClient)
	case c.Messages < c.Queues:
		return fmt.Errorf("%w: %d messages are too few for %d queues", ErrConfig, c.Messages, c.Queues)
	}
	return nil
}

// backlog is the queues of those who are not there. Queue q belongs to the recipient q/PerClient, and is his inbox or one with a name.
type backlog struct {
	r       *run
	who     []certs.Identity
	names   []string // of the queues, as in books
	last    []uint64 // place of the last message that was drained, by queue
	senders int
}

// offline: the senders are the first clients, anew in each round; the recipients come after them.
func offline(ctx context.Context, r *run) error {
	b := &backlog{r: r, names: make([]string, r.cfg.Queues), last: make([]uint64, r.cfg.Queues), senders: r.cfg.Clients}
	b.who = make([]certs.Identity, (r.cfg.Queues+r.cfg.PerClient-1)/r.cfg.PerClient)
	for q := range b.names {
		b.names[q] = fmt.Sprintf("queue %d of client %d", q%r.cfg.PerClient, b.client(q/r.cfg.PerClient))
	}
	if err := r.each(ctx, len(b.who), func(_ context.Context, i int) error {
		b.who[i] = r.cfg.identityOf(b.client(i))
		return nil
	}); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	own, start := cpuSelf(), now()
	defer func() { r.lasted(seconds(now()-start), cpuSelf()-own) }()
	for round := range offlineRounds {
		if err := b.round(ctx, round); err != nil {
			return err
		}
	}
	return nil
}

func (b *backlog) client(recipient int) int { return offlineRounds*b.senders + recipient }

// queue is the name of queue q at the service.
func (b *backlog) queue(q int) client.Queue {
	if i := q % b.r.cfg.PerClient; i > 0 {
		return client.Queue{Group: fmt.Sprintf("queue %d", i)}
	}
	return client.Queue{}
}

// round fills the queues, restarts the daemon and empties the queues.
func (b *backlog) round(ctx context.Context, round int) error {
	r, suffix := b.r, fmt.Sprintf("_%d", round+1)
	r.books.clear()
	before, _ := r.server.stats(ctx, false)
	filled := newProgress(r.cfg.Messages)
	cost := readCost(r.server.process(), "", false)
	if err := b.fill(ctx, round, filled); err != nil {
		return err
	}
	filled.tell(r, "enqueue", suffix, readCost(r.server.process(), "", false).minus(cost))
	after, err := r.server.stats(ctx, false)
	if stored := after.Store.Stored - before.Store.Stored; err == nil && stored != uint64(r.cfg.Messages) && r.refused.Load() == 0 {
		r.faults.add("round %d: the daemon stored %d messages of %d", round+1, stored, r.cfg.Messages)
	}
	r.tellDisk("full" + suffix)
	if err := b.restart(ctx, suffix); err != nil {
		return err
	}
	before, _ = r.server.stats(ctx, false)
	emptied := newProgress(r.cfg.Messages)
	cost = readCost(r.server.process(), "", false)
	if err := b.empty(ctx, emptied); err != nil {
		return err
	}
	emptied.tell(r, "drain", suffix, readCost(r.server.process(), "", false).minus(cost))
	r.tellDisk("empty" + suffix)
	after, err = r.server.stats(ctx, false)
	if gone := after.Store.Acknowledged - before.Store.Acknowledged; err == nil && gone != uint64(r.cfg.Messages) && r.refused.Load() == 0 {
		r.faults.add("round %d: %d messages of %d were acknowledged", round+1, gone, r.cfg.Messages)
	}
	return nil
}

// restart ends our daemon and starts it again, with what it has stored.
func (b *backlog) restart(ctx context.Context, suffix string) error {
	if b.r.cfg.Daemon == "" {
		return nil
	}
	start := now()
	if err := b.r.server.end(syscall.SIGTERM); err != nil {
		return err
	}
	b.r.value("stop_s"+suffix, seconds(now()-start))
	start = now()
	if err := b.r.server.again(ctx); err != nil {
		return err
	}
	b.r.value("ready_s"+suffix, seconds(now()-start))
	return nil
}

// fill has the senders submit all messages, to one queue after the other.
func (b *backlog) fill(ctx context.Context, round int, p *progress) error {
	group, ctx := errgroup.WithContext(ctx)
	var left atomic.Int64
	left.Store(int64(b.r.cfg.Messages))
	for i := range b.senders {
		group.Go(func() error {
			who := round*b.senders + i
			session, err := b.r.dial(ctx, who)
			if err != nil {
				return err
			}
			defer b.r.hangUp(session)
			s := b.r.newSender(who, "", 0, b.senders, p.counts(b.submit(session)))
			defer b.r.senders.Delete(uint32(who))
			next := i * (b.r.cfg.Queues / b.senders)
			s.route = func() (int, string) {
				q := next % b.r.cfg.Queues
				next++
				return q, b.names[q]
			}
			sending, enough := context.WithCancel(ctx)
			defer enough()
			s.pace = &bounded{pace: s.pace, left: &left, enough: enough}
			return s.run(sending, ctx)
		})
	}
	return group.Wait()
}

func (b *backlog) submit(s *client.Session) transmit {
	return toQueues(always(s), func(q int) (string, []certs.Identity) {
		i := q / b.r.cfg.PerClient
		return b.queue(q).Group, b.who[i : i+1]
	})
}

// tellDisk tells what the data directory takes, and the daemon's memory.
func (r *run) tellDisk(when string) {
	if c := readCost(r.server.process(), r.server.data, true); c.OK {
		r.value("rss_mib_"+when, float64(c.RSS)/(1<<20))
		if c.Disk >= 0 {
			r.value("disk_mib_"+when, float64(c.Disk)/(1<<20))
		}
	}
}
